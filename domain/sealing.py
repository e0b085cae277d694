"""Which ended runs are sealed, and which of them together."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from msgspec import Struct

from domain.ids import Position, StreamId

segment_events_max = 20_000
"""Events of one segment, as long as one run has not more: the store is locked while they leave it,
for some tenths of a second."""

segment_bytes_max = 64 * 1024 * 1024
"""Their bytes as stored, with the same exception: bounds the memory for writing and reading."""


class EndedRun(Struct, frozen=True, kw_only=True):
    """A run that has ended, all of whose events are in the live store."""

    stream: StreamId
    ended_at: datetime
    last: Position
    """Of the event that ended it."""
    events: int
    bytes: int
    """Of their states."""


class Segment(Struct, frozen=True, kw_only=True):
    """A file with all events of some runs, as the store knows of it."""

    name: str
    sha256: str
    first: Position
    last: Position
    events: int


def sealable(runs: Iterable[EndedRun], before: datetime, head: Position) -> Iterator[EndedRun]:
    """Runs that ended before a moment, in the order in which they are given.

    The newest event of the store stays where it is, so that the head of the store does too.
    """
    return (run for run in runs if run.ended_at < before and run.last < head)


def grouped(runs: Iterable[EndedRun]) -> Iterator[Sequence[EndedRun]]:
    """Runs that share a segment."""
    group: list[EndedRun] = []
    events = size = 0
    for run in runs:
        events, size = events + run.events, size + run.bytes
        if group and (events > segment_events_max or size > segment_bytes_max):
            yield group
            group, events, size = [], run.events, run.bytes
        group.append(run)
    if group:
        yield group
