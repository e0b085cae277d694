"""Paths outside the allowed folders."""

import pytest

from adapters.paths import confined
from domain.errors import Malformed


def test_each_allowed_folder_is_told_once() -> None:
    with pytest.raises(Malformed) as told:
        confined("/y/data.csv", "/x", ("/x", "/z", "/x"))
    assert told.value.hint.startswith("allowed: /x, /z; more can be named")
