"""What a run would do is told as it then does it, and telling it changes nothing."""

import os
from pathlib import Path
from typing import Any

import pytest

from commands.steps.foresight import Foreseen, Prospect, foresee
from commands.steps.work import StepWork
from tests.commands.steps.bench import Bench, Walk

SPEC: dict[str, Any] = {
    "sources": {"s": {"kind": "csv", "path": "in.csv", "columns": {"n": "integer"}}},
    "steps": [
        {"id": "raw", "kind": "ingest", "source": "s"},
        {"id": "few", "kind": "clean", "input": "raw", "rules": [{"keep_rows": "n > 0"}]},
        {"id": "sums", "kind": "transform", "input": "few", "sql": "select sum(n) as n from few"},
        {"id": "out", "kind": "store", "input": "sums", "sink": {"kind": "csv", "path": "o.csv"}},
    ],
}


def walk(bench: Bench, **words: Any) -> Walk:
    steps = [{**step, **words.get(step["id"], {})} for step in SPEC["steps"]]
    return Walk(bench, {**SPEC, "steps": steps})


def seen(done: Walk, **wishes: Any) -> list[Foreseen]:
    work = StepWork(
        run=done.run,
        step="",
        attempt=1,
        lease=1,
        pipeline=done.spec.pipeline,
        revision=1,
        bundle="b",
        root=str(done.bench.project),
        params={},
        run_time=done.run_time,
    )
    order = [step.id for step in done.spec.steps]
    prospect = Prospect(work=work, spec=done.spec, files={}, order=order, **wishes)
    return foresee(prospect, done.workbench)


def verdicts(found: list[Foreseen]) -> list[str]:
    return [one.verdict for one in found]


@pytest.fixture
def first(bench: Bench) -> Walk:
    bench.write("in.csv", "n\n1\n2\n-3\n")
    done = walk(bench)
    done.all()
    return done


def test_before_the_first_run_nothing_is_known_behind_the_sources(bench: Bench) -> None:
    bench.write("in.csv", "n\n1\n")
    found = seen(walk(bench))
    assert verdicts(found) == ["run", "depends", "depends", "depends"]
    assert sorted(path.name for path in bench.project.iterdir()) == ["in.csv"]
    assert not bench.data.exists()


def test_after_it_everything_is_reused_from_it(bench: Bench, first: Walk) -> None:
    before = sorted(os.walk(bench.project))
    found = seen(walk(bench))
    assert verdicts(found) == ["reuse", "reuse", "reuse", "unchanged"]
    assert {one.from_run for one in found} == {first.run}
    assert sorted(os.walk(bench.project)) == before


def test_a_changed_step_runs_and_what_follows_hangs_on_it(bench: Bench, first: Walk) -> None:
    found = seen(walk(bench, few={"rules": [{"keep_rows": "n > 1"}]}))
    assert verdicts(found) == ["reuse", "run", "depends", "depends"]
    assert "few" in found[2].because


def test_a_destination_changed_by_hand_is_written(bench: Bench, first: Walk) -> None:
    Path(bench.project, "o.csv").write_text("n\n")
    assert verdicts(seen(walk(bench))) == ["reuse", "reuse", "reuse", "run"]


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("select sum(n) as n, random() as r from few", "random() gives another answer each time"),
        ("select sum(n) as n, $run_time as t from few", "$run_time is another one in each run"),
    ],
)
def test_what_is_never_reused_says_why(bench: Bench, first: Walk, sql: str, why: str) -> None:
    found = seen(walk(bench, sums={"sql": sql}))
    assert (found[2].verdict, found[2].because) == ("run", why)


def test_what_is_wanted_anew_runs(bench: Bench, first: Walk) -> None:
    assert verdicts(seen(walk(bench), no_cache=True)) == ["run"] * 4
    assert verdicts(seen(walk(bench), fresh=frozenset(("sums",)))) == [
        "reuse",
        "reuse",
        "run",
        "depends",
    ]
