"""Texts that people read, kept as files. `HEADWATER_GOLDEN=write` writes them anew."""

import os
from pathlib import Path

_FOLDER = Path(__file__).parent / "golden"


def assert_golden(name: str, text: str) -> None:
    """`text` is what the file of this name says."""
    path = _FOLDER / f"{name}.txt"
    written = text.rstrip("\n") + "\n"
    if os.environ.get("HEADWATER_GOLDEN") == "write":
        path.write_text(written, encoding="utf-8")
    assert written == path.read_text(encoding="utf-8"), f"see {path}"
