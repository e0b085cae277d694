"""The cheap proof between two full comparisons: were all events applied, each once, in order?"""

from msgspec import Struct

from domain.ids import Position
from projections.limits import log_events_max
from projections.ports import Checkpoint, EventLog, ReadModels
from projections.projection import Projection, beginning, digest_after


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
    events, digest, last = await _count(log, place.position)
    same = (events, digest, last) == (place.events, place.digest, place.position)
    return Completeness(
        name=projection.name,
        ok=known is not None and same and place.store_id == log.store_id,
        position=place.position,
        head=head,
        events=place.events,
        events_expected=events,
        digest=place.digest,
        digest_expected=digest,
    )


async def _count(log: EventLog, position: Position) -> tuple[int, str, Position]:
    start: Checkpoint = beginning(log)
    events, digest, last = 0, start.digest, start.position
    while last < position:
        records = await log.read(last, log_events_max)
        ids = [record.event_id for record in records if record.position <= position]
        if not ids:
            break
        events, digest = events + len(ids), digest_after(digest, ids)
        last = records[len(ids) - 1].position
    return events, digest, last
