"""The way to a data directory: join who holds it, host a service, or look for a moment."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing, suppress
from functools import partial
from pathlib import Path

import anyio
from anyio import to_thread
from msgspec.structs import replace

from domain.errors import NotFound, TimedOut, Unavailable
from runtime.cli.console import Console
from runtime.cli.exits import Usage
from runtime.cli.interrupts import second_interrupt_stops
from runtime.cli.parsing import Command, InEnvironment
from runtime.cli.words import plural
from runtime.datadir import Busy, DataDir, Held, Holder, HolderRole
from runtime.roles import ROLES, Role
from runtime.session import Service, Session
from runtime.settings import Settings, Sourced, load
from runtime.store import redacted

ready_seconds_max = 15.0
"""For a holder that is still starting: it may have much to recover."""

starts_max = 2
"""Services started in the background for one command: the first may have found nothing to do and
ended before it was joined, but one that cannot start is not tried for ever."""

_HEADWATER = (sys.executable, "-P", "-m", "runtime")
_POLL_SECONDS = 0.02
_HUSH_SECONDS = 0.5
_RUNS_SHOWN = 3


class Serving:
    """A session with somebody who does the work."""

    def __init__(self, session: Session, *, hosting: bool = False) -> None:
        self.session = session
        self.hosting = hosting
        """Whether that is this very process."""
        self.leaving = False
        """Set it to end the service at once, with runs still open."""


class Way:
    """Settings and data directory of one command."""

    def __init__(self, command: Command, near: Path | None = None, **flags: str) -> None:
        given = {name: value for name, value in flags.items() if value}
        if command.data:
            given["data"] = command.data
        if isinstance(command, InEnvironment) and command.env:
            given["env"] = command.env
        for setting in command.set:
            name, equals, value = setting.partition("=")
            if not equals:
                raise Usage(f"--set {setting}: write it as NAME=VALUE")
            given[name.strip()] = value.strip()
        self.flags = given
        self.sourced: Sourced = load(given, os.environ, near or Path.cwd())
        declared = self.sourced.settings
        # Wherever the data lies and whoever is where: a pipeline may work in its own project.
        self.project = self.sourced.project
        roots = dict.fromkeys((*declared.roots, str(self.project.home)))
        self.settings = replace(declared, roots=tuple(roots))
        self.datadir = DataDir(self.settings.data)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Session]:
        """For questions: joined, or straight on the files, which must be there."""
        if not await self._is_served():
            self.known()
        async with self.writing() as session:
            yield session

    def known(self) -> DataDir:
        """The data directory of whoever has run here. Raises `NotFound`."""
        if not self.has_history:
            raise NotFound(
                f"nothing has ever run here: there is no {self.datadir.path}",
                hint="run a pipeline first (headwater run FILE), or name the folder by --data",
            )
        return self.datadir

    def filed(self, instead: str) -> DataDir:
        """The data directory, where the events lie in it as well; else `instead` says what to do.
        Raises `Usage`."""
        if self.settings.store.is_database:
            raise Usage(f"the events lie in {self.settings.store}, not in a file", hint=instead)
        return self.datadir

    @property
    def has_history(self) -> bool:
        """Whether anybody may have run here: a database may know of it alone."""
        return self.settings.store.is_database or self.datadir.exists()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Session]:
        """For commands that need no worker: joined, or straight on the files."""
        async with self._arrived("read") as found:
            if not isinstance(found, Held):
                yield found
                return
            from runtime.wiring.offline import open_offline  # a client needs none of it

            with closing(found):
                async with open_offline(self.settings, found) as session:
                    yield session

    @asynccontextmanager
    async def serving(self, console: Console) -> AsyncIterator["Serving"]:
        """For work: joined, or a service of our own for as long as it is needed."""
        async with self._arrived("run") as found:
            if not isinstance(found, Held):
                yield Serving(found)
                return
            from runtime.wiring.client import connect_client

            with ExitStack() as winding_up:
                async with hosted(console, self.settings, found) as service:
                    async with connect_client(self.settings, self.datadir) as session:
                        serving = Serving(session, hosting=True)
                        yield serving
                    winding_up.enter_context(second_interrupt_stops(console))
                    if not serving.leaving:
                        await _idle(console, service)

    @asynccontextmanager
    async def detached(self) -> AsyncIterator["Serving"]:
        """For work that goes on behind us: joined, where needed to a service started for it."""
        async with AsyncExitStack() as stack:
            session = await self._served(stack)
            started = 0
            while session is None:
                holder = await self.holder()
                if holder is None and started == starts_max:
                    raise not_started(self)
                if holder is None:
                    holder = await start_behind(self)
                    started += 1
                session = await self._joined(stack, holder)
            yield Serving(session)

    @asynccontextmanager
    async def joined(self) -> AsyncIterator[Session]:
        """Over NATS to whoever holds the data directory. Raises `Unavailable`."""
        async with AsyncExitStack() as stack:
            holder = await self.holder()
            session = await self._joined(stack, holder) if holder is not None else None
            session = session or await self._served(stack)
            if session is None:
                raise Unavailable(
                    f"no service is running on {self.datadir.path}", hint="start one: headwater up"
                )
            yield session

    @asynccontextmanager
    async def _arrived(self, role: HolderRole) -> AsyncIterator[Session | Held]:
        """With the service that is there, or holding the data directory. A service that stops on
        our way makes room: for us, or for the next."""
        async with AsyncExitStack() as stack:
            found: Session | Held | None = await self._served(stack)
            while found is None:
                taken = await self._take(role)
                found = taken if isinstance(taken, Held) else await self._joined(stack, taken)
            yield found

    async def _served(self, stack: AsyncExitStack) -> Session | None:
        """The session with whoever answers on the NATS server that was named, if anybody does."""
        return await self._connected(stack) if await self._is_served() else None

    async def _joined(self, stack: AsyncExitStack, holder: Holder) -> Session | None:
        """The session with a service; None where it stops before that."""
        if not await self._ready(holder):
            return None
        async with AsyncExitStack() as trying:
            try:
                session = await self._connected(trying)
            except (NotFound, Unavailable, TimedOut):
                if await self._is_ready(holder):
                    raise
                return None
            if holder.role == "run":
                # It stays for those who have asked something, and may be about to leave. What is
                # wrong with one that stays is for the caller's own question to find.
                with suppress(Unavailable, TimedOut):
                    await session.query("monitoring.runs", {"limit": 1})
                if not await self._is_ready(holder):
                    return None
            stack.push_async_callback(trying.pop_all().aclose)
            return session

    async def _connected(self, stack: AsyncExitStack) -> Session:
        from runtime.wiring.client import connect_client

        return await stack.enter_async_context(connect_client(self.settings, self.datadir))

    async def _is_served(self) -> bool:
        """Whether somebody answers on the NATS server that was named, wherever he is."""
        if not self.settings.nats:
            return False
        from runtime.wiring.client import is_served

        return await is_served(self.settings)

    async def _take(self, role: HolderRole) -> Held | Holder:
        try:
            return await to_thread.run_sync(self.datadir.take, role)
        except Busy as busy:
            if busy.holder is None or busy.holder.role == "read":
                raise
            return busy.holder

    async def holder(self) -> Holder | None:
        """The service that holds the data directory, ready or not."""
        holder = await to_thread.run_sync(self.datadir.holder)
        return holder if holder is not None and holder.role != "read" else None

    async def _is_ready(self, holder: Holder) -> bool:
        now = await to_thread.run_sync(self.datadir.holder)
        return now is not None and now.process == holder.process and now.ready

    async def _ready(self, holder: Holder) -> bool:
        """Wait for a service to be ready; False where it stopped instead. Raises `TimedOut`."""
        with anyio.move_on_after(ready_seconds_max):
            now: Holder | None = holder
            while now is not None and now.process == holder.process:
                if now.ready:
                    return True
                await anyio.sleep(_POLL_SECONDS)
                now = await to_thread.run_sync(self.datadir.holder)
            return False
        raise TimedOut(
            f"the service on {self.datadir.path} (process {holder.process.pid}) is not ready "
            f"after {ready_seconds_max:.0f} s"
        )


@asynccontextmanager
async def hosted(
    console: Console, settings: Settings, held: Held, roles: Sequence[Role] = ROLES
) -> AsyncIterator[Service]:
    """A service of our own, ready, which says what it takes up again."""
    from runtime.wiring.service import open_service

    with closing(held):
        async with open_service(settings, held, roles) as service:
            await to_thread.run_sync(partial(held.say, ready=True))
            _tell_resumed(console, [str(run) for run in service.resumed])
            try:
                yield service
            finally:
                with anyio.CancelScope(shield=True):
                    await to_thread.run_sync(partial(held.say, ready=False))


async def start_behind(way: Way) -> Holder:
    """A service in the background that ends when there is nothing left to do."""
    way.datadir.make()
    given = {**way.flags, "roots": os.pathsep.join(way.settings.roots)}
    flags = [f"--set={name}={value}" for name, value in given.items() if name != "data"]
    with _log_of(way).open("ab") as output:
        process = await anyio.open_process(
            [*_HEADWATER, "up", "--until-idle", f"--data={way.datadir.path}", *flags],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd=way.project.home,
        )
    with anyio.move_on_after(ready_seconds_max):
        while process.returncode is None:
            holder = await way.holder()
            if holder is not None:
                return holder
            await anyio.sleep(_POLL_SECONDS)
    raise not_started(way)


def not_started(way: Way) -> Unavailable:
    """A service in the background ended before it was of use."""
    nats = redacted(way.settings.nats)
    nobody = f"nobody answers on {nats}, and " if nats else ""
    hint = f"{_log_of(way)} says why"
    return Unavailable(f"{nobody}the service could not be started", hint=hint)


def _log_of(way: Way) -> Path:
    return way.datadir.path / "service.log"


async def _idle(console: Console, service: Service) -> None:
    with anyio.move_on_after(_HUSH_SECONDS):
        await service.idle()
        return
    console.note("Others are still using this service; it ends with them (Ctrl-C: now).")
    await service.idle()


def _tell_resumed(console: Console, runs: Sequence[str]) -> None:
    if runs:
        shown = ", ".join(runs[:_RUNS_SHOWN]) + (" …" if len(runs) > _RUNS_SHOWN else "")
        console.note(f"Resuming {plural(len(runs), 'open run')}: {shown}")
