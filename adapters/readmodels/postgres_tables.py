"""Tables of views inside one PostgreSQL database: what one session does to them."""

from collections.abc import Awaitable, Callable, Sequence
from types import MappingProxyType

import asyncpg
from msgspec import structs

from adapters.postgres import Session
from adapters.readmodels.dialect import POSTGRES, quote
from adapters.readmodels.known import Known, View, known_from, tables_text
from adapters.readmodels.statements import BulkStatements, Statements
from projections.ports import Bulk, Table, Value

WHAT = "the views"

SCHEMA = "headwater_views"
"""Where tables of views lie."""

lock_key = 4_936_107_223
"""Of the advisory lock under which the schema is made."""

live = Statements(SCHEMA, POSTGRES)
"""SQL on the live tables."""

in_schema = MappingProxyType({"search_path": SCHEMA, "synchronous_commit": "off"})
"""Settings of sessions that write: views are made again from the store, so a commit need not wait
for the disk."""

SET_PLACE = """
UPDATE view_checkpoints SET (store_id, position, event_id, events, digest) = ($2, $3, $4, $5, $6)
WHERE view = $1
"""


async def alone(session: Session) -> None:
    """Until the end of the transaction nobody else makes or replaces tables; what is made then is
    on the disk when it ends, since those who write to it later could not tell that it is lost."""
    await session.execute("SET LOCAL synchronous_commit = on")
    await session.execute("SELECT pg_advisory_xact_lock($1)", lock_key)


async def known_view(session: Session, view: str, *, locked: bool = False) -> Known | None:
    """What the database knows of a view; `locked`, nobody else moves it before the commit."""
    row = await session.fetchrow(_KNOWN + (" FOR UPDATE" if locked else ""), view)
    return known_from(tuple(row)) if row is not None else None


_KNOWN = """
SELECT version, tables, store_id, position, event_id, events, digest FROM view_checkpoints
WHERE view = $1
"""


async def columns_of(session: Session, table: Table) -> tuple[str, ...]:
    """The columns that a live table has in the database; none where it is missing."""
    rows = await session.fetch(
        "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0"
        " AND NOT attisdropped ORDER BY attnum",
        live.named(table.name),
    )
    return tuple(row[0] for row in rows)


async def replace_tables(session: Session, view: View, source: str | None) -> None:
    """Put a view's tables in the place of the live ones, inside a transaction and `alone`: empty,
    or with the rows of another schema. Readers wait for no more than the exchange itself."""
    before = await known_view(session, view.name, locked=True)
    fresh = [structs.replace(table, name=f"{table.name} new") for table in view.tables]
    for table, new in zip(view.tables, fresh, strict=True):
        await session.execute(live.create_table(new))
        if source is not None:
            await session.execute(live.copy(table, source, into=new.name))
        for index in live.create_indexes(new):
            await session.execute(index)
    old = [table.name for table in before.tables] if before else []
    for name in dict.fromkeys([*old, *(table.name for table in view.tables)]):
        await session.execute(live.drop_table(name))
    for table, new in zip(view.tables, fresh, strict=True):
        await session.execute(f"ALTER TABLE {live.named(new.name)} RENAME TO {quote(table.name)}")
    await session.execute(_RENEW, view.name, view.version, tables_text(view.tables))


_RENEW = """
INSERT INTO view_checkpoints (view, version, tables) VALUES ($1, $2, $3)
ON CONFLICT (view) DO UPDATE SET (version, tables, store_id, position, event_id, events, digest)
    = (excluded.version, excluded.tables, NULL, NULL, NULL, NULL, NULL)
"""
# The row stays the same one: whoever waits for it to move it looks at what it has become.


async def write(session: Session, statements: BulkStatements, changes: Sequence[Bulk]) -> None:
    """Apply changes in order."""
    for bulk in changes:
        if bulk.rows:
            await session.execute(
                statements.of(bulk, len(bulk.rows)), *zip(*bulk.rows, strict=True)
            )


async def with_any_text(
    work: Callable[[Sequence[Bulk]], Awaitable[None]], changes: Sequence[Bulk]
) -> None:
    """Do `work`, and once more where a text has the one character that PostgreSQL cannot keep:
    then with another one in its place."""
    try:
        await work(changes)
    except asyncpg.CharacterNotInRepertoireError:
        await work([structs.replace(bulk, rows=[*map(_storable, bulk.rows)]) for bulk in changes])


def _storable(row: tuple[Value, ...]) -> tuple[Value, ...]:
    return tuple(one.replace("\0", "\ufffd") if isinstance(one, str) else one for one in row)
