"""Processor time of a service's processes, as the system counts it: in ticks of 10 ms."""

import os
from pathlib import Path

from msgspec import Struct

from benchmarks.memory import tree

_TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")


class Usage(Struct, frozen=True):
    """Seconds of processor time since each of them began."""

    loop: float
    """The event loop of the service: its main thread."""
    threads: float
    """The service's other threads, which keep the store and the views."""
    steps: float
    """All step processes."""
    bus: float
    """nats-server."""

    @property
    def total(self) -> float:
        """Of all processes."""
        return self.loop + self.threads + self.steps + self.bus

    def each(self, before: "Usage", count: float) -> "Usage":
        """What each of `count` things took since `before`."""
        return Usage(
            (self.loop - before.loop) / count,
            (self.threads - before.threads) / count,
            (self.steps - before.steps) / count,
            (self.bus - before.bus) / count,
        )

    def told(self, factor: float, unit: str) -> str:
        """Each part, in a unit of which a second has `factor`."""
        parts = {
            "the service's event loop": self.loop,
            "its threads": self.threads,
            "step processes": self.steps,
            "nats-server": self.bus,
        }
        return ", ".join(
            f"{name} {value * factor:.3g} {unit}" for name, value in parts.items() if value > 0
        )


def usage(pid: int) -> Usage:
    """Of the service with this process id and all below it."""
    loop = _seconds(Path(f"/proc/{pid}/task/{pid}/stat"))
    below = tree(pid)[1:]
    bus = [one for one in below if Path(f"/proc/{one}/comm").read_text().startswith("nats")]
    return Usage(
        loop=loop,
        threads=_of(pid) - loop,
        steps=sum(_of(one) for one in below if one not in bus),
        bus=sum(map(_of, bus)),
    )


def _of(pid: int) -> float:
    return _seconds(Path(f"/proc/{pid}/stat"))


def _seconds(stat: Path) -> float:
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_SECONDS
