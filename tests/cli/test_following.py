"""Following a run to its end, and Ctrl-C on the way."""

import os
import signal
from collections.abc import Mapping
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from domain.errors import Rejection, TimedOut, Unavailable
from runtime.cli.exits import Exit
from runtime.cli.following import follow_and_tell
from runtime.cli.sessions import Serving
from runtime.session import Document, Session, follow, whole_run
from tests.cli import samples
from tests.cli.consoles import plain_console, printed, said

pytestmark = pytest.mark.anyio


class PlayedSession(Session):
    """A session that plays documents: one for each question, the last one for ever."""

    def __init__(self, *documents: Document) -> None:
        self._documents = list(documents)
        self.commands: list[tuple[str, Mapping[str, Any]]] = []
        self.asked: list[Mapping[str, Any]] = []
        self.after_cancel: Document | None = None
        self.refusal: Rejection | None = None
        self.interrupted_at = 0

    async def command(self, command: str, payload: Mapping[str, Any]) -> Document:
        self.commands.append((command, payload))
        if self.refusal is not None:
            raise self.refusal
        if self.after_cancel is not None:
            self._documents = [self.after_cancel]
        return {"status": "accepted", "events": ["run.cancel_requested.v1"]}

    async def query(self, name: str, arguments: Mapping[str, Any]) -> Document:
        assert name == "monitoring.run"
        self.asked.append(arguments)
        await anyio.lowlevel.checkpoint()
        if len(self.asked) == self.interrupted_at:
            os.kill(os.getpid(), signal.SIGINT)
        if len(self._documents) > 1:
            return self._documents.pop(0)
        document = self._documents[0]
        if arguments.get("min_position") and document["status"] == "running":
            raise TimedOut("nothing new")
        return document

    async def definition(self, pipeline: str, revision: int) -> Document:
        raise NotImplementedError

    async def request(self, subject: str, payload: bytes) -> bytes:
        raise Unavailable("not here")

    async def services(self) -> Document:
        raise Unavailable("not here")

    async def verify(self, *, repair: bool) -> Document:
        raise Unavailable("not here")

    async def replay(self, view: str) -> Document:
        raise Unavailable("not here")


async def _no_rest(_seconds: float) -> None:
    await anyio.lowlevel.checkpoint()


def _at(position: int, status: str, *steps: str) -> Document:
    done = [samples.step(name, "clean", rows_out=1) for name in steps]
    return samples.run(status, done, position=position)


async def test_each_change_comes_once_and_the_end_is_the_last() -> None:
    one, two, three = _at(1, "running"), _at(5, "running", "a"), _at(9, "completed", "a", "b")
    session = PlayedSession(one, {**one, "position": 3}, two, three)
    seen = [document["position"] async for document in follow(session, samples.RUN, _no_rest)]
    assert seen == [1, 5, 9]
    assert [asked.get("min_position") for asked in session.asked] == [0, 2, 4, 6]


async def test_a_run_of_many_steps_comes_in_pages() -> None:
    first, second = _at(1, "completed", "a"), _at(1, "completed", "b")
    session = PlayedSession({**first, "steps_next": "0"}, second)
    document = await whole_run(session, samples.RUN)
    assert [step["id"] for step in document["steps"]] == ["a", "b"]
    assert [asked.get("cursor") for asked in session.asked] == [None, "0"]


async def test_no_news_is_no_error() -> None:
    one = _at(1, "running")
    session = PlayedSession(one)
    documents = follow(session, samples.RUN, _no_rest)
    assert await anext(documents) == one
    with anyio.move_on_after(0.05):
        await anext(documents)
    assert len(session.asked) > 2


async def test_the_end_decides_the_exit_code() -> None:
    console = plain_console()
    serving = Serving(PlayedSession(_at(1, "running"), _at(2, "completed", "a")))
    code = await follow_and_tell(console, serving, samples.RUN, json=False)
    assert code == Exit.DONE
    assert "completed" in printed(console)
    assert "a succeeded" in said(console)


async def test_as_json_the_run_is_one_object_on_stdout() -> None:
    console = plain_console()
    serving = Serving(PlayedSession(samples.failed()))
    code = await follow_and_tell(console, serving, samples.RUN, json=True)
    assert code == Exit.FAILED
    assert printed(console).startswith('{\n  "run": "019ab0c2')


async def test_ctrl_c_on_anothers_service_detaches() -> None:
    console = plain_console()
    session = PlayedSession(_at(1, "running"))
    session.interrupted_at = 3
    code = await follow_and_tell(console, Serving(session), samples.RUN, json=False)
    assert code == Exit.INTERRUPTED
    assert session.commands == []
    assert f"headwater watch {samples.RUN}" in said(console)
    assert f"headwater cancel {samples.RUN}" in said(console)


async def test_ctrl_c_on_a_run_of_our_own_cancels_it() -> None:
    console = plain_console()
    session = PlayedSession(_at(1, "running"))
    session.interrupted_at = 3
    session.after_cancel = _at(4, "cancelled")
    code = await follow_and_tell(console, Serving(session, hosting=True), samples.RUN, json=False)
    assert code == Exit.FAILED
    assert [command for command, _ in session.commands] == ["run.cancel"]
    assert "Ctrl-C again stops at once" in said(console)
    assert "cancelled" in printed(console)


async def test_a_cancel_that_comes_too_late_is_told() -> None:
    console = plain_console()
    session = PlayedSession(_at(1, "running"), *[_at(2, "running")] * 60, _at(3, "completed"))
    session.interrupted_at = 3
    session.refusal = Rejection("run_finished", "the run has ended")
    code = await follow_and_tell(console, Serving(session, hosting=True), samples.RUN, json=False)
    assert code == Exit.DONE
    assert "could not be cancelled: the run has ended" in said(console)


async def test_a_terminated_host_leaves_its_run_for_later() -> None:
    console = plain_console()
    session = PlayedSession(_at(1, "running"))
    serving = Serving(session, hosting=True)
    async with anyio.create_task_group() as group:

        async def terminate() -> None:
            while len(session.asked) < 3:
                await anyio.lowlevel.checkpoint()
            os.kill(os.getpid(), signal.SIGTERM)

        group.start_soon(terminate)
        code = await follow_and_tell(console, serving, samples.RUN, json=False)
    assert code == Exit.INTERRUPTED
    assert serving.leaving
    assert session.commands == []
    assert "goes on when a service is started here again" in said(console)
