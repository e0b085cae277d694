"""A stretch of the log: events that follow each other, as columns.

Views are folded from millions of events. What they need of one stands side by side here, so that no
object is made for an event that nobody wants to see.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Struct

from domain.ids import Position
from domain.record import Recorded


class Stretch(Struct, frozen=True, kw_only=True, gc=False):
    """Events in order, with none missing between them; all columns have the same length."""

    previous: Position
    """Position of the event before the first; 0 before the first of all."""
    positions: Sequence[Position]
    event_ids: Sequence[int]
    """As the numbers that UUIDs are."""
    streams: Sequence[str]
    """The ids of their streams, such as the run's."""
    tags: Sequence[str]
    states: Sequence[bytes]
    """JSON of `StoredState`."""

    def __len__(self) -> int:
        return len(self.positions)


def stretch_of(records: Iterable[Recorded]) -> Stretch:
    """Records as far as they follow each other: it ends where one is missing."""
    chain: list[Recorded] = []
    for record in records:
        if chain and record.previous != chain[-1].position:
            break
        chain.append(record)
    return Stretch(
        previous=chain[0].previous if chain else 0,
        positions=[record.position for record in chain],
        event_ids=[record.event_id.int for record in chain],
        # to_builtins writes a UUID as text four times as fast as str.
        streams=[msgspec.to_builtins(record.stream.id) for record in chain],
        tags=[record.tag for record in chain],
        states=[record.state for record in chain],
    )


def up_to(stretch: Stretch, position: Position) -> Stretch:
    """The events up to `position`."""
    return part_of(stretch, bisect_right(stretch.positions, position))


def part_of(stretch: Stretch, count: int) -> Stretch:
    """The first `count` events."""
    if count >= len(stretch):
        return stretch
    return Stretch(
        previous=stretch.previous,
        positions=stretch.positions[:count],
        event_ids=stretch.event_ids[:count],
        streams=stretch.streams[:count],
        tags=stretch.tags[:count],
        states=stretch.states[:count],
    )
