"""The way to a data directory that nobody serves: straight on its files."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import msgspec

from commands.dispatcher import DirectSender
from commands.lookup import Lookup
from commands.ports import CommandContext
from domain.errors import Unavailable
from projections.ports import EventFeed
from runtime.datadir import Held
from runtime.session import Document, Session
from runtime.settings import Settings
from runtime.wiring.principal import principal
from runtime.wiring.readside import ReadSide, read_side
from runtime.wiring.storage import open_storage
from runtime.wiring.writeside import LocalBinder, open_write_side


class OfflineSession(Session):
    """Straight on the files; this process holds the data directory."""

    def __init__(self, sender: DirectSender, views: ReadSide, lookup: Lookup) -> None:
        self._sender = sender
        self._views = views
        self._lookup = lookup

    async def command(self, command: str, payload: Mapping[str, Any]) -> Document:
        context = CommandContext(principal=principal())
        reply = {**await self._sender.send(command, payload, context)}
        await self._views.start()
        return reply

    async def query(self, name: str, arguments: Mapping[str, Any]) -> Document:
        return await self._views.queries.answer(name, {**arguments})

    async def definition(self, pipeline: str, revision: int) -> Document:
        found = await self._lookup.definition(pipeline, revision)
        return msgspec.json.decode(msgspec.json.encode(found), type=Document)

    async def request(self, subject: str, payload: bytes) -> bytes:
        raise Unavailable(
            f"nobody listens to {subject}: no service is running", hint="start one: headwater up"
        )

    async def services(self) -> Document:
        return {"items": [], "next": None, "position": 0}

    async def verify(self, *, repair: bool) -> Document:
        return await self._views.verify(repair=repair)

    async def replay(self, view: str) -> Document:
        return await self._views.replay(view)


class _Silence(EventFeed):
    """No bus, no news: the views are caught up from the store alone."""

    async def next(self, limit: int, seconds: float) -> tuple[()]:
        await anyio.sleep(seconds)
        return ()


@asynccontextmanager
async def open_offline(settings: Settings, held: Held) -> AsyncIterator[Session]:
    """Straight on the store of a data directory that this process holds, views caught up."""
    async with AsyncExitStack() as stack:
        store, tables = await stack.enter_async_context(open_storage(settings, held, lasting=True))
        views = read_side(store, tables, lambda _: _Silence(), {})
        await views.start()
        binder = LocalBinder(tuple(dict.fromkeys((*settings.roots, str(Path.cwd())))))
        write_side = await stack.enter_async_context(open_write_side(store, binder, settings))
        yield OfflineSession(DirectSender(write_side.dispatcher), views, write_side.lookup)
