"""The cheap proof between two full comparisons: were all events applied, each once, in order?"""

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


async def check(log: EventLog, read_models: ReadModels, projection: Projection) -> Completeness:
    """Hold a view's checkpoint against the ids of all events up to it, without folding them.

    It tells an event that was skipped, applied twice, exchanged or taken in the wrong order. What
    was done to the view's rows afterwards is found by `projections.replay.verify` only.
    """
    head = await log.head()
    known = await read_models.checkpoint(projection.name, projection.version)
    place = known or beginning(log)
    counted = await _count(log, place.position)
    return Completeness(
        name=projection.name,
        ok=known == counted,
        position=place.position,
        head=head,
        events=place.events,
        events_expected=counted.events,
        digest=place.digest,
        digest_expected=counted.digest,
    )


async def _count(log: EventLog, position: Position) -> Checkpoint:
    """The checkpoint that a view at `position` should have, without folding."""
    place = beginning(log)
    while place.position < position:
        passed = up_to(await log.stretch(place.position, log_events_max), position)
        if not passed:
            break
        place = checkpoint_behind(place, passed)
    return place
