"""The cheap proof between two full comparisons: were all events applied, each once, in order?"""

from collections.abc import Sequence, Set

from msgspec import Struct

from domain.ids import Position
from projections.limits import log_events_max
from projections.ports import Checkpoint, EventLog, ReadModels
from projections.projection import Projection, beginning, checkpoint_behind
from projections.stretch import up_to


class Completeness(Struct, frozen=True, kw_only=True):
    """A view's count and digest beside those of the store, up to the view's position."""

    name: str
    ok: bool
    position: Position
    head: Position
    """Of the store; a view behind it is late, not incomplete."""
    events: int
    events_expected: int
    digest: str
    digest_expected: str


async def check(
    log: EventLog, read_models: ReadModels, projections: Sequence[Projection]
) -> list[Completeness]:
    """Hold views' checkpoints against the ids of all events up to them, without folding them.

    It tells an event that was skipped, applied twice, exchanged or taken in the wrong order. What
    was done to a view's rows afterwards is found by `projections.replay.verify` only.
    """
    head = await log.head()
    known = [await read_models.checkpoint(one.name, one.version) for one in projections]
    counted = await _count(log, {place.position if place else 0 for place in known})
    return [
        _held(projection.name, place, counted[place.position if place else 0], head)
        for projection, place in zip(projections, known, strict=True)
    ]


def _held(name: str, known: Checkpoint | None, counted: Checkpoint, head: Position) -> Completeness:
    place = known or counted
    return Completeness(
        name=name,
        ok=known == counted,
        position=place.position,
        head=head,
        events=place.events,
        events_expected=counted.events,
        digest=place.digest,
        digest_expected=counted.digest,
    )


async def _count(log: EventLog, positions: Set[Position]) -> dict[Position, Checkpoint]:
    """The checkpoints that views at `positions` should have, in one pass over the log."""
    place = beginning(log)
    counted = {}
    for position in sorted(positions):
        while place.position < position:
            passed = up_to(await log.stretch(place.position, log_events_max), position)
            if not passed:
                break
            place = checkpoint_behind(place, passed)
        counted[position] = place
    return counted
