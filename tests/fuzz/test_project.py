"""Broken project files: each is a project, or words with a place."""

import re
from pathlib import Path

from domain.errors import Malformed
from runtime.settings import load
from tests.fuzz.mutation import Mutator
from tests.runtime.test_project import SHOP

texts = 600
_WORDS = [
    "[env]",
    "[[env.prod]]",
    "kind = 3",
    "${env:X}",
    "[connections]",
    "roots = 1",
    "é",
    "=",
    "'",
]
_PLACE = re.compile(r"headwater\.toml(:[0-9]+|.* (cannot be read|has no environment))")
_BETWEEN = ("is too little for", "is too short for", "is shorter than", "is not known")
"""Mistakes that lie between two settings, wherever they stand."""


def _told(folder: Path, flags: dict[str, str]) -> str:
    """What is wrong with the folder's project; empty where nothing is."""
    try:
        load(flags, {}, folder)
    except Malformed as error:
        return error.message
    return ""


def test_a_broken_project_file_is_told_with_its_place(tmp_path: Path) -> None:
    mutator = Mutator(7, _WORDS)
    for number in range(texts):
        (tmp_path / "headwater.toml").write_bytes(mutator.text(SHOP.encode()))
        for flags in ({}, {"env": "prod"}):
            told = _told(tmp_path, flags)
            has_place = not told or _PLACE.search(told) or any(word in told for word in _BETWEEN)
            assert has_place, (number, told)
