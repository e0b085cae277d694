"""What rules found, run by run: the quality view and its answers."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from domain.data.quality import CheckResult
from domain.errors import Malformed, NotFound, Rejection
from domain.ids import StreamId
from domain.run.commands import Failed, ReportStep, Succeeded
from domain.run.events import StepError, StepOutcome
from projections.checks import ChecksQuestion, checks
from projections.quality import QUALITY
from projections.questions import Document, asked
from projections.replay import verify
from tests.contracts.read_models import open_read_models
from tests.projections.histories import History, outcome
from tests.projections.support import ListLog, Stage

pytestmark = pytest.mark.anyio


def found(name: str, failing: int | None = 0, **more: Any) -> CheckResult:
    passed = more.pop("passed", not failing)
    return CheckResult(
        name=name,
        rule=more.pop("rule", f"{name}(a)"),
        passed=passed,
        checked_rows=100,
        failing_rows=failing,
        **more,
    )


def report(history: History, run: StreamId, *results: CheckResult, attempt: int = 1) -> None:
    """The step `flown` ends, in failure where a result is one."""
    history.claim(run, "flown", attempt)
    done: Succeeded | Failed
    if all(one.passed or one.severity == "warn" for one in results):
        whole = msgspec.structs.replace(outcome("flights", "flown", "0"), checks=results)
        done = Succeeded(outcome=whole)
    else:
        error = StepError(code="check_failed", message="no", retryable=True)
        done = Failed(error=error, outcome=StepOutcome(checks=results))
    history.send(run, ReportStep(step="flown", attempt=attempt, lease=attempt, outcome=done))


def a_run(history: History, *results: CheckResult, pipeline: str = "flights") -> StreamId:
    run = history.start(pipeline)
    history.claim(run, "raw")
    history.succeed(run, "raw")
    report(history, run, *results)
    return run


class Quality:
    """The answers about one history."""

    def __init__(self, folder: Path, history: History) -> None:
        self._folder = folder
        self.log = ListLog(history.records)

    async def ask(self, **arguments: Any) -> Document:
        async with open_read_models("memory", self._folder) as models:
            await Stage(QUALITY, self.log, models).worker.start()
            assert (await verify(self.log, models, [QUALITY])).ok
            answer = await checks(models, asked(ChecksQuestion, arguments))
        decoded: Document = msgspec.json.decode(msgspec.json.encode(answer))
        return decoded


@pytest.fixture
def history() -> History:
    return History()


async def test_a_rule_is_told_with_its_last_runs(tmp_path: Path, history: History) -> None:
    runs = [
        a_run(
            history,
            found("unique", number, severity="warn", tolerance="1%"),
            found("row_count", None, observed=f"rows = {number}"),
        )
        for number in (0, 3, 1)
    ]
    answer = await Quality(tmp_path, history).ask(runs=2)
    assert [one["name"] for one in answer["items"]] == ["row_count", "unique"]
    counted, unique = answer["items"]
    assert (counted["share"], counted["observed"], counted["passed"]) == (None, "rows = 1", True)
    assert (unique["pipeline"], unique["step"], unique["rule"]) == ("flights", "flown", "unique(a)")
    assert (unique["checked_rows"], unique["failing_rows"], unique["share"]) == (100, 1, 0.01)
    assert (unique["severity"], unique["tolerance"]) == ("warn", "1%")
    assert [one["run"] for one in unique["runs"]] == [str(runs[2].id), str(runs[1].id)]
    assert [one["share"] for one in unique["runs"]] == [0.01, 0.03]


async def test_the_latest_attempt_is_what_counts(tmp_path: Path, history: History) -> None:
    run = a_run(history, found("unique", 3), found("not_null", 1))
    report(history, run, found("unique", 0), attempt=2)
    answer = await Quality(tmp_path, history).ask()
    assert [(one["name"], one["passed"]) for one in answer["items"]] == [("unique", True)]
    assert len(answer["items"][0]["runs"]) == 1


async def test_what_failed_is_told(tmp_path: Path, history: History) -> None:
    run = a_run(history, found("unique", 3))
    report(history, run, found("unique", 2), attempt=2)
    (item,) = (await Quality(tmp_path, history).ask())["items"]
    assert (item["passed"], item["failing_rows"], item["share"]) == (False, 2, 0.02)


async def test_two_rules_of_one_name_are_two(tmp_path: Path, history: History) -> None:
    a_run(history, found("unique"), found("unique", 1, severity="warn"))
    answer = await Quality(tmp_path, history).ask()
    assert [one["name"] for one in answer["items"]] == ["unique", "unique (2)"]


@pytest.mark.parametrize(
    ("rule", "names"),
    [
        ("unique", ["by_id", "unique(b)"]),
        ("by_id", ["by_id"]),
        ("unique(b)", ["unique(b)"]),
        ("not_null", ["not_null"]),
    ],
)
async def test_rules_by_name_text_or_kind(
    tmp_path: Path, history: History, rule: str, names: list[str]
) -> None:
    a_run(
        history,
        found("by_id", rule="unique(a)"),
        found("unique(b)", rule="unique(b)"),
        found("not_null"),
    )
    answer = await Quality(tmp_path, history).ask(rule=rule)
    assert [one["name"] for one in answer["items"]] == names


async def test_pages_by_pipeline_step_and_name(tmp_path: Path, history: History) -> None:
    for pipeline in ("b", "a"):
        for number in range(3):
            results = [found(f"r{one}", number, severity="warn") for one in range(5)]
            a_run(history, *results, pipeline=pipeline)
    quality = Quality(tmp_path, history)
    names: list[tuple[str, str]] = []
    cursor = None
    while True:
        page = await quality.ask(limit=3, cursor=cursor)
        names += [(one["pipeline"], one["name"]) for one in page["items"]]
        assert all(len(one["runs"]) == 3 for one in page["items"])
        cursor = page["next"]
        if cursor is None:
            break
    assert names == [(pipeline, f"r{number}") for pipeline in "ab" for number in range(5)]
    with pytest.raises(Malformed):
        await quality.ask(cursor="x")


@pytest.mark.parametrize(
    ("of", "count"), [("flights", 1), ("flights.flown", 1), ("flown", 1), ("flights.raw", 0)]
)
async def test_a_pipeline_a_dataset_or_a_step(
    tmp_path: Path, history: History, of: str, count: int
) -> None:
    a_run(history, found("unique"))
    answer = await Quality(tmp_path, history).ask(of=of)
    assert len(answer["items"]) == count


async def test_what_is_not_there_is_told_with_names_near(tmp_path: Path, history: History) -> None:
    a_run(history, found("unique"))
    quality = Quality(tmp_path, history)
    with pytest.raises(NotFound) as told:
        await quality.ask(of="fligths")
    assert "flights" in told.value.hint
    with pytest.raises(NotFound) as told:
        await quality.ask(of="flights", rule="uniqe")
    assert "unique" in told.value.hint
    a_run(history, found("unique"), pipeline="weather")
    with pytest.raises(Rejection) as refused:
        await Quality(tmp_path, history).ask(of="flown")
    assert refused.value.details["candidates"] == ["flights.flown", "weather.flown"]
