"""What a service tells about itself: the protocol of NATS micro services.

`$SRV.PING`, `$SRV.INFO` and `$SRV.STATS`, each alone, with a name, and with a name and an id, as
`nats micro list` and every other tool of NATS asks.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct, field

from adapters.jetstream.connection import Callback, Connection
from adapters.jetstream.message import Message


class Identity(Struct, frozen=True, kw_only=True):
    """One running service."""

    name: str
    """The kind of service, in letters, digits, dash and underscore."""
    id: str
    version: str
    """A semantic version."""
    description: str = ""
    role: str = ""
    started: datetime


class EndpointStats(Struct, kw_only=True):
    """One endpoint and what it has done so far."""

    name: str
    subject: str
    queue_group: str
    num_requests: int = 0
    num_errors: int = 0
    last_error: str = ""
    processing_time: int = 0
    """Nanoseconds."""
    average_processing_time: int = 0
    data: dict[str, Any] = field(default_factory=dict)

    def count(self, nanoseconds: int, error: str | None) -> None:
        """One request was answered."""
        self.num_requests += 1
        self.processing_time += nanoseconds
        self.average_processing_time = self.processing_time // self.num_requests
        if error is not None:
            self.num_errors += 1
            self.last_error = error


class Discovery:
    """Answers for one service; `subjects` must be subscribed to `answer`."""

    def __init__(
        self,
        connection: Connection,
        identity: Identity,
        endpoints: Sequence[EndpointStats],
        unwell: Callable[[], str],
    ) -> None:
        self._connection = connection
        self._identity = identity
        self._endpoints = endpoints
        self._unwell = unwell

    def callbacks(self) -> dict[str, Callback]:
        """What to call for which subject."""
        verbs = {"PING": self.ping, "INFO": self.info, "STATS": self.stats}
        name, id_ = self._identity.name, self._identity.id
        return {
            f"$SRV.{verb}{of}": self._answering(content)
            for verb, content in verbs.items()
            for of in ("", f".{name}", f".{name}.{id_}")
        }

    def ping(self) -> dict[str, Any]:
        """Who is there."""
        return self._told("ping")

    def info(self) -> dict[str, Any]:
        """What it offers."""
        endpoints = [
            {
                "name": one.name,
                "subject": one.subject,
                "queue_group": one.queue_group,
                "metadata": {},
            }
            for one in self._endpoints
        ]
        return {
            **self._told("info"),
            "description": self._identity.description,
            "endpoints": endpoints,
        }

    def stats(self) -> dict[str, Any]:
        """What it has done, and whether it is well."""
        reason = self._unwell()
        for endpoint in self._endpoints:
            endpoint.data = {"healthy": False, "reason": reason} if reason else {"healthy": True}
        started = self._identity.started.isoformat(timespec="milliseconds")
        return {
            **self._told("stats"),
            "started": started.replace("+00:00", "Z"),
            "endpoints": self._endpoints,
        }

    def _told(self, verb: str) -> dict[str, Any]:
        return {
            "type": f"io.nats.micro.v1.{verb}_response",
            "name": self._identity.name,
            "id": self._identity.id,
            "version": self._identity.version,
            "metadata": {"role": self._identity.role},
        }

    def _answering(self, content: Callable[[], dict[str, Any]]) -> Callback:
        def answer(message: Message) -> None:
            if message.reply:
                self._connection.send(message.reply, msgspec.json.encode(content()))

        return answer
