"""What one definition says that another one does not, told by its places."""

from typing import Any

from domain.pipeline.difference import StepChange, difference

BEFORE: dict[str, Any] = {
    "pipeline": "p",
    "sources": {"s": {"kind": "csv", "path": "in.csv", "nulls": ["NA"]}},
    "steps": [{"id": "raw", "source": "s"}, {"id": "old"}, {"id": "sums", "sql": "select 1"}],
}


def test_nothing_changed() -> None:
    found = difference(BEFORE, BEFORE, {"a.py": ""}, {"a.py": ""})
    assert found.is_empty
    assert [one.change for one in found.steps] == ["same"] * 3


def test_steps_that_came_went_and_changed() -> None:
    after = {
        **BEFORE,
        "steps": [
            {"id": "raw", "source": "s"},
            {"id": "new"},
            {"id": "sums", "sql": "select 2", "timeout": "5s"},
        ],
    }
    assert difference(BEFORE, after, {}, {}).steps == (
        StepChange(step="raw", change="same"),
        StepChange(step="new", change="added"),
        StepChange(step="sums", change="changed", keys=("sql", "timeout")),
        StepChange(step="old", change="removed"),
    )


def test_other_places_are_named_as_deep_as_helps() -> None:
    after = {
        **BEFORE,
        "description": "sums",
        "sources": {"s": {"kind": "csv", "path": "in.csv"}, "t": {"kind": "jsonl"}},
    }
    found = difference(BEFORE, after, {"a.py": "1", "b.py": ""}, {"a.py": "2"})
    assert set(found.others) == {"sources.s.nulls", "sources.t", "description", "a.py", "b.py"}
    assert not found.is_empty
