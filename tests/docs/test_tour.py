"""The blocks that are marked to run do run, in order, in one empty folder per document."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.documents import Document, documents

TOLD = {document.name: document for document in documents() if "<!-- run" in document.text}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", TOLD)
def test_the_blocks_run_as_they_stand(name: str, tmp_path: Path) -> None:
    for block in TOLD[name].blocks():
        match block.mark.partition(": write "):
            case ("run", _, file) if file:
                (tmp_path / file).write_text(block.text, encoding="utf-8")
            case ("run", _, _):
                typed(TOLD[name], block.text, tmp_path)
            case _:
                pass


def typed(document: Document, text: str, folder: Path) -> None:
    """Run the lines of a block one by one; each must succeed."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HEADWATER", "OTEL_"))}
    for line in text.splitlines():
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=folder,
            env={**kept, "PATH": path, "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        told = f"{document.name}: {line}\n{done.stdout}{done.stderr}"
        assert done.returncode == 0, told
