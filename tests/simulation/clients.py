"""Clients that register, start, cancel, retry and pause, each command until it is answered."""

from typing import Any
from uuid import UUID

import anyio

from commands.ports import CommandContext
from commands.reply import Reply, is_accepted
from domain.errors import TimedOut, Unavailable
from tests.commands.stage import sketch
from tests.simulation.core import Lasting
from tests.simulation.wire import Wire

CONTEXT = CommandContext(principal="test:client")


class Client:
    """Sends commands with ids of its own, so that sending again is harmless."""

    def __init__(self, lasting: Lasting, wire: Wire) -> None:
        self._chance = lasting.chance
        self._clock = lasting.clock
        self._wire = wire
        self.runs: list[UUID] = []
        """Runs whose start was accepted."""

    async def live(self, name: str) -> None:
        """Register a pipeline, start runs of it, and meddle with them."""
        dice = self._chance.dice
        await self.tell("pipeline.register", spec=self._sketch(name))
        async with anyio.create_task_group() as tasks:
            for _ in range(dice.randint(1, 4)):
                tasks.start_soon(self._one_run, name, dice.uniform(0, 20))
            if dice.random() < 0.2:
                tasks.start_soon(self._pause, name, dice.uniform(0, 15))
            if dice.random() < 0.2:
                tasks.start_soon(self._revise, name, dice.uniform(0, 15))

    async def tell(self, command: str, **payload: Any) -> Reply:
        """The answer, however often it takes; sometimes several send the same at once."""
        payload["command_id"] = str(self._clock.new_id())
        copies = self._chance.dice.randint(2, 4) if self._chance.happens(0.2) else 1
        replies: list[Reply] = []

        async def send() -> None:
            while True:
                try:
                    reply = await self._wire.command(command, payload, CONTEXT)
                except (Unavailable, TimedOut):
                    await anyio.sleep(0.3)
                    continue
                if reply.get("code") not in ("unavailable", "storage_full"):
                    replies.append(reply)
                    return
                await anyio.sleep(0.3)

        async with anyio.create_task_group() as tasks:
            for _ in range(copies):
                tasks.start_soon(send)
        return next((one for one in replies if is_accepted(one)), replies[0])

    async def _one_run(self, name: str, after: float) -> None:
        dice = self._chance.dice
        await anyio.sleep(after)
        anew = dice.choice(({}, {}, {}, {"no_cache": True}, {"fresh": ["s0"]}))
        reply = await self.tell("run.start", pipeline=name, **anew)
        if not is_accepted(reply):
            assert reply["code"] in ("pipeline_paused", "pipeline_retired"), reply
            return
        run = UUID(reply["run"])
        self.runs.append(run)
        if dice.random() < 0.3:
            await anyio.sleep(dice.choice((0.0, 0.1, 1.0, 10.0)))
            await self.tell("run.cancel", run=str(run))
        if dice.random() < 0.4:
            await self._retry(run, dice.choice((None, "s0", "s1", "nothing")))

    async def _retry(self, run: UUID, step: str | None) -> None:
        while True:
            reply = await self.tell("run.retry", run=str(run), **({"from": step} if step else {}))
            if is_accepted(reply):
                self.runs.append(UUID(reply["run"]))
                return
            if reply["code"] != "run_not_finished":
                assert reply["code"] in ("nothing_to_retry", "step_not_found", "pipeline_paused")
                return
            await anyio.sleep(5)

    async def _pause(self, name: str, after: float) -> None:
        await anyio.sleep(after)
        await self.tell("pipeline.pause", pipeline=name, reason="maintenance")
        await anyio.sleep(self._chance.dice.uniform(0, 10))
        await self.tell("pipeline.resume", pipeline=name)

    async def _revise(self, name: str, after: float) -> None:
        await anyio.sleep(after)
        await self.tell("pipeline.register", spec=self._sketch(name))

    def _sketch(self, name: str) -> dict[str, Any]:
        """A random graph; each step may wait for those before it."""
        dice = self._chance.dice
        count, density = dice.randint(1, 9), dice.choice((0.1, 0.3, 0.7))
        steps = []
        for number in range(count):
            inputs = [f"s{one}" for one in range(number) if dice.random() < density]
            steps.append(f"s{number}: {' '.join(inputs)}")
        spec = sketch(name, *steps)
        spec["parallel"] = dice.choice((1, 2, 64))
        for step in spec["steps"]:
            attempts = dice.randint(1, 3)
            step["retry"] = {"attempts": attempts, "initial": dice.choice((0.0, 0.5, 5.0))}
        return spec
