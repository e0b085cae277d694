"""Files outside are known again by what their folder says, and never by what they once held."""

import hashlib
import os
from pathlib import Path

import pytest

from adapters.datasets import memory
from adapters.datasets.memory import SourceMemory, identity_of

LONG_AGO_NS = 1_700_000_000 * 10**9


@pytest.fixture
def known(tmp_path: Path) -> SourceMemory:
    return SourceMemory(tmp_path / "sources")


def file(folder: Path, text: str) -> Path:
    path = folder / "in.csv"
    path.write_text(text)
    os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))
    return path


def look(known: SourceMemory, path: Path, fingerprint: str = "") -> None:
    identity = identity_of(str(path))
    assert identity is not None
    sha = hashlib.sha256(path.read_bytes()).hexdigest()
    known.remember(str(path), identity, fingerprint or sha)


def fingerprint(known: SourceMemory, path: Path) -> str | None:
    found = known.known(str(path))
    return found.fingerprint if found else None


def test_a_file_that_was_never_read_is_not_known(known: SourceMemory, tmp_path: Path) -> None:
    path = file(tmp_path, "n\n1\n")
    assert known.known(str(path)) is None
    assert known.known(str(tmp_path / "nowhere.csv")) is None


def test_an_unchanged_file_is_known_without_reading_it(
    known: SourceMemory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its entry was changed just now, as the test made it: only a coarser clock would doubt that.
    monkeypatch.setattr(memory, "_settled_ns", -60 * 10**9)
    path = file(tmp_path, "n\n1\n")
    look(known, path, "what was found then")
    assert fingerprint(known, path) == "what was found then"
    found = SourceMemory(tmp_path / "sources").known(str(path))
    assert found is not None
    assert (found.name, found.bytes) == (str(path), 4)


def test_a_file_that_was_written_just_now_is_hashed_again(
    known: SourceMemory, tmp_path: Path
) -> None:
    path = file(tmp_path, "n\n1\n")
    look(known, path, "what was found then")
    assert fingerprint(known, path) == hashlib.sha256(b"n\n1\n").hexdigest()


@pytest.mark.parametrize("text", ["n\n2\n", "n\n12\n"], ids=["of the same size", "of another"])
def test_a_changed_file_is_never_taken_for_the_old_one(
    known: SourceMemory, tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_settled_ns", -60 * 10**9)
    path = file(tmp_path, "n\n1\n")
    look(known, path)
    # The same inode, and the time of modification set back.
    file(tmp_path, text)
    want = hashlib.sha256(text.encode()).hexdigest() if len(text) == 4 else None
    assert fingerprint(known, path) == want


def test_a_file_of_the_same_bytes_in_its_place_is_known(
    known: SourceMemory, tmp_path: Path
) -> None:
    path = file(tmp_path, "n\n1\n")
    look(known, path)
    other = tmp_path / "other"
    other.write_text("n\n1\n")
    os.replace(other, path)
    assert fingerprint(known, path) == hashlib.sha256(b"n\n1\n").hexdigest()


def test_a_damaged_memory_is_no_memory(known: SourceMemory, tmp_path: Path) -> None:
    path = file(tmp_path, "n\n1\n")
    look(known, path)
    for entry in (tmp_path / "sources").iterdir():
        entry.write_text('{"half')
    assert known.known(str(path)) is None


def test_what_was_looked_at_longest_ago_is_forgotten(
    known: SourceMemory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "remembered_max", 2)
    paths = []
    for number in range(3):
        path = tmp_path / f"{number}.csv"
        path.write_text("n\n")
        look(known, path)
        os.utime(known._place(str(path)), ns=(number, number))
        paths.append(path)
    assert [known.known(str(path)) is not None for path in paths] == [False, True, True]
