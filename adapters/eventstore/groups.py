"""Appends of many callers, committed together.

    append ─┐                        one transaction, one sync
    append ─┼─► waiting ──► writer ──────────────────────────► store
    append ─┘                        answers to all of them

While one group is being synced the next one gathers, so that many callers cost one sync.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence

import anyio
from msgspec import Struct

from adapters.eventstore.mapper import Row
from commands.ports import Envelope
from domain.catalog import Catalog
from domain.envelope import check_places
from domain.errors import Conflict, Failure, Unavailable
from domain.ids import Position, StreamId, Version
from domain.record import Recorded, bounded_state

group_events_max = 5_000
"""Events in one transaction, as long as one caller's events are not more: bounds memory and the
time that a caller waits for others."""

Outcome = Sequence[Position] | Failure


class Append(Struct, frozen=True, eq=False):
    """One caller's events, waiting for their group."""

    stream: StreamId
    expected: Version
    envelopes: Sequence[Envelope]
    states: Sequence[bytes]
    answer: "asyncio.Future[Outcome]"


Commit = Callable[[Sequence[Append]], Awaitable[Sequence[Outcome]]]
"""Commits a group, synced to disk; an outcome for each. Raises `Unavailable` for all of them."""

Written = Callable[[Sequence[Recorded]], None]
"""Told the events of a group once they are committed, before their callers are answered."""


class GroupWriter:
    """Takes appends of many callers, and commits one group at a time."""

    def __init__(self, commit: Commit, written: Written, catalog: Catalog) -> None:
        self._commit = commit
        self._written = written
        self._catalog = catalog
        self._waiting: deque[Append] = deque()
        self._loop = asyncio.get_running_loop()
        self._writer: asyncio.Task[None] | None = None
        self._closed = False

    async def append(
        self, stream: StreamId, expected: Version, envelopes: Sequence[Envelope]
    ) -> Sequence[Position]:
        """Append all or none, synced to disk; a caller that gives up may find either. Raises as the
        port says."""
        check_places(stream, expected, envelopes)
        if not envelopes:
            return ()
        if self._closed:
            raise Unavailable("the event store is closed")
        states = [bounded_state(envelope, self._catalog) for envelope in envelopes]
        answer: asyncio.Future[Outcome] = self._loop.create_future()
        self._waiting.append(Append(stream, expected, envelopes, states, answer))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write(), name="event store writer")
        outcome = await answer
        if isinstance(outcome, Failure):
            raise outcome
        return outcome

    async def close(self) -> None:
        """Take no more, and finish what has begun."""
        self._closed = True
        if self._writer is not None:
            with anyio.CancelScope(shield=True):
                await asyncio.wait([self._writer])

    async def _write(self) -> None:
        try:
            while self._waiting:
                # Callers that are ready to run join this group instead of waiting for its sync.
                await asyncio.sleep(0)
                await self._write_group(self._next_group())
        finally:
            self._writer = None
            while self._waiting:
                _answer(self._waiting.popleft(), Unavailable("the event store's writer ended"))

    def _next_group(self) -> list[Append]:
        group: list[Append] = []
        room = group_events_max
        while self._waiting and (not group or len(self._waiting[0].states) <= room):
            append = self._waiting.popleft()
            if not append.answer.done():
                group.append(append)
                room -= len(append.states)
        return group

    async def _write_group(self, group: Sequence[Append]) -> None:
        outcomes: Sequence[Outcome]
        try:
            outcomes = await self._commit(group)
        except Unavailable as error:
            outcomes = [_copy(error) for _ in group]
        except BaseException:
            for append in group:
                _answer(append, Unavailable("the event store's writer was interrupted"))
            raise
        # Whoever has waited for the disk goes on before those who follow the store.
        for append, outcome in zip(group, outcomes, strict=True):
            _answer(append, outcome)
        written = _records(group, outcomes)
        if written:
            self._written(written)


def _answer(append: Append, outcome: Outcome) -> None:
    if not append.answer.done():
        append.answer.set_result(outcome)


def _records(group: Sequence[Append], outcomes: Sequence[Outcome]) -> list[Recorded]:
    """What was written, in order; the positions of one group follow each other."""
    return [
        Recorded(
            position=position,
            previous=position - 1,
            event_id=envelope.event_id,
            stream=append.stream,
            version=envelope.version,
            tag=envelope.tag,
            state=state,
        )
        for append, outcome in zip(group, outcomes, strict=True)
        if not isinstance(outcome, Failure)
        for position, envelope, state in zip(outcome, append.envelopes, append.states, strict=True)
    ]


def _copy(error: Unavailable) -> Unavailable:
    # Each caller raises an exception of its own; a shared one would gather their tracebacks.
    copy = type(error)(error.message, hint=error.hint)
    copy.__cause__ = error
    return copy


def first_versions(group: Iterable[Append]) -> dict[str, Version]:
    """The version of each stream of a group, if every append expects the right one."""
    versions: dict[str, Version] = {}
    for append in group:
        versions.setdefault(append.stream.id.hex, append.expected)
    return versions


def placed(
    group: Sequence[Append], position: Position, versions: dict[str, int]
) -> tuple[list[Outcome], list[Row]]:
    """What becomes of each append of a group behind `position`, and the rows to be written.

    `versions` of streams, by name, are moved on.
    """
    outcomes: list[Outcome] = []
    rows: list[Row] = []
    for append in group:
        name = append.stream.id.hex
        if versions[name] != append.expected:
            outcomes.append(Conflict(str(append.stream), append.expected))
            continue
        versions[name] += len(append.states)
        first = position + 1
        for envelope, state in zip(append.envelopes, append.states, strict=True):
            position += 1
            rows.append((position, name, envelope.version, envelope.tag, state))
        outcomes.append(range(first, position + 1))
    return outcomes, rows
