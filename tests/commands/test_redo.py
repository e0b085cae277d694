"""The command that puts rows back, as it meets others of its kind."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import anyio
import msgspec
import pytest

from adapters.clock import SystemClock
from commands.blueprint import Blueprints
from commands.dispatcher import CommandDispatcher
from commands.ports import Binder, Bound
from domain.data.dataset import DatasetVersion
from domain.pipeline.events import Definition
from domain.pipeline.planning import plan
from domain.pipeline.spec import bundle_hash, decode_spec, encode_spec
from domain.run.commands import Succeeded
from domain.run.events import StepOutcome, StepReused
from tests.commands.stage import FAILED, Stage, open_stage

pytestmark = pytest.mark.anyio


APART = DatasetVersion(dataset="flights.a.quarantine", fingerprint="9" * 64, rows=3, bytes=30)
SET_APART = msgspec.to_builtins(
    Succeeded(outcome=StepOutcome(rows_in=9, rows_out=6, quarantine=APART, rows_quarantined=3))
)
PUT_BACK = msgspec.to_builtins(Succeeded(outcome=StepOutcome(rows_in=9, rows_out=9, readmitted=3)))


class PlainBinder(Binder):
    """Takes a pipeline file at its word."""

    async def bind(
        self, spec: Mapping[str, Any], files: Mapping[str, str], root: str
    ) -> tuple[str, Bound]:
        read = decode_spec(spec)
        encoded = encode_spec(read)
        definition = Definition(
            bundle=bundle_hash(encoded, files),
            spec=msgspec.Raw(encoded),
            files={**files},
            root=root,
        )
        return read.pipeline, Bound(definition=definition, plan=plan(read), parallel=64)


def orders(**changed: dict[str, Any]) -> dict[str, Any]:
    """A pipeline that reads two files and joins them; `changed` has words of its parts."""
    columns = {"id": "integer"}
    parts: dict[str, dict[str, Any]] = {
        "s": {"kind": "csv", "path": "s.csv", "columns": columns},
        "t": {"kind": "csv", "path": "t.csv", "columns": columns},
        "raw": {"kind": "ingest", "source": "s"},
        "other": {"kind": "ingest", "source": "t"},
        "tidy": {"kind": "clean", "input": "raw", "rules": [{"drop_nulls": ["id"]}]},
        "joined": {
            "kind": "transform",
            "sql": "from tidy join other using (id)",
            "inputs": ["tidy", "other"],
        },
    }
    parts = {name: part | changed.get(name, {}) for name, part in parts.items()}
    return {
        "pipeline": "flights",
        "sources": {name: parts[name] for name in ("s", "t")},
        "steps": [{"id": name, **parts[name]} for name in ("raw", "other", "tidy", "joined")],
    }


@asynccontextmanager
async def open_orders(other: Any) -> AsyncIterator[tuple[Stage, str]]:
    """A stage with a finished run of that pipeline, whose steps have all set rows apart; `other`
    is what came of the step of that name."""
    async with open_stage() as stage:
        stage.dispatcher = CommandDispatcher(
            stage.actors, stage.store, PlainBinder(), SystemClock(), Blueprints()
        )
        registered = await stage.send("pipeline.register", spec=orders())
        assert registered["status"] == "accepted", registered
        run = str((await stage.send("run.start", pipeline="flights"))["run"])
        for step, outcome in (("raw", SET_APART), ("other", other), ("tidy", SET_APART)):
            await stage.reported(await stage.claimed(run, step), outcome)
        assert (await stage.reported(await stage.claimed(run, "joined")))["status"] == "accepted"
        yield stage, run


async def redone(stage: Stage, run: str, step: str, **changed: dict[str, Any]) -> Any:
    """What is taken over where rows are tried with a changed pipeline, or why they are not."""
    registered = await stage.send("pipeline.register", spec=orders(**changed))
    revision = registered["revision"]
    reply = await stage.send("run.redo", run=run, step=step, revision=revision)
    if reply["status"] == "rejected":
        return (reply["code"], reply["details"])
    data = [one.data for one in await stage.history(reply["stream"])]
    assert data[0].revision == revision
    return {one.step for one in data if isinstance(one, StepReused)}


NULLS = {"nulls": ["x"]}


@pytest.mark.parametrize(
    ("step", "changed", "taken"),
    [
        ("raw", {"s": NULLS}, {"other"}),
        ("raw", {"s": NULLS, "t": NULLS}, set()),
        ("raw", {"s": NULLS, "other": {"description": "words"}}, {"other"}),
        ("tidy", {"tidy": {"rules": [{"keep_rows": "id > 1"}]}}, {"raw", "other"}),
        ("tidy", {"joined": {"sql": "from tidy", "inputs": ["tidy"]}}, {"raw", "other"}),
        ("tidy", {"s": NULLS}, ("step_changed", {"step": "raw"})),
    ],
)
async def test_rows_are_tried_with_another_revision(step: str, changed: Any, taken: Any) -> None:
    async with open_orders(SET_APART) as (stage, run):
        assert await redone(stage, run, step, **changed) == taken


async def test_what_was_put_back_beside_the_step_is_not_lost() -> None:
    async with open_orders(PUT_BACK) as (stage, run):
        refused = await redone(stage, run, "raw", s=NULLS, t=NULLS)
        assert refused == ("step_changed", {"step": "other"})
        assert await redone(stage, run, "raw", s=NULLS) == {"other"}


async def test_a_revision_that_is_not_there_is_told() -> None:
    async with open_orders(SET_APART) as (stage, run):
        reply = await stage.send("run.redo", run=run, step="raw", revision=9)
        assert reply["code"] == "revision_not_found"


async def test_rows_that_were_set_apart_are_put_back_once() -> None:
    async with open_stage() as stage:
        run = await stage.started("a", "b: a")
        await stage.reported(await stage.claimed(run, "a"), SET_APART)
        asked = {"run": run, "step": "a", "rows": "mended.csv"}
        assert (await stage.send("run.redo", asked))["code"] == "run_not_finished"
        await stage.reported(await stage.claimed(run, "b"))
        unchanged = await stage.send("run.redo", run=run, step="a")
        assert unchanged["code"] == "nothing_changed"
        nothing = await stage.send("run.redo", {**asked, "step": "b"})
        assert nothing["code"] == "nothing_quarantined"
        id_ = str(uuid4())
        first = await stage.send("run.redo", {**asked, "command_id": id_})
        assert first["events"][0] == "run.started.v1"
        assert await stage.send("run.redo", {**asked, "command_id": id_}) == first
        second = await stage.send("run.redo", asked)
        assert (second["code"], second["details"]) == ("redo_open", {"run": first["run"]})
        work = await stage.claimed(first["run"], "a")
        assert (work["redo"]["run"], work["redo"]["rows"]) == (run, "mended.csv")
        assert (await stage.reported(work, FAILED))["events"][-1] == "run.failed.v1"
        third = await stage.send("run.redo", asked)
        assert third["status"] == "accepted"
        assert third["run"] not in (run, first["run"])
        reply = await stage.reported(await stage.claimed(third["run"], "a"), PUT_BACK)
        assert "run.quarantine_settled.v1" in reply["events"]
        assert "redo" not in await stage.claimed(third["run"], "b")
        again = await stage.send("run.redo", asked)
        assert (again["code"], again["details"]) == ("already_settled", {"run": third["run"]})


async def test_two_that_put_the_same_rows_back_at_once_do_so_once() -> None:
    async with open_stage() as stage:
        run = await stage.started("a")
        await stage.reported(await stage.claimed(run, "a"), SET_APART)
        replies = []

        async def ask() -> None:
            replies.append(await stage.send("run.redo", run=run, step="a", rows="mended.csv"))

        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(ask)
        codes = [reply.get("code") for reply in replies]
        assert sorted(map(str, codes)) == ["None", "redo_open", "redo_open", "redo_open"]


async def test_rows_of_an_unknown_run_are_not_put_back() -> None:
    async with open_stage() as stage:
        reply = await stage.send("run.redo", run=str(uuid4()), step="a", rows="mended.csv")
        assert reply["code"] == "run_not_found"
