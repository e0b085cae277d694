"""The names of subjects and streams, and how the streams are made."""

import logging
import time
from collections.abc import Mapping
from typing import Any

from msgspec import Struct, to_builtins

from adapters.jetstream.api import JetStreamApi, NotMade, Refused, stream_exists
from commands.ports import Task
from domain.record import Recorded

_log = logging.getLogger(__name__)

window_bytes_max = 1024**3
"""The events stream: a window on the newest events, not an archive."""

ack_seconds = 10.0
"""A task that nobody has kept alive for so long goes to another worker."""

consumer_name = "workers"
"""The one consumer of the work queue, shared by all workers."""


class Topology(Struct, frozen=True, kw_only=True):
    """All names under one prefix, so that several services can share a server."""

    prefix: str = "headwater"
    window_bytes: int = window_bytes_max
    ack_seconds: float = ack_seconds
    replicas: int = 1
    """Copies of each stream, where the servers are a cluster."""

    @property
    def events(self) -> str:
        """The events stream."""
        return f"{self._upper}_EVENTS"

    @property
    def tasks(self) -> str:
        """The work queue's stream."""
        return f"{self._upper}_TASKS"

    @property
    def _upper(self) -> str:
        return self.prefix.upper().replace(".", "_")

    def event_subject(self, event: Recorded) -> str:
        """`headwater.event.run.0193….step_scheduled`."""
        category, _, fact = event.tag.partition(".")
        fact = fact[: fact.rfind(".")]
        return f"{self.prefix}.event.{category}.{to_builtins(event.stream.id)}.{fact}"

    def task_subject(self, task: Task) -> str:
        """One subject per attempt of a step: the queue holds one message of each."""
        return f"{self.prefix}.task.{task.engine}.{task.run}.{task.step}.{task.attempt}"

    def command_subject(self, command: str) -> str:
        """`headwater.command.run.start`."""
        return f"{self.prefix}.command.{command}"

    def query_subject(self, query: str) -> str:
        """`headwater.query.monitoring.runs`."""
        return f"{self.prefix}.query.{query}"

    def streams(self) -> Mapping[str, Mapping[str, Any]]:
        """What we insist on, by stream; the rest is the server's or its operator's choice."""
        # Where nobody asks for copies, however many a stream has is left as it is.
        copies = {"num_replicas": self.replicas} if self.replicas > 1 else {}
        return {
            self.events: {
                **copies,
                "subjects": [f"{self.prefix}.event.>"],
                "retention": "limits",
                "discard": "old",
                "max_bytes": self.window_bytes,
                "allow_atomic": True,
            },
            self.tasks: {
                **copies,
                "subjects": [f"{self.prefix}.task.>"],
                "retention": "workqueue",
                "discard": "new",
                "discard_new_per_subject": True,
                "max_msgs_per_subject": 1,
            },
        }

    def consumer(self) -> Mapping[str, Any]:
        """The work queue's consumer: no limit on deliveries, the claims have one."""
        return {
            "durable_name": consumer_name,
            "name": consumer_name,
            "ack_policy": "explicit",
            "ack_wait": int(self.ack_seconds * 1e9),
            "max_deliver": -1,
            "max_ack_pending": -1,
            "max_waiting": 4096,
        }


async def ensure(api: JetStreamApi, topology: Topology) -> None:
    """Make what is missing and set right what differs; nothing happens where all is well.

    Raises `Unavailable`, `StorageFull`.
    """
    for name, wanted in topology.streams().items():
        await _ensure_stream(api, name, wanted)
    try:
        await _ensure_consumer(api, topology)
    except NotMade as error:
        # The queue can be lost: the policy fills a new one from the store.
        _log.warning("the work queue is made anew, since its consumer cannot be: %s", error.message)
        await api.call(f"STREAM.DELETE.{topology.tasks}")
        await _ensure_stream(api, topology.tasks, topology.streams()[topology.tasks])
        await _ensure_consumer(api, topology)


async def _ensure_consumer(api: JetStreamApi, topology: Topology) -> None:
    await api.call(
        f"CONSUMER.CREATE.{topology.tasks}.{consumer_name}",
        {"stream_name": topology.tasks, "config": topology.consumer()},
    )


async def _ensure_stream(api: JetStreamApi, name: str, wanted: Mapping[str, Any]) -> None:
    found = await api.stream_config(name)
    if found is None:
        try:
            new = {"name": name, "storage": "file", **wanted}
            if wanted["retention"] == "workqueue":
                new["first_seq"] = _first_sequence()
            await api.call(f"STREAM.CREATE.{name}", new)
        except Refused as error:
            if error.error.err_code != stream_exists:  # somebody else was quicker
                raise
        return
    if any(found.get(key) != value for key, value in wanted.items()):
        await api.call(f"STREAM.UPDATE.{name}", {**found, **wanted})


def _first_sequence() -> int:
    """A number that no queue before has reached: its deliveries shall finish nothing in this one.

    Microseconds, because a queue that takes a million tasks a second is not one of ours.
    """
    return time.time_ns() // 1_000
