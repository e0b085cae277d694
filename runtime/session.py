"""What every door (command line, later REST and page) needs from a service, wherever it runs.

A `Session` is a way to one data directory: over NATS to whoever holds it, or straight to the files
when nobody does. `runtime.wiring` makes sessions; the doors know only what stands here.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

from msgspec import Struct

from domain.errors import Rejection, TimedOut

Document = dict[str, Any]
"""A JSON object in one of the shapes that scripts rely on (docs/reference)."""


class Session(Protocol):
    """Commands and queries against one store.

    Every method raises `Rejection` where the rules refuse, `NotFound` for an unknown name,
    `Malformed` for arguments that cannot be read, `Unavailable` where nobody answers, `TimedOut`.
    """

    async def command(self, command: str, payload: Mapping[str, Any]) -> Document:
        """Send a command such as `run.start`; returns the accepted reply."""
        ...

    async def query(self, name: str, arguments: Mapping[str, Any]) -> Document:
        """Ask a view, such as `monitoring.run`; every answer has a `position`."""
        ...

    async def definition(self, pipeline: str, revision: int) -> Document:
        """What a revision says: `{"bundle", "spec", "files", "root"}`; empty ones are left out."""
        ...

    async def request(self, subject: str, payload: bytes) -> bytes:
        """Send bytes to any subject and return the answer's bytes."""
        ...

    async def services(self) -> Document:
        """Everybody who answers: `{"items": [{"name", "id", "version", "role", "healthy", …}]}`."""
        ...

    async def verify(self, *, repair: bool) -> Document:
        """Hold every view against a fresh fold of the store; put right what differs if asked."""
        ...

    async def replay(self, view: str) -> Document:
        """Rebuild a view beside the live one, tell the differences, and swap."""
        ...


class Service(Protocol):
    """A service hosted by this process, ready."""

    @property
    def url(self) -> str:
        """Where its NATS listens."""
        ...

    @property
    def resumed(self) -> Sequence[UUID]:
        """Runs that were open when it started, and go on."""
        ...

    async def idle(self) -> None:
        """Return when no run is open and no client of another process is attached."""
        ...

    async def failed(self) -> str:
        """Return the reason when a part has given up for good; else never."""
        ...


class PipelineFile(Protocol):
    """A pipeline file as read from disk, ready to be sent."""

    @property
    def pipeline(self) -> str:
        """The name in it."""
        ...

    @property
    def spec(self) -> Mapping[str, object]:
        """What it says."""
        ...

    @property
    def files(self) -> Mapping[str, str]:
        """SQL files and Python modules that it names: path relative to `root` → text."""
        ...

    @property
    def root(self) -> str:
        """The folder that relative paths start from."""
        ...

    def placed(self, rejection: Rejection) -> Rejection:
        """The same rejection, each of whose problems says where in the file it stands."""
        ...


class Rows(Struct, frozen=True, kw_only=True):
    """Rows of a dataset."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: Sequence[Sequence[Any]]
    """Values as JSON has them: numbers, texts, truth values, None, lists, objects."""
    more: bool = False
    """Whether the limit has cut something off."""


follow_seconds = 1.0
"""How long a follower lets the service wait for news before it asks again."""

rest_seconds_max = 0.03
"""Longest rest between two looks at a run: what changes oftener is seen together. Much shorter
than the time after which a service that is waiting for its end takes a client for gone."""

_REST_SECONDS_PER_STEP = 0.00015


async def follow(
    session: Session, run: str, rest: Callable[[float], Awaitable[None]], *, since: int = 0
) -> AsyncIterator[Document]:
    """The run's document now and after each change, up to and including the one that ended it.

    `since` is the position at which the run is known to be there. `rest` sleeps between two looks,
    longer for large runs. Raises what `Session.query` raises, `TimedOut` excepted: no news is no
    error.
    """
    document = await session.query("monitoring.run", {"run": run, "min_position": since})
    yield document
    while document["status"] == "running":
        await rest(min(rest_seconds_max, _REST_SECONDS_PER_STEP * len(document["steps"])))
        seen = document
        document = await news(
            session, "monitoring.run", {"run": run, "timeout": follow_seconds}, seen["position"]
        )
        if {**document, "position": None} != {**seen, "position": None}:
            yield document


async def whole_run(session: Session, run: str) -> Document:
    """A run with all its steps, however many. Raises what `Session.query` raises."""
    document = await session.query("monitoring.run", {"run": run})
    steps, cursor = [*document["steps"]], document.get("steps_next")
    while cursor:
        page = await session.query("monitoring.run", {"run": run, "cursor": cursor})
        steps += page["steps"]
        cursor = page.get("steps_next")
    return {**document, "steps": steps}


async def news(
    session: Session, name: str, arguments: Mapping[str, Any], position: int
) -> Document:
    """Ask until the view has seen something behind `position`, or it says so itself in time."""
    try:
        return await session.query(name, {**arguments, "min_position": position + 1})
    except TimedOut:
        return await session.query(name, arguments)
