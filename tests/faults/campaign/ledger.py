"""What was sent and what was answered, written down outside of the system, line by line."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct


class Told(Struct):
    """One command, as its sender knows it."""

    id: str
    name: str
    payload: dict[str, Any]
    sends: int = 0
    unknown: int = 0
    """Sends without an answer: the command may have taken effect, or not."""
    reply: dict[str, Any] | None = None
    """The first answer that settles it."""
    contradiction: dict[str, Any] | None = None
    """A later answer that says something else."""

    @property
    def accepted(self) -> bool:
        """Whether it was acknowledged."""
        return self.reply is not None and self.reply["status"] == "accepted"


class Ledger:
    """An append-only file of everything that was said, and the same in memory."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1)
        self._lock = threading.Lock()
        self.commands: dict[str, Told] = {}

    def __iter__(self) -> Iterator[Told]:
        return iter(list(self.commands.values()))

    def sent(self, name: str, payload: dict[str, Any]) -> Told:
        """A command is about to be sent, for the first time or again."""
        told = self.commands.setdefault(
            payload["command_id"], Told(payload["command_id"], name, payload)
        )
        told.sends += 1
        self._write(id=told.id, sent=name, payload=payload if told.sends == 1 else None)
        return told

    def unanswered(self, told: Told, why: str) -> None:
        """Its outcome is unknown."""
        told.unknown += 1
        self._write(id=told.id, unknown=why)

    def answered(self, told: Told, reply: dict[str, Any]) -> None:
        """It was accepted or refused, once and for all."""
        self._write(id=told.id, reply=reply)
        if told.reply is None:
            told.reply = reply
        elif reply != told.reply and told.accepted and told.reply["events"]:
            # What had nothing to change leaves no trace, and is decided anew.
            told.contradiction = reply

    def struck(self, what: str) -> None:
        """A fault was brought about."""
        self._write(struck=what)

    def count(self) -> dict[str, int]:
        """How many commands there are of each kind."""
        all_ = list(self)
        return {
            "sent": len(all_),
            "acknowledged": sum(one.accepted for one in all_),
            "refused": sum(one.reply is not None and not one.accepted for one in all_),
            "unknown": sum(one.reply is None for one in all_),
            "resent": sum(one.sends - 1 for one in all_),
        }

    def close(self) -> None:
        """No more is written."""
        self._file.close()

    def _write(self, **line: object) -> None:
        with self._lock:
            self._file.write(json.dumps({k: v for k, v in line.items() if v is not None}) + "\n")
