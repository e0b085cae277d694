"""Broken project files: each is a project, or words with a place."""

import re
from pathlib import Path

from domain.errors import Malformed
from runtime.settings import load
from tests.fuzz.mutation import Mutator
from tests.runtime.test_project import SHOP

texts = 1_500
_PLACE = re.compile(r"headwater\.toml(:[0-9]+|.* (cannot be read|has no environment))")
_NO_PLACE = ("is too little for", "is too short for", "is shorter than", "is not known")
"""Mistakes that lie between two settings, wherever they stand."""


def test_a_broken_project_file_is_told_with_its_place(tmp_path: Path) -> None:
    mutator = Mutator(7, [])
    for number in range(texts):
        (tmp_path / "headwater.toml").write_bytes(mutator.text(SHOP.encode()))
        for flags in ({}, {"env": "prod"}):
            try:
                load(flags, {}, tmp_path)
            except Malformed as error:
                known = _PLACE.search(error.message) or any(w in error.message for w in _NO_PLACE)
                assert known, (number, error.message)
