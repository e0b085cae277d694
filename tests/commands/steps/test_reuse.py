"""What was done before on the same content is not done again, and nothing stale is ever served."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from adapters.datasets.artifacts import FileArtifacts
from commands.steps.ports import Kept
from domain.run.commands import Reused, Succeeded
from tests.architecture.source import ROOT
from tests.commands.steps.bench import Bench, Walk

SPEC: dict[str, Any] = {
    "params": {"least": {"type": "integer", "default": 0}, "other": {"type": "integer"}},
    "sources": {"s": {"kind": "csv", "path": "in.csv", "columns": {"n": "integer"}}},
    "steps": [
        {"id": "raw", "kind": "ingest", "source": "s"},
        {"id": "few", "kind": "clean", "input": "raw", "rules": [{"keep_rows": "n > 0"}]},
        {
            "id": "sums",
            "kind": "transform",
            "input": "few",
            "sql": "select sum(n) as n from few where n > $least",
        },
        {"id": "fine", "kind": "check", "input": "sums", "rules": [{"not_null": ["n"]}]},
    ],
}


def walk(bench: Bench, **changes: Any) -> Walk:
    """A new run of the pipeline, with other words for some of its steps."""
    steps = [{**step, **changes.get(step["id"], {})} for step in SPEC["steps"]]
    params = changes.get("params", {"least": 0})
    return Walk(bench, {**SPEC, "steps": steps}, params=params, files=changes.get("files"))


def told(done: Walk) -> dict[str, str]:
    """What becomes of each step."""
    return {step.id: type(done.step(step.id)).__name__.lower() for step in done.spec.steps}


@pytest.fixture
def first(bench: Bench) -> Walk:
    """A run that did everything."""
    bench.write("in.csv", "n\n1\n2\n-3\n")
    done = walk(bench)
    assert set(told(done).values()) == {"succeeded"}
    return done


def test_a_second_run_reuses_everything_and_says_from_which(bench: Bench, first: Walk) -> None:
    second = walk(bench)
    for step in second.spec.steps:
        result = second.step(step.id)
        assert isinstance(result, Reused)
        assert result.from_run == first.run
        before = first.step(step.id)
        assert isinstance(before, Succeeded)
        assert (result.outcome, result.edges) == (before.outcome, before.edges)
    assert second.done == first.done


def test_a_third_run_names_the_run_that_did_the_work(bench: Bench, first: Walk) -> None:
    told(walk(bench))
    result = walk(bench).step("raw")
    assert isinstance(result, Reused)
    assert result.from_run == first.run


def test_comments_and_layout_make_no_difference(bench: Bench, first: Walk) -> None:
    sql = "SELECT sum(n) AS n -- the sum\nFROM few WHERE n > $least"
    assert set(told(walk(bench, sums={"sql": sql})).values()) == {"reused"}


def test_the_same_query_in_a_file_is_the_same_query(bench: Bench, first: Walk) -> None:
    words = {"sql": "", "sql_file": "sums.sql"}
    files = {"sums.sql": str(SPEC["steps"][2]["sql"])}
    assert set(told(walk(bench, sums=words, files=files)).values()) == {"reused"}


def test_only_what_changes_is_done_again(bench: Bench, first: Walk) -> None:
    rules = [{"keep_rows": "n > 0 and n < 9"}]
    # Other words, and as it turns out the same rows: what follows has nothing to do.
    assert told(walk(bench, few={"rules": rules})) == {
        "raw": "reused",
        "few": "succeeded",
        "sums": "reused",
        "fine": "reused",
    }
    rules = [{"keep_rows": "n > 1"}]
    assert told(walk(bench, few={"rules": rules})) == {
        "raw": "reused",
        "few": "succeeded",
        "sums": "succeeded",
        "fine": "succeeded",
    }


@pytest.mark.parametrize(
    ("params", "sums"),
    [({"least": 1}, "succeeded"), ({"least": 0, "other": 5}, "reused")],
    ids=["a param it uses", "a param it does not use"],
)
def test_params_count_where_they_are_used(
    bench: Bench, first: Walk, params: dict[str, int], sums: str
) -> None:
    assert told(walk(bench, params=params))["sums"] == sums


def test_other_content_in_the_file_is_read(bench: Bench, first: Walk) -> None:
    bench.write("in.csv", "n\n1\n2\n-4\n")
    assert told(walk(bench)) == {
        "raw": "succeeded",
        "few": "succeeded",
        "sums": "reused",
        "fine": "reused",
    }


def test_other_words_of_the_source_count(bench: Bench, first: Walk) -> None:
    sources = {"s": {"kind": "csv", "path": "in.csv", "columns": {"n": "number"}}}
    done = Walk(bench, {**SPEC, "sources": sources}, params={"least": 0})
    assert isinstance(done.step("raw"), Succeeded)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("sums", {"sql": "select sum(n) + 0 * random() as n from few"}),
        ("sums", {"sql": "select sum(n) as n, now() as at from few"}),
        ("few", {"rules": [{"keep_rows": "n > 0 or now() is null"}]}),
    ],
)
def test_what_is_never_settled_is_never_reused(
    bench: Bench, first: Walk, step: str, words: dict[str, Any]
) -> None:
    told(walk(bench, **{step: words}))
    assert told(walk(bench, **{step: words}))[step] == "succeeded"


def test_the_limit_of_a_quarantine_counts(bench: Bench, first: Walk) -> None:
    limits = {"limits": {"max_quarantined": "1%"}}
    assert told(walk(bench, few=limits))["few"] == "succeeded"
    assert told(walk(bench, few=limits))["few"] == "reused"


CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: numbers
name: numbers
version: 1.0.0
status: active
schema:
  - name: numbers
    properties:
      - {name: n, logicalType: integer}
    quality:
      - {type: sql, query: "select QUERY from ${object}", mustBeGreaterThan: 0}
"""


