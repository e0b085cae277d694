"""The file that a step's rows come from, as long as each of them is a row of the file."""

from domain.data.rowmap import Origin
from domain.limits import row_maps_max
from domain.run.events import StepOutcome

_ROW_BY_ROW = ("validate", "clean")
"""Kinds whose rows are rows of their input, in its order."""


def origin_after(kind: str, before: Origin | None, outcome: StepOutcome) -> Origin | None:
    """Where the rows of a step's output come from, if those of its input come from `before`; None
    where they are made of others, or nothing is known of them."""
    own = outcome.row_map
    if kind == "ingest":
        if own is None or outcome.source is None:
            return None
        return Origin(source=outcome.source.name, maps=(own,))
    if kind not in _ROW_BY_ROW or before is None:
        return None
    if own is None:
        return before if outcome.rows_in == outcome.rows_out else None
    if len(before.maps) == row_maps_max:
        return None
    return Origin(source=before.source, maps=(own, *before.maps))
