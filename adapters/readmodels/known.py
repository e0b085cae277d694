"""What a database knows of its views: a row for each, with the view's tables and checkpoint."""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from projections.ports import Checkpoint, Table, Value

PREPARE = """
CREATE TABLE IF NOT EXISTS view_checkpoints (
    view TEXT PRIMARY KEY,
    version BIGINT NOT NULL,
    tables TEXT NOT NULL,
    store_id TEXT,
    position BIGINT,
    event_id TEXT,
    events BIGINT,
    digest TEXT
)
"""

PLACE = ("store_id", "position", "event_id", "events", "digest")
"""Columns of the checkpoint, null as long as there is none."""


class View(Struct, frozen=True):
    """A view's name, version and tables."""

    name: str
    version: int
    tables: tuple[Table, ...]


class Known(Struct, frozen=True):
    """A view as the database has it; without a checkpoint as long as it is empty."""

    version: int
    tables: tuple[Table, ...]
    checkpoint: Checkpoint | None


def known_from(row: Sequence[Value]) -> Known:
    """From version, tables and place."""
    version, tables, store_id, position, event_id, events, digest = row
    checkpoint = None
    if position is not None:
        checkpoint = msgspec.convert(
            {
                "store_id": store_id,
                "position": position,
                "event_id": event_id or None,
                "events": events,
                "digest": digest,
            },
            Checkpoint,
        )
    return Known(
        msgspec.convert(version, int),
        msgspec.json.decode(str(tables), type=tuple[Table, ...]),
        checkpoint,
    )


def tables_text(tables: Sequence[Table]) -> str:
    """As they stand in a row."""
    return msgspec.json.encode(tables).decode()


def place_of(checkpoint: Checkpoint | None) -> tuple[Value, ...]:
    """A checkpoint as the columns of `PLACE`."""
    if checkpoint is None:
        return (None,) * len(PLACE)
    return (
        str(checkpoint.store_id),
        checkpoint.position,
        str(checkpoint.event_id) if checkpoint.event_id else None,
        checkpoint.events,
        checkpoint.digest,
    )


def columns_named(table: Table) -> tuple[str, ...]:
    """Names of its columns, in order."""
    return tuple(column.name for column in table.columns)
