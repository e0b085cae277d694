"""The way of clients and workers to the core: it loses questions, answers, and doubles them."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from msgspec import Struct

from commands.ports import (
    CommandContext,
    CommandSender,
    Definitions,
    Leases,
    LeaseState,
)
from commands.reply import Reply, error_of, is_accepted
from domain.errors import TimedOut
from domain.pipeline.events import Definition
from tests.simulation.chance import Chance
from tests.simulation.core import Processes


class Wire:
    """Sends commands, and keeps every answer that arrived."""

    def __init__(self, processes: Processes, chance: Chance) -> None:
        self._processes = processes
        self._chance = chance
        self.answers: list[tuple[str, Mapping[str, Any], Reply]] = []

    async def command(self, command: str, payload: Any, context: CommandContext) -> Reply:
        """The reply. Raises `Unavailable`, `TimedOut`; the command may have been carried out."""
        for _ in range(2 if self._chance.is_bad_luck() else 1):
            if self._chance.is_bad_luck():
                raise TimedOut("the question was lost")
            reply = await self._processes.ask(
                lambda core: core.dispatcher.dispatch(command, payload, context)
            )
            if self._chance.is_bad_luck():
                raise TimedOut("the answer was lost")
            self.answers.append((command, payload, reply))
        return reply


class WorkerWire(CommandSender, Leases, Definitions):
    """A worker's end of the wire."""

    def __init__(self, wire: Wire, processes: Processes) -> None:
        self._wire = wire
        self._processes = processes

    async def send(
        self, command: str, payload: Mapping[str, Any] | Struct, context: CommandContext
    ) -> Mapping[str, Any]:
        """As promised by the port."""
        reply = await self._wire.command(command, payload, context)
        if not is_accepted(reply):
            raise error_of(reply)
        return reply

    async def lease_state(self, run: UUID, step: str, attempt: int, lease: int) -> LeaseState:
        """As promised by the port."""
        return await self._processes.ask(
            lambda core: core.lookup.lease_state(run, step, attempt, lease)
        )

    async def definition(self, pipeline: str, revision: int) -> Definition:
        """As promised by the port."""
        return await self._processes.ask(lambda core: core.lookup.definition(pipeline, revision))
