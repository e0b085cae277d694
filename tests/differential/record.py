"""Writes `verdicts.json` anew: `make differential`.

The other tool brings some 400 MB of its own and an older engine, so it never joins our
environment. It is installed beside it, asked once, and its answers are kept; what the tests hold
us against on every day is the record.
"""

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.architecture.source import ROOT
from tests.differential.cases import CASES, Case, Verdicts

_WANTED = "datacontract-cli[duckdb]>=1.2.8,<1.3"
_HOME = ROOT / ".venv" / "datacontract"


def main() -> None:
    """Ask the other tool about all cases, and keep what it says."""
    python = _installed()
    with TemporaryDirectory() as folder:
        cases = [Case(number, Path(folder)) for number in range(CASES)]
        done = subprocess.run(
            [python, Path(__file__).with_name("foreign.py")],
            input=json.dumps([str(case.contract) for case in cases]),
            capture_output=True,
            text=True,
            check=True,
        )
    said = json.loads(done.stdout.splitlines()[-1])
    cases_said = dict(zip((case.digest for case in cases), said["verdicts"], strict=True))
    Verdicts(tool=said["tool"], engine=said["engine"], cases=cases_said).keep()


def _installed() -> Path:
    interpreter = _HOME / "bin" / "python"
    if not (_HOME / "whole").exists():
        quiet = [str(Path(sys.executable).with_name("uv")), "--quiet"]
        subprocess.run(
            [*quiet, "venv", "--clear", "--python", sys.executable, str(_HOME)], check=True
        )
        install = [*quiet, "pip", "install", "--python", str(interpreter), _WANTED]
        subprocess.run(install, check=True)
        (_HOME / "whole").touch()
    return interpreter


if __name__ == "__main__":
    main()
