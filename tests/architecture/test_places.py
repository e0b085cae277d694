"""Nothing in the project speaks of one machine, or of the registry it was installed from."""

import re
import shutil
import subprocess

import pytest

from tests.architecture.source import ROOT

STRAY = re.compile(
    r"(?:^|[^\w.])/(?:home|root|Users)/\w"  # somebody's folder
    r"|\b(?:pypi|npmjs|pythonhoste[d]|debian)[.](?:org|com)\b"  # a registry's host
    r"|\bindex-url\s+\S*://|--find-links\s+\S"  # an address that pip was given
    r"|\bresolved\W+https?://"  # an address that npm was given
)
BINARY = {".gz", ".parquet", ".png"}


def tracked() -> list[str]:
    """Every file under version control."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run([git, "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    return [name for name in listed.stdout.decode().split("\0") if name]


def test_no_file_names_a_machine_or_a_registry() -> None:
    broken = []
    for name in tracked():
        path = ROOT / name
        if (
            path.suffix in BINARY
            or not path.is_file()
            or name == "tests/architecture/test_places.py"
        ):
            continue
        text = path.read_text(encoding="utf-8", errors="replace")  # examples are dirty, too
        for number, line in enumerate(text.splitlines(), 1):
            if STRAY.search(line):
                broken.append(f"{name}:{number}: {line.strip()[:80]}")
    assert not broken, "\n".join(broken)


def test_the_lock_file_has_a_hash_for_everything_and_no_address() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in text
    entries = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(entries) > 20
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []
