"""One world from its beginning to its peace."""

import hashlib
from collections.abc import Sequence
from uuid import UUID

import anyio
from msgspec import Struct

from adapters.memory.bus import MemoryBus
from adapters.memory.eventstore import MemoryEventStore
from adapters.readmodels.sqlite import SqliteReadModels
from domain.record import Recorded
from projections.replay import Report, verify
from tests.simulation.chance import Chance, VirtualClock
from tests.simulation.clients import Client
from tests.simulation.core import PROJECTIONS, Lasting, Processes
from tests.simulation.wire import Wire
from tests.simulation.workers import SeededRunner, Worker

wild_seconds = 45.0
"""How long faults go on."""

peace_seconds_max = 1800.0
"""How long runs may take to end after the faults have ended."""

_ENDS = ("run.completed.v1", "run.failed.v1", "run.cancelled.v1")


class Outcome(Struct, frozen=True, kw_only=True):
    """What is left of a world."""

    records: Sequence[Recorded]
    runs: Sequence[UUID]
    wire: Wire
    runner: SeededRunner
    defects: Sequence[str]
    report: Report
    seconds: float
    deaths: int

    @property
    def digest(self) -> str:
        """A hash over every byte that was stored."""
        whole = hashlib.sha256()
        for record in self.records:
            whole.update(f"{record.position} {record.stream} {record.version}".encode())
            whole.update(record.state)
        return whole.hexdigest()


async def live(seed: int) -> Outcome:
    """Let a world happen."""
    chance, clock = Chance(seed), VirtualClock(seed)
    async with SqliteReadModels.open_in_memory(inline=True) as read_models:
        lasting = Lasting(
            chance=chance,
            clock=clock,
            store=MemoryEventStore(store_id=UUID(int=seed)),
            bus=MemoryBus(clock, chance),
            read_models=read_models,
        )
        processes = Processes(lasting, chance.dice.choice((1, 1, 1, 2)))
        wire = Wire(processes, chance)
        runner = SeededRunner(seed, is_wild=chance.dice.random() < 0.8)
        client = Client(lasting, wire)
        workers = [
            Worker(f"w{number}", lasting, processes, wire)
            for number in range(chance.dice.randint(1, 3))
        ]
        async with anyio.create_task_group() as everybody:
            for process in processes.all:
                everybody.start_soon(process.run)
            runner.spawn = everybody.start_soon
            for worker in workers:
                everybody.start_soon(worker.run, runner)
            async with anyio.create_task_group() as visitors:
                visitors.start_soon(_storm, lasting, processes, workers)
                for number in range(chance.dice.randint(1, 2)):
                    visitors.start_soon(client.live, f"p{number}")
            await _peace(lasting, client, clock)
            everybody.cancel_scope.cancel()
        return Outcome(
            records=await lasting.store.read(0, 1_000_000),
            runs=client.runs,
            wire=wire,
            runner=runner,
            defects=[
                *(defect for process in processes.all for defect in process.defects),
                *(defect for worker in workers for defect in worker.defects),
            ],
            report=await verify(lasting.store, read_models, PROJECTIONS),
            seconds=clock.monotonic(),
            deaths=sum(process.deaths for process in processes.all),
        )


async def _storm(lasting: Lasting, processes: Processes, workers: Sequence[Worker]) -> None:
    dice = lasting.chance.dice
    violence = dice.choice((0.0, 0.3, 1.0))
    while anyio.current_time() < wild_seconds:
        await anyio.sleep(dice.uniform(0.1, 6))
        if dice.random() >= violence:
            continue
        match dice.choice(("core", "wipe", "lose", "foreign", "freeze", "kill")):
            case "core":
                processes.die()
            case "wipe":
                lasting.bus.wipe()
            case "lose":
                lasting.bus.lose_last(dice.randint(1, 5))
            case "foreign":
                lasting.bus.put_foreign()
            case "freeze":
                dice.choice(workers).freeze(dice.uniform(1, 40))
            case "kill":
                dice.choice(workers).die()
    lasting.chance.is_calm = True


async def _peace(lasting: Lasting, client: Client, clock: VirtualClock) -> None:
    """Return when every run has ended and every view has seen it, or when it is too late."""
    end = clock.monotonic() + peace_seconds_max
    while clock.monotonic() < end:
        records = await lasting.store.read(0, 1_000_000)
        ended = {record.stream.id for record in records if record.tag in _ENDS}
        if ended.issuperset(client.runs):
            break
        await anyio.sleep(5)
    head = await lasting.store.head()
    while clock.monotonic() < end + 60:
        places = [
            await lasting.read_models.checkpoint(one.name, one.version) for one in PROJECTIONS
        ]
        if all(place is not None and place.position == head for place in places):
            return
        await anyio.sleep(1)
