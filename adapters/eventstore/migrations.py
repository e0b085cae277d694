"""The layouts that the store has had on PostgreSQL, and the way from each to the next.

A migration is never changed once it was released: what comes later is another one behind it. They
are applied in order and in one transaction, while everybody else who opens the store waits.
"""

from collections.abc import Sequence
from uuid import UUID, uuid4

from adapters.postgres import Session
from domain.errors import Malformed

EVENTS = """
CREATE TABLE IF NOT EXISTS stored_events (
    originator_id uuid NOT NULL,
    originator_version bigint NOT NULL,
    topic text,
    state bytea,
    notification_id bigserial,
    PRIMARY KEY (originator_id, originator_version)
) WITH (
    autovacuum_enabled = true,
    autovacuum_vacuum_threshold = 100000000,
    autovacuum_vacuum_scale_factor = 0.5,
    autovacuum_analyze_threshold = 1000,
    autovacuum_analyze_scale_factor = 0.01
);
CREATE UNIQUE INDEX IF NOT EXISTS stored_events_notification_id_idx
    ON stored_events (notification_id ASC);
"""
"""As the library's own recorder makes them."""

LINKS = """
CREATE TABLE event_links (
    first_position bigint PRIMARY KEY,
    links bytea NOT NULL
);
"""
"""A row has the links of all events of one commit, one behind the other."""

SEALED = """
CREATE TABLE sealed_segments (
    segment bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    sha256 text NOT NULL,
    first_position bigint NOT NULL,
    last_position bigint NOT NULL,
    events bigint NOT NULL,
    sealed_at timestamptz NOT NULL,
    content bytea NOT NULL
);
ALTER TABLE sealed_segments ALTER COLUMN content SET STORAGE EXTERNAL;
CREATE INDEX sealed_segments_last ON sealed_segments (last_position);
CREATE TABLE sealed_streams (
    originator_id uuid PRIMARY KEY,
    segment bigint NOT NULL REFERENCES sealed_segments,
    first_position bigint NOT NULL,
    last_position bigint NOT NULL,
    last_version bigint NOT NULL
);
CREATE TABLE sealed_ranges (
    first_position bigint PRIMARY KEY,
    last_position bigint NOT NULL,
    segment bigint NOT NULL REFERENCES sealed_segments
);
"""
"""Events of old runs, moved out of their table: whole segments in Parquet, and where to look."""

MIGRATIONS: Sequence[str] = (EVENTS + LINKS, SEALED)
"""Each leads to the next layout; 0 is a database without a store."""

lock_key = 4_936_107_221
"""Of the advisory lock that is held by whoever opens a store; a number of our own choice."""

_IDENTITY = """
CREATE TABLE IF NOT EXISTS store_identity (
    one integer PRIMARY KEY CHECK (one = 1),
    store_id uuid NOT NULL,
    layout integer NOT NULL
);
"""


async def migrate(session: Session, migrations: Sequence[str] = MIGRATIONS) -> UUID:
    """Bring the store to the newest layout; returns its id. Raises `Malformed` for a newer one."""
    async with session.transaction():
        await session.execute("SELECT pg_advisory_xact_lock($1)", lock_key)
        if await session.fetchval("SELECT to_regclass('store_identity') IS NULL"):
            await session.execute(_IDENTITY)
        found = await session.fetchrow("SELECT store_id, layout FROM store_identity")
        store_id, layout = found or (uuid4(), 0)
        if layout > len(migrations):
            raise Malformed(
                f"the event store has layout {layout}, this Headwater knows {len(migrations)}",
                hint="update Headwater",
            )
        for migration in migrations[layout:]:
            await session.execute(migration)
        if layout == 0 and await session.fetchval("SELECT EXISTS (SELECT FROM stored_events)"):
            raise Malformed(
                "the database has events of another program",
                hint="give Headwater a database of its own",
            )
        if layout < len(migrations):
            await session.execute(
                "INSERT INTO store_identity VALUES (1, $1, $2)"
                " ON CONFLICT (one) DO UPDATE SET layout = excluded.layout",
                store_id,
                len(migrations),
            )
    return UUID(str(store_id))
