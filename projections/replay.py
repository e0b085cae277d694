"""Fold the store beside a live view, compare, swap: one mechanism for verify, repair and replay.

    log ──fold──► shadow ◄──compare── live view, pinned at its checkpoint
                    │                      ▲
                    └──────── swap ────────┘   after catching up with the head of the log

The live view goes on being written. What is compared is a moment of it, and the fold ends at
exactly that moment, so a difference is a difference. Nothing here has effects beside the views.
"""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import asdict, replace

from domain.errors import Conflict
from domain.ids import Position
from projections.limits import beside_events_max, differences_max, swap_attempts_max
from projections.ports import Checkpoint, Difference, EventLog, ReadModels, Row, Shadow
from projections.projection import Fold, Projection, beginning
from projections.stretch import up_to

Swap = Literal["never", "if_different", "always"]

CHECKPOINTS = "view_checkpoints"
"""The table named where a view's own place is wrong."""


class ViewReport(Struct, frozen=True, kw_only=True):
    """What became of comparing one view with the store."""

    name: str
    version: int
    position: Position
    """Of the compared moment."""
    events: int
    """Folded up to there."""
    rows: int
    """That the view should have in all its tables."""
    differences: tuple[Difference, ...]
    more: bool = False
    """True where there may be more differences than are told."""
    swapped: bool = False


class Report(Struct, frozen=True, kw_only=True):
    """The answer of `verify`."""

    ok: bool
    """No view differs, or those that did were repaired."""
    position: Position
    """Head of the log when the comparison began."""
    projections: tuple[ViewReport, ...]


async def verify(
    log: EventLog,
    read_models: ReadModels,
    projections: Sequence[Projection],
    *,
    repair: bool = False,
) -> Report:
    """Compare views with fresh folds of the store; put the folds in their place if asked to.

    Raises `Malformed` or `Defect` where an event cannot be folded.
    """
    head = await log.head()
    swap: Swap = "if_different" if repair else "never"
    views = [await replay(log, read_models, projection, swap=swap) for projection in projections]
    return Report(
        ok=all(view.swapped or not view.differences for view in views),
        position=head,
        projections=tuple(views),
    )


async def replay(
    log: EventLog, read_models: ReadModels, projection: Projection, *, swap: Swap = "always"
) -> ViewReport:
    """Rebuild one view beside the live one, compare, and swap.

    Raises `Conflict` where the live view could not be overtaken, `Malformed` and `Defect` where
    an event cannot be folded; the live view is then as before.
    """
    name, version = projection.name, projection.version
    async with read_models.beside(name, version, projection.tables) as shadow:
        # 1. Most of the way without holding on to a moment of the live view.
        near = await read_models.checkpoint(name, version)
        folded = beginning(log)
        if near is not None:
            folded = await fold_to(log, projection, shadow, folded, near.position)
        # 2. The rest up to one moment, and compare.
        live = await shadow.pin()
        if live is not None:
            folded = await fold_to(log, projection, shadow, folded, live.position)
        differences = await _compare(projection, shadow, folded, live)
        report = ViewReport(
            name=name,
            version=version,
            position=folded.position,
            events=folded.events,
            rows=await shadow.rows(),
            differences=tuple(differences[:differences_max]),
            more=len(differences) > differences_max,
        )
        # 3. Overtake the live view.
        if swap == "never" or (swap == "if_different" and not differences):
            return report
        await _overtake(log, projection, shadow, folded)
        return replace(report, swapped=True)


async def fold_to(
    log: EventLog, projection: Projection, shadow: Shadow, start: Checkpoint, position: Position
) -> Checkpoint:
    """Fold events behind `start` up to `position`, or to the log's end if that comes before."""
    while start.position < position:
        wanted = up_to(await log.stretch(start.position, beside_events_max), position)
        if not wanted:
            break
        fold = Fold(projection, start)
        problem = fold.add(wanted)
        if problem is not None:
            raise problem
        await shadow.apply(fold.drain())
        start = fold.checkpoint
    return start


async def _compare(
    projection: Projection, shadow: Shadow, folded: Checkpoint, live: Checkpoint | None
) -> list[Difference]:
    """All differences, one more than are told; the view's place comes first."""
    found = []
    if live != folded:
        found.append(
            Difference(
                table=CHECKPOINTS,
                key={"view": projection.name},
                expected=_place(folded),
                found=_place(live) if live else None,
            )
        )
    for difference in await shadow.differences(differences_max + 1 - len(found)):
        row = difference.expected or difference.found
        stream = projection.stream_of(difference.table, row) if row and difference.key else None
        found.append(replace(difference, stream=stream))
    return found


def _place(checkpoint: Checkpoint) -> Row:
    values = asdict(checkpoint)
    return {name: v if v is None or isinstance(v, int) else str(v) for name, v in values.items()}


async def _overtake(
    log: EventLog, projection: Projection, shadow: Shadow, folded: Checkpoint
) -> None:
    for attempt in range(swap_attempts_max):
        folded = await fold_to(log, projection, shadow, folded, await log.head())
        try:
            await shadow.swap(folded)
        except Conflict:
            if attempt == swap_attempts_max - 1:
                raise
        else:
            return
