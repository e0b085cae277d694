"""Answers about the events themselves, from the log."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from domain.envelope import EventEnvelope
from domain.errors import Malformed, NotFound
from domain.ids import Position, StreamId, pipeline_stream, run_stream
from domain.record import Recorded, read_state, to_state
from domain.run.events import RunStarted
from projections.limits import (
    page_bytes_max,
    scan_chunk_events_max,
    scan_events_max,
    scan_skew_seconds,
)
from projections.ports import EventLog, EventStreams, ReadModels
from projections.questions import Document, PageQuestion, Text, number_of


class EventsQuestion(PageQuestion, frozen=True, kw_only=True):
    """Arguments of `events.list`. Each filter that is given must fit."""

    run: UUID | None = None
    pipeline: Text | None = None
    """Its own events and those of its runs."""
    tag: Text | None = None
    """With or without its version: `run.failed` or `run.failed.v1`."""
    since: datetime | None = None
    after: Annotated[int, Meta(ge=0)] | Annotated[str, Meta(max_length=32)] | None = None
    """Only behind this position; the same as `cursor`."""


class Sources(Struct, frozen=True):
    """Where events are read from."""

    log: EventLog
    streams: EventStreams
    models: ReadModels


async def events(sources: Sources, question: EventsQuestion) -> Document:
    """A page of events, oldest first. Raises `NotFound` for a run without events.

    A page may have fewer items than asked for, even none, and a cursor in `next` all the same:
    then there is more to look at.
    """
    after = _after(question)
    if question.run is not None:
        chunks = _stream(sources, run_stream(question.run), after)
    else:
        if question.since is not None:
            after = max(after, await _place_before(sources.log, question.since))
        chunks = _log(sources.log, after, question.limit)
    wanted = _Wanted(sources, question)
    items: list[Document] = []
    size = looked = 0
    async with aclosing(chunks):
        async for chunk in chunks:
            for record in chunk:
                if await wanted.fits(record):
                    size += len(record.state)
                    if items and size > page_bytes_max:
                        return {"items": items, "next": str(after)}
                    items.append(document_of(record))
                after = record.position
                if len(items) == question.limit:
                    more = after < await sources.log.head()
                    return {"items": items, "next": str(after) if more else None}
            looked += len(chunk)
            if looked >= scan_events_max:
                return {"items": items, "next": str(after)}
    return {"items": items, "next": None}


def document_of(record: Recorded) -> Document:
    """An event as JSON tells it; one that cannot be read has a `problem` instead of data."""
    told: Document = {
        "position": record.position,
        "event_id": str(record.event_id),
        "stream": str(record.stream),
        "version": record.version,
        "tag": record.tag,
    }
    try:
        state = read_state(record.state)
        data = msgspec.json.decode(state.data)
    except (Malformed, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return {**told, **dict.fromkeys(_STATE), "problem": str(error)}
    return {
        **told,
        "recorded_at": msgspec.to_builtins(state.recorded_at),
        "principal": state.principal,
        "command_id": str(state.command_id),
        "command_type": state.command_type,
        "correlation_id": str(state.correlation_id),
        "causation_id": str(state.causation_id),
        "traceparent": state.traceparent,
        "data": data,
    }


_STATE = (
    "recorded_at",
    "principal",
    "command_id",
    "command_type",
    "correlation_id",
    "causation_id",
    "traceparent",
    "data",
)


def _after(question: EventsQuestion) -> Position:
    if isinstance(question.after, int):
        return question.after
    return number_of(question.after or question.cursor, 0)


async def _log(
    log: EventLog, after: Position, limit: int
) -> AsyncGenerator[Sequence[Recorded], None]:
    """First as many as fill a page if all fit, then more at once, where few do."""
    while chunk := await log.read(after, limit):
        yield chunk
        after = chunk[-1].position
        limit = min(2 * limit, scan_chunk_events_max)


async def _stream(
    sources: Sources, stream: StreamId, after: Position
) -> AsyncGenerator[Sequence[Recorded], None]:
    envelopes = await sources.streams.load(stream)
    if not envelopes:
        raise NotFound(f"there is no run {stream.id}", hint="`headwater runs` lists them")
    yield [_record(envelope) for envelope in envelopes if envelope.position > after]


def _record(envelope: EventEnvelope[Any]) -> Recorded:
    return Recorded(
        position=envelope.position,
        previous=0,
        event_id=envelope.event_id,
        stream=envelope.stream,
        version=envelope.version,
        tag=envelope.tag,
        state=to_state(envelope),
    )


async def _place_before(log: EventLog, since: datetime) -> Position:
    """A position before all events recorded from `since` on; found by halving."""
    bound = _utc(since) - timedelta(seconds=scan_skew_seconds)
    low, high = 0, await log.head()
    while low < high:
        middle = (low + high) // 2
        behind = await log.read(middle, 1)
        if not behind or read_state(behind[0].state).recorded_at >= bound:
            high = middle
        else:
            low = behind[0].position
    return low


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class _Wanted:
    """Whether events fit a question; knows the pipelines of runs that it has met."""

    def __init__(self, sources: Sources, question: EventsQuestion) -> None:
        self._sources = sources
        self._tag = question.tag
        self._since = _utc(question.since) if question.since else None
        self._pipeline = question.pipeline
        self._own = pipeline_stream(question.pipeline) if question.pipeline else None
        self._runs: dict[StreamId, bool] = {}

    async def fits(self, record: Recorded) -> bool:
        """All filters, the cheap ones first."""
        if self._tag is not None and self._tag not in (record.tag, record.tag.rpartition(".")[0]):
            return False
        if self._since is not None and read_state(record.state).recorded_at < self._since:
            return False
        return self._own is None or record.stream == self._own or await self._is_run(record.stream)

    async def _is_run(self, stream: StreamId) -> bool:
        if stream.category != "run":
            return False
        known = self._runs.get(stream)
        if known is None:
            known = await self._pipeline_of(stream) == self._pipeline
            self._runs[stream] = known
        return known

    async def _pipeline_of(self, stream: StreamId) -> str | None:
        rows = await self._sources.models.query(
            "monitoring.pipeline_of_run", {"run": str(stream.id)}
        )
        if rows:
            return str(rows[0]["pipeline"])
        # The view may not have seen a new run yet; its first event says it, too.
        for envelope in await self._sources.streams.load(stream):
            if isinstance(envelope.data, RunStarted):
                return envelope.data.pipeline
        return None
