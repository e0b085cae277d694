"""Params of a run: typed, checked, filled in."""

import pytest

from domain.errors import Rejection
from domain.pipeline.params import Param, fill, places, resolve

PARAMS = {
    "least": Param(type="integer", default=1),
    "day": Param(type="date"),
    "rate": Param(type="number", default=None),
}


def test_given_values_are_read_as_their_types() -> None:
    values = resolve(PARAMS, {"least": "7", "day": "2013-01-01", "rate": 2})
    assert values == {"least": 7, "day": "2013-01-01", "rate": 2.0}


def test_defaults_fill_in() -> None:
    assert resolve(PARAMS, {"day": "2013-01-01"}) == {
        "least": 1,
        "day": "2013-01-01",
        "rate": None,
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "param 'day' has no value"),
        ({"day": "2013-13-01"}, "'2013-13-01' is no date; write it as ISO 8601 does"),
        ({"day": "2013-01-01", "laest": 1}, "there is no param 'laest'"),
        ({"day": "2013-01-01", "least": "1.5"}, "'1.5' is no integer"),
        ({"day": "2013-01-01", "least": True}, "True is no integer"),
        ({"day": "2013-01-01", "least": 2**63}, "is no integer"),
        ({"day": "2013-01-01", "rate": "fast"}, "'fast' is no number"),
        ({"day": "2013-01-01", "rate": 10**400}, "is no number"),
        ({"day": "2013-01-01", "rate": "nan"}, "nan is no number"),
    ],
)
def test_values_that_are_refused(given: dict[str, str | int | bool], message: str) -> None:
    with pytest.raises(Rejection) as caught:
        resolve(PARAMS, given)
    assert caught.value.code == "invalid_params"
    assert message in caught.value.message


def test_texts_are_filled_in() -> None:
    assert places("out/${day}/${day}-${who}.csv") == ("day", "who")
    assert fill("out/${day}.csv", {"day": "2013-01-01"}) == "out/2013-01-01.csv"
    assert fill("${on}", {"on": True}) == "true"
    with pytest.raises(KeyError):
        fill("${who}", {})
