"""A PostgreSQL database: where it is, connections that come back, and its errors in our words.

Several processes may use one database at once, and the server may go away at any moment: what was
asked then fails as `Unavailable`, and whoever asks next gets a new connection.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from types import MappingProxyType
from typing import TypeAlias, TypeVar
from urllib.parse import parse_qsl, urlsplit

import anyio
import asyncpg
from asyncpg import exceptions
from asyncpg.pool import PoolConnectionProxy
from msgspec import Struct

from domain.errors import Defect, HeadwaterError, Malformed, StorageFull, Unavailable

T = TypeVar("T")

Session: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"

version_min = 14
"""Of the server: older ones get no fixes any more."""

connect_seconds_max = 10.0
"""For a connection to be made, or to become free."""

close_seconds_max = 5.0
"""For what runs to end, when closing."""

_queries_max = 10**9  # asyncpg would make a new connection after 50,000, and the next one waits
_port = 5432


class Waits(Struct, frozen=True, kw_only=True):
    """How long a session waits, in seconds."""

    statement: int
    """For the answer to one statement."""
    lock: int
    """For another session."""
    idle: int
    """For us to go on with a transaction, before the server ends it for the sake of others."""


USUAL = Waits(statement=60, lock=10, idle=30)
PATIENT = Waits(statement=3_600, lock=3_600, idle=3_600)
"""For work that takes as long as there is data."""


class Database:
    """Where a database is, and its password, which is shown nowhere."""

    def __init__(self, url: str, password: str = "") -> None:
        self._url = url
        self._password = password or None

    def __str__(self) -> str:
        """User, host, port and name."""
        parts = urlsplit(self._url)
        user = f"{parts.username}@" if parts.username else ""
        host = parts.hostname or dict(parse_qsl(parts.query)).get("host", "")
        host = f"[{host}]" if ":" in host else host
        return f"postgresql://{user}{host}:{parts.port or _port}{parts.path}"

    @asynccontextmanager
    async def sessions(
        self,
        what: str,
        size: int,
        *,
        waits: Waits = USUAL,
        settings: Mapping[str, str] = MappingProxyType({}),
    ) -> AsyncIterator["Sessions"]:
        """Up to `size` sessions for the work on `what`."""
        with translated(what, self):
            pool = asyncpg.create_pool(
                self._url,
                password=self._password,
                min_size=0,
                max_size=size,
                max_queries=_queries_max,
                timeout=connect_seconds_max,
                command_timeout=waits.statement,
                init=None if "synchronous_commit" in settings else _synced,
                reset=_nothing,
                server_settings={
                    "application_name": "headwater",
                    "jit": "off",
                    "lock_timeout": f"{waits.lock}s",
                    "idle_in_transaction_session_timeout": f"{waits.idle}s",
                    **settings,
                },
            )
            await pool
        try:
            yield Sessions(pool, size, what, self)
        finally:
            with anyio.move_on_after(close_seconds_max, shield=True) as closing:
                await pool.close()
            if closing.cancelled_caught:
                pool.terminate()


class Sessions:
    """Sessions in one database, made when they are needed, and made again where they were lost."""

    def __init__(
        self, pool: "asyncpg.Pool[asyncpg.Record]", size: int, what: str, database: Database
    ) -> None:
        self._pool = pool
        self._size = size
        self._what = what
        self._database = database

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Session]:
        """One for the block. Raises `Unavailable`, `StorageFull`, `Defect`."""
        with translated(self._what, self._database):
            async with self._pool.acquire(timeout=connect_seconds_max) as session:
                try:
                    yield session
                except exceptions.InternalClientError:
                    session.terminate()  # the server has said farewell in between
                    raise

    async def read(self, work: Callable[[Session], Awaitable[T]]) -> T:
        """The result of `work`, which changes nothing: where its session was lost, of another try
        in another one. Raises `Unavailable`."""
        for _ in range(self._size):  # all that are open may have been lost at once
            try:
                async with self.session() as session:
                    return await work(session)
            except Unavailable as error:
                if not isinstance(error.__cause__, _PASSING):
                    raise
        async with self.session() as session:
            return await work(session)


@contextmanager
def translated(what: str, database: Database) -> Iterator[None]:
    """Errors of asyncpg and of the server in our words, with their cause."""
    try:
        yield
    except HeadwaterError:
        raise
    except (
        asyncpg.PostgresError,
        exceptions.InterfaceError,
        exceptions.InternalClientError,
        OSError,
    ) as error:
        raise _failure(error, what, database) from error


_PASSING = (
    ConnectionResetError,
    BrokenPipeError,
    exceptions.PostgresConnectionError,
    exceptions.AdminShutdownError,
    exceptions.CrashShutdownError,
    exceptions.InterfaceError,
    exceptions.InternalClientError,
    exceptions.DeadlockDetectedError,
    exceptions.InvalidCachedStatementError,
)
"""How the end of a session shows, and what else may not happen again. A server that cannot be
reached, or does not answer, is not asked twice."""

_OURS = (
    asyncpg.DataError,
    exceptions.DataError,
    exceptions.IntegrityConstraintViolationError,
    exceptions.SyntaxOrAccessError,
)
"""What only a wrong statement can cause."""


def _failure(error: Exception, what: str, database: Database) -> HeadwaterError:
    told = f"{error}".strip() or type(error).__name__
    match error:
        case exceptions.InvalidAuthorizationSpecificationError():
            return Unavailable(
                f"{what}: {database} lets nobody in: {told}",
                hint="give the password by HEADWATER_STORE_PASSWORD, PGPASSWORD or a .pgpass file",
            )
        case exceptions.InvalidCatalogNameError():
            return Unavailable(f"{what}: {database} is not there: {told}", hint="create it first")
        case exceptions.InsufficientPrivilegeError():
            return Unavailable(
                f"{what}: not enough rights in {database}: {told}",
                hint="let the role own the database, or grant it CREATE on database and schema",
            )
        case exceptions.DiskFullError():
            return StorageFull(f"{what}: {database} has no room to write: {told}")
        case exceptions.ClientConfigurationError():
            return Malformed(f"{what}: {database} cannot be used: {told}")
        case exceptions.UndefinedTableError() | exceptions.UndefinedColumnError():
            return Defect(f"{what}: no such table in {database}: {told}")
        case _ if isinstance(error, _OURS):
            return Defect(f"{what}: a statement failed in {database}: {told}")
        case TimeoutError():
            return Unavailable(f"{what}: {database} does not answer")
        case OSError():
            return Unavailable(
                f"{what}: {database} cannot be reached: {error.strerror or told}",
                hint="is the server running, and are host and port right?",
            )
        case _:
            return Unavailable(f"{what}: {database} cannot be used: {told}")


async def _nothing(session: object) -> None:
    """Sessions are left as they were found: nothing is to be reset between two uses."""


async def _synced(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Whatever the server's default is: what was committed is on the disk."""
    if await connection.fetchval("SHOW synchronous_commit") == "off":
        await connection.execute("SET synchronous_commit = on")


async def check_server(session: Session, database: Database) -> tuple[str, list[str]]:
    """The server's version, and what is odd. Raises `Unavailable` where events would not be safe
    there."""
    ((version, encoding, fsync, pages, standby),) = await session.fetch(_LOOK)
    refused = ""
    if session.get_server_version().major < version_min:
        refused = f"runs PostgreSQL {version}, at least {version_min} is needed"
    elif standby:
        refused = "is a standby, which cannot be written to"
    elif encoding != "UTF8":
        refused = f"has the encoding {encoding}, and UTF8 is needed"
    elif fsync != "on":
        refused = "runs with fsync = off, and would lose events when the power goes"
    if refused:
        raise Unavailable(f"{database} {refused}")
    odd = "full_page_writes = off loses events by torn pages, unless the file system prevents them"
    return version, [odd] if pages != "on" else []


_LOOK = """
SELECT current_setting('server_version'), current_setting('server_encoding'),
       current_setting('fsync'), current_setting('full_page_writes'), pg_is_in_recovery()
"""
