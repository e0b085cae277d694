"""Letting a command die on its way."""

import subprocess
import sys
from pathlib import Path

from tests.e2e.project import Project, environment
from tests.faults import dying


def die(repository: Path, project: Project, change: int, *arguments: str) -> bool:
    """Let a command die before a change; False where it had come to its end before."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.dying", str(change), *arguments],
        cwd=project.folder,
        env={**environment(), "PYTHONPATH": str(repository)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, dying.code), done.stderr
    return done.returncode == dying.code
