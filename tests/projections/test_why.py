"""What led to a run or a step, and what it waits for, from the facts alone."""

from typing import Any
from uuid import UUID

import pytest

from domain.errors import NotFound
from domain.limits import offered_max
from projections.why import WhyQuestion, why
from tests.commands.stage import FAILED, Stage, open_stage

pytestmark = pytest.mark.anyio


async def told(stage: Stage, run: str, step: str | None = None) -> dict[str, Any]:
    return await why(stage.store, WhyQuestion(run=UUID(run), step=step))


def tags(answer: dict[str, Any]) -> list[str]:
    return [f"{one['tag']} {one['data'].get('step', '')}".strip() for one in answer["chain"]]


async def test_a_step_is_traced_to_its_revision_and_to_what_made_it_ready() -> None:
    async with open_stage() as stage:
        run = await stage.started("a", "b: a")
        await stage.reported(await stage.claimed(run, "a"))
        await stage.reported(await stage.claimed(run, "b"))
        answer = await told(stage, run, "b")
        assert tags(answer) == [
            "pipeline.registered.v1",
            "run.started.v1",
            "run.data_processed.v1 a",
            "run.step_scheduled.v1 b",
            "run.step_started.v1 b",
            "run.data_processed.v1 b",
        ]
        assert (answer["status"], answer["waiting_for"]) == ("succeeded", [])
        revision, start, cause = answer["chain"][:3]
        assert (revision["command_type"], start["command_type"]) == (
            "pipeline.register",
            "run.start",
        )
        assert (cause["command_type"], cause["principal"]) == ("run.report", "test:ada")
        assert start["traceparent"] == "00-" + "a" * 32 + "-" + "b" * 16 + "-01"


async def test_a_step_waits_for_those_before_it_and_says_who_has_them() -> None:
    async with open_stage() as stage:
        run = await stage.started("a", "b", "c: a b")
        await stage.claimed(run, "a")
        answer = await told(stage, run, "c")
        assert answer["status"] == "waiting"
        assert answer["waiting_for"] == [
            {
                "for": "step",
                "step": "a",
                "status": "running",
                "worker": "w1",
                "attempt": 1,
                "lease": 1,
            },
            {"for": "step", "step": "b", "status": "scheduled"},
        ]
        assert (await told(stage, run, "b"))["waiting_for"] == [
            {"for": "worker", "step": "b", "attempt": 1}
        ]
        assert [one["step"] for one in (await told(stage, run))["waiting_for"]] == ["a", "b"]


async def test_a_step_that_waits_for_a_place_says_so() -> None:
    async with open_stage() as stage:
        steps = [f"s{number:02}" for number in range(70)]
        run = await stage.started(*steps)
        answer = await told(stage, run, "s69")
        assert answer["waiting_for"] == [{"for": "turn", "before": offered_max}]
        for step in steps[:64]:
            await stage.claimed(run, step)
        answer = await told(stage, run, "s69")
        assert answer["waiting_for"] == [{"for": "place", "parallel": 64, "open": 64}]


async def test_a_failed_run_names_its_failure_and_a_skipped_step_its_reason() -> None:
    async with open_stage() as stage:
        run = await stage.started("a", "b: a")
        await stage.reported(await stage.claimed(run, "a"), FAILED)
        answer = await told(stage, run)
        assert answer["status"] == "failed"
        assert tags(answer)[-2:] == ["run.step_failed.v1 a", "run.failed.v1 a"]
        assert answer["chain"][-2]["data"]["error"]["code"] == "sql_error"
        skipped = await told(stage, run, "b")
        assert skipped["status"] == "skipped"
        assert tags(skipped)[-2:] == ["run.step_failed.v1 a", "run.step_skipped.v1 b"]
        assert skipped["chain"][-1]["data"]["because"] == "a"
        assert (await told(stage, run, "a"))["status"] == "failed"


async def test_a_cancelled_run_says_who_asked() -> None:
    async with open_stage() as stage:
        run = await stage.started("a", "b: a")
        await stage.send("run.cancel", run=run, reason="no longer needed")
        answer = await told(stage, run)
        assert answer["status"] == "cancelled"
        assert answer["chain"][-2]["data"]["reason"] == "no longer needed"
        assert (await told(stage, run, "b"))["status"] == "cancelled"


async def test_what_is_not_there_is_told() -> None:
    async with open_stage() as stage:
        run = await stage.started("first", "second")
        with pytest.raises(NotFound, match="no run"):
            await told(stage, str(UUID(int=7)))
        with pytest.raises(NotFound, match="no step 'frist'") as caught:
            await told(stage, run, "frist")
        assert caught.value.hint == "did you mean first?"
