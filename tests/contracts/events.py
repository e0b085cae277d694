"""Envelopes for suites that care about the order of events, not about what they say."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from adapters.clock import SystemClock
from domain.catalog import CATALOG
from domain.envelope import EventEnvelope, Metadata
from domain.ids import StreamId, run_stream
from domain.run.events import StepSkipped

AT = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)

_clock = SystemClock()


def new_stream() -> StreamId:
    """The stream of a new run."""
    return run_stream(_clock.new_id())


def metadata(command_id: UUID | None = None) -> Metadata:
    """Where a test's events come from."""
    command = command_id or uuid4()
    return Metadata(
        command_id=command,
        command_type="run.start",
        payload_hash="0" * 64,
        correlation_id=command,
        causation_id=command,
        principal="test:ada",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )


def envelope(stream: StreamId, version: int, event: object) -> EventEnvelope[Any]:
    """One event of a stream."""
    return EventEnvelope(
        event_id=_clock.new_id(),
        stream=stream,
        version=version,
        tag=CATALOG.tag_of(event),
        recorded_at=AT,
        metadata=metadata(),
        data=event,
    )


def envelopes(stream: StreamId, after: int, count: int) -> Sequence[EventEnvelope[Any]]:
    """`count` events behind version `after`."""
    return [
        envelope(stream, version, StepSkipped(step=f"s{version}", because="s0"))
        for version in range(after + 1, after + count + 1)
    ]
