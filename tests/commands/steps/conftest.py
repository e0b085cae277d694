"""Fixtures of the step tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands.steps.bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A workbench in a folder of its own."""
    made = Bench(tmp_path)
    yield made
    made.engines.close()
