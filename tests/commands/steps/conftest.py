"""Fixtures of the step tests."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands.steps.bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A workbench in a folder of its own."""
    made = Bench(tmp_path)
    path = list(sys.path)
    yield made
    made.engines.close()
    # A step process works for one bundle all its life; this one works for many.
    sys.path[:] = path
    sys.modules.pop("steps", None)
