"""The write side over one store: actors, dispatcher, and what they need to know."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from anyio import to_thread

from adapters.clock import SystemClock
from commands.blueprint import Blueprints
from commands.dispatcher import CommandDispatcher
from commands.lookup import Lookup
from commands.ports import Binder, Bound, EventStore
from domain.pipeline.spec import decode_spec
from runtime.actor import ActorLimits, Spawn, StreamActors
from runtime.settings import Settings
from runtime.supervisor import open_supervisor
from runtime.wiring.traced import traced_store


class _Signal(asyncio.Future[None]):
    """What an actor waits for, on asyncio: a fraction of the price of an event."""

    def set(self) -> None:
        if not self.done():
            self.set_result(None)

    def is_set(self) -> bool:
        return self.done() and not self.cancelled()

    def wait(self) -> "asyncio.Future[None]":
        return self


class WriteSide:
    """One store's actors and the two doors to them."""

    def __init__(self, store: EventStore, binder: Binder, settings: Settings, spawn: Spawn) -> None:
        store = traced_store(store)
        clock = SystemClock()
        limits = ActorLimits(mailbox_letters_max=settings.mailbox_max)
        signal = partial(_Signal, loop=asyncio.get_running_loop())
        self.streams = StreamActors(store, clock, spawn, limits, signal)
        self.dispatcher = CommandDispatcher(self.streams, store, binder, clock, Blueprints())
        self.lookup = Lookup(self.streams, store)


@asynccontextmanager
async def open_write_side(
    store: EventStore, binder: Binder, settings: Settings
) -> AsyncIterator[WriteSide]:
    """With tasks of its own, for a process that is no service."""
    async with open_supervisor() as supervisor:
        yield WriteSide(store, binder, settings, supervisor.spawn)


class LocalBinder(Binder):
    """Binds in a thread of this process, for commands without a service."""

    def __init__(self, roots: tuple[str, ...]) -> None:
        self._roots = roots

    async def bind(
        self, spec: Mapping[str, Any], files: Mapping[str, str], root: str
    ) -> tuple[str, Bound]:
        from adapters.engines.binding.definition import bind  # the engine is slow to import
        from adapters.pipelinefile.contracts import read_contract

        bound = await to_thread.run_sync(bind, spec, files, root, self._roots, read_contract)
        return decode_spec(bytes(bound.definition.spec)).pipeline, bound
