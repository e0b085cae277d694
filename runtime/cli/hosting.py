"""up."""

import os
import signal
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Annotated, ClassVar

import anyio
from anyio import to_thread
from anyio.abc import TaskGroup

from domain.errors import Rejection, Unavailable
from runtime.cli.console import Console
from runtime.cli.exits import Exit, Usage
from runtime.cli.interrupts import second_interrupt_stops
from runtime.cli.output import print_line
from runtime.cli.parsing import Command, Option
from runtime.cli.sessions import Way, hosted
from runtime.datadir import Busy, DataDir, Held
from runtime.roles import ROLES, Role
from runtime.session import Service


class Up(Command):
    """Start the service and stay.

    Everything runs in this process and its children: command handlers, views, step workers, and a
    nats-server of our own unless --nats names another one. Other commands join it. Runs that were
    open when the last service ended go on.

    With --role it does a part of this, beside other processes, here or on other machines, that
    share NATS, the store and the data directory. Each role may be there several times:
    commands (decide), relay (store to bus), projections (views and queries), policies (give out
    steps), steps (work on them).
    """

    examples: ClassVar = (
        ("headwater up", "until Ctrl-C"),
        ("headwater up --data /var/lib/headwater", "with its data somewhere else"),
        ("headwater up --nats nats://10.0.0.5:4222", "on a NATS server that is already there"),
        ("headwater up --store postgresql://headwater@10.0.0.6/headwater", "with events there"),
        (
            "headwater up --role steps --nats nats://10.0.0.5 --store postgresql://hw@10.0.0.6/hw",
            "one more that works on steps",
        ),
    )

    nats: Annotated[str, Option("a NATS server to use instead of our own", "URL")] = ""
    store: Annotated[str, Option("sqlite, memory to forget, or a database", "STORE")] = ""
    role: Annotated[tuple[str, ...], Option("one of several roles; without it, all", "ROLE")] = ()
    until_idle: Annotated[bool, Option("stop when no run is open and nobody is attached")] = False

    async def execute(self, console: Console) -> Exit:
        """Serve until somebody says stop."""
        way = Way(self, nats=self.nats, store=self.store)
        roles = self._roles(way)
        try:
            held = await to_thread.run_sync(self._hold, way.datadir, roles)
        except Busy as busy:
            raise Rejection(
                "data_directory_held",
                busy.message,
                {"hint": "that service does the work; stop it first to start another"},
            ) from None
        with ExitStack() as winding_up:
            async with hosted(console, way.settings, held, roles) as service:
                self._tell(console, way, service, roles)
                await self._serve(service)
                console.note("Stopping: running steps may end first. Ctrl-C again stops at once.")
                winding_up.enter_context(second_interrupt_stops(console))
        console.note("Stopped.")
        return Exit.DONE

    def _roles(self, way: Way) -> Sequence[Role]:
        """Those asked for, or all. Raises `Usage`."""
        for role in self.role:
            if role not in ROLES:
                raise Usage(f"--role {role}: there is no such role; choose of {', '.join(ROLES)}")
        roles = [role for role in ROLES if not self.role or role in self.role]
        if len(roles) < len(ROLES):
            if not way.settings.nats:
                raise Usage("--role needs a NATS server that the other roles use too: --nats URL")
            if not way.settings.store.is_database:
                raise Usage("--role needs a store that processes can share: --store postgresql://…")
            if self.until_idle:
                raise Usage("--until-idle is for a service with every role")
        return roles

    def _hold(self, datadir: DataDir, roles: Sequence[Role]) -> Held:
        if len(roles) < len(ROLES):
            return datadir.share()
        return datadir.take("run" if self.until_idle else "up")

    def _tell(self, console: Console, way: Way, service: Service, roles: Sequence[Role]) -> None:
        if self.json:
            told = {"url": service.url, "pid": os.getpid(), "data": str(way.datadir.path)}
            print_line(console, {**told, "roles": roles})
        console.note(f"{console.styled('Headwater is up.', 'bold', err=True)} Ctrl-C stops it.")
        console.note(f"  data  {way.datadir.path}")
        console.note(f"  NATS  {service.url}")
        if len(roles) < len(ROLES):
            console.note(f"  roles {', '.join(roles)}")

    async def _serve(self, service: Service) -> None:
        """Return when asked to stop, or when there is nothing left to do."""
        async with anyio.create_task_group() as group:
            group.start_soon(_listen, group)
            group.start_soon(_watch, service)
            if self.until_idle:
                await service.idle()
                group.cancel_scope.cancel()


async def _listen(group: TaskGroup) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            group.cancel_scope.cancel()
            return


async def _watch(service: Service) -> None:
    reason = await service.failed()
    raise Unavailable(f"the service has given up: {reason}", hint="`headwater doctor` may say why")
