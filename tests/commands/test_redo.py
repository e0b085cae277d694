"""The command that puts rows back, as it meets others of its kind."""

from uuid import uuid4

import anyio
import msgspec
import pytest

from domain.data.dataset import DatasetVersion
from domain.run.commands import Succeeded
from domain.run.events import StepOutcome
from tests.commands.stage import FAILED, open_stage

pytestmark = pytest.mark.anyio

APART = DatasetVersion(dataset="flights.a.quarantine", fingerprint="9" * 64, rows=3, bytes=30)
SET_APART = msgspec.to_builtins(
    Succeeded(outcome=StepOutcome(rows_in=9, rows_out=6, quarantine=APART, rows_quarantined=3))
)
PUT_BACK = msgspec.to_builtins(Succeeded(outcome=StepOutcome(rows_in=9, rows_out=9, readmitted=3)))


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
