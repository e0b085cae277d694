"""What can go wrong on the bus in memory, decided by whoever simulates."""

from typing import Literal, Protocol

Publishing = Literal["stored", "refused", "unanswered", "forgotten"]
"""What happens to a message: `unanswered` is stored, but its sender hears of an error;
`forgotten` is acknowledged and lost, as in a power cut."""

Delivering = Literal["once", "twice", "late", "never"]
"""What happens to a delivery: `late` comes behind the next one."""


class Faults(Protocol):
    """Decides what goes wrong, each time anew."""

    def publishing(self) -> Publishing:
        """Asked for each event and each task that is sent."""
        ...

    def delivering(self) -> Delivering:
        """Asked for each event and each feed, and for each task that is handed out."""
        ...

    def is_wakeup_lost(self) -> bool:
        """Asked for each wake-up: who waits then sees what has come when its time is up."""
        ...


class NoFaults(Faults):
    """All goes well."""

    def publishing(self) -> Publishing:
        """Always stored."""
        return "stored"

    def delivering(self) -> Delivering:
        """Always once."""
        return "once"

    def is_wakeup_lost(self) -> bool:
        """Never."""
        return False