@pytest.mark.parametrize(
    ("query", "again"),
    [("count(*)", "reused"), ("count(*) + cast(random() as integer)", "succeeded")],
)
def test_a_contract_that_asks_the_clock_is_asked_again(
    bench: Bench, first: Walk, query: str, again: str
) -> None:
    files = {"c.yaml": CONTRACT.replace("QUERY", query)}
    step = {"id": "valid", "kind": "validate", "input": "raw", "contract": "c.yaml"}
    spec = {**SPEC, "params": {}, "steps": [SPEC["steps"][0], step]}
    first_look = told(Walk(bench, spec, files=files))
    assert first_look == {"raw": "reused", "valid": "succeeded"}
    assert told(Walk(bench, spec, files=files))["valid"] == again
    changed = {"c.yaml": files["c.yaml"].replace("Than: 0", "Than: 1")}
    assert told(Walk(bench, spec, files=changed))["valid"] == "succeeded"


def test_run_time_is_fixed_for_a_run_and_another_in_the_next(bench: Bench, first: Walk) -> None:
    words = {"sql": "select sum(n) as n, $run_time as at from few"}
    told(walk(bench, sums=words))
    assert told(walk(bench, sums=words))["sums"] == "reused"
    later = walk(bench, sums=words)
    later.run_time += timedelta(seconds=1)
    assert told(later)["sums"] == "succeeded"


def test_what_is_wanted_anew_is_done_and_stands_from_then_on(bench: Bench, first: Walk) -> None:
    anew = walk(bench)
    anew.fresh = True
    assert set(told(anew).values()) == {"succeeded"}
    assert set(told(anew).values()) == {"succeeded"}
    result = walk(bench).step("raw")
    assert isinstance(result, Reused)
    assert result.from_run == anew.run


def test_a_missing_or_damaged_dataset_is_made_again(bench: Bench, first: Walk) -> None:
    path = Path(bench.artifacts.path_of(first.done["few"]))
    whole = path.read_bytes()
    for damage in (path.unlink, lambda: path.write_bytes(whole[:-9])):
        damage()
        assert told(walk(bench)) == {
            "raw": "reused",
            "few": "succeeded",
            "sums": "reused",
            "fine": "reused",
        }
        assert path.read_bytes() == whole


STEPS = "import helper\n\ndef twice(raw):\n    return helper.same(raw)\n"
PYTHON = {"sums": {"sql": "", "python": "steps:twice", "input": "raw"}}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("helper.py", "def same(raw):\n    return raw.slice(1)\n"),
        ("steps.py", STEPS.replace("twice(raw):", "twice(raw):  # as it is")),
    ],
    ids=["a helper", "a comment in the step"],
)
def test_changed_python_is_not_reused(bench: Bench, first: Walk, name: str, text: str) -> None:
    files = {"steps.py": STEPS, "helper.py": "def same(raw):\n    return raw\n"}
    assert told(walk(bench, files=files, **PYTHON))["sums"] == "succeeded"
    assert told(walk(bench, files=files, **PYTHON))["sums"] == "reused"
    assert told(walk(bench, files={**files, name: text}, **PYTHON))["sums"] == "succeeded"


@pytest.mark.parametrize("moment", ["before", "behind"])
def test_a_process_killed_around_the_keeping_of_its_outcome_does_no_harm(
    bench: Bench, tmp_path: Path, moment: str
) -> None:
    bench.write("in.csv", "n\n1\n2\n")
    spec = {**SPEC, "params": {}, "steps": SPEC["steps"][:2]}
    run = uuid4()
    command = [sys.executable, "-m", "tests.commands.steps.dying", str(tmp_path), str(run)]
    died = subprocess.run(
        [*command, msgspec.json.encode(spec).decode(), moment],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert died.returncode == -signal.SIGKILL
    again = Walk(bench, spec)
    again.run = run
    # The same run goes on: what it kept is its own, and no other run's.
    assert isinstance(again.step("raw"), Succeeded)
    result = again.step("few")
    assert isinstance(result, Succeeded)
    other = Walk(bench, spec)
    assert isinstance(other.step("raw"), Reused)
    reused = other.step("few")
    assert isinstance(reused, Reused)
    assert (reused.from_run, reused.outcome) == (run, result.outcome)


class Meeting(FileArtifacts):
    """Keeps nothing before two have done their work."""

    barrier = Barrier(2)

    def keep(self, key: str, kept: Kept, *, anew: bool = False) -> Kept:
        self.barrier.wait()
        return super().keep(key, kept, anew=anew)


def test_two_runs_at_once_of_the_same_content_each_have_their_own(tmp_path: Path) -> None:
    walks = []
    for _ in range(2):
        bench = Bench(tmp_path)
        bench.write("in.csv", "n\n1\n2\n")
        data = bench.data
        bench.artifacts = Meeting(data / "datasets", data / "keys", data / "datasets/tmp/1")
        walks.append(walk(bench))
    with ThreadPoolExecutor() as pool:
        results = [*pool.map(lambda one: one.step("raw"), walks)]
    assert all(isinstance(one, Succeeded) for one in results)
    assert walks[0].done == walks[1].done
    third = walk(Bench(tmp_path)).step("raw")
    assert isinstance(third, Reused)
    assert third.from_run in [one.run for one in walks]
