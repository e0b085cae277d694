"""Clients that start runs, pause and resume pipelines, and send again what nobody has answered."""

import asyncio
import json
import random
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import UUID

import nats
import nats.errors
from msgspec import Struct
from nats.aio.client import Client

from tests.faults.campaign.ledger import Ledger, Told

PIPELINES = 3
commands_max = 200_000
"""Of one load; a trial that reaches it is told as it is."""
run_share = 0.1
"""Of all commands; the others pause and resume pipelines."""

request_seconds = 2.0
resends_max = 120
again_seconds = 0.1
LATER = {"unavailable", "storage_full", "timeout", "conflict"}
"""Refusals that say: send it again."""

ROWS = [1, 2, 3]


class Way(Struct, frozen=True):
    """How a client reaches the service at this moment."""

    url: str
    token: str = ""


def spec(number: int) -> dict[str, Any]:
    """A pipeline with a step of each engine, a file that is replaced and a folder that grows."""
    return {
        "pipeline": f"p{number}",
        "params": {"factor": {"type": "integer"}},
        "sources": {"numbers": {"kind": "csv", "path": "numbers.csv", "columns": {"n": "integer"}}},
        "steps": [
            {"id": "raw", "kind": "ingest", "source": "numbers"},
            {
                "id": "times",
                "kind": "transform",
                "sql": "select n * $factor as n, $factor as factor from raw",
                "checks": [{"unique": ["n"]}],
            },
            {
                "id": "grown",
                "kind": "store",
                "input": "times",
                "mode": "append",
                "slice": ["factor"],
                "order_by": ["n"],
                "sink": {"kind": "csv", "path": f"out/grown{number}"},
            },
        ],
    }


class Load:
    """Clients in a thread of their own; what they draw is decided by the seed."""

    def __init__(self, way: Callable[[], Way], root: str, ledger: Ledger, seed: int) -> None:
        self._way = way
        self._root = root
        self._ledger = ledger
        self._seed = seed
        self._client: Client | None = None
        self._connecting = asyncio.Lock()
        self._calm = threading.Event()
        self._in_vain = threading.Event()
        """Set where nobody may be there any more who answers."""
        self._factors = iter(range(1, commands_max))
        self.acknowledged = threading.Event()
        """Set by every acknowledgement; whoever waits for one clears it first."""
        self.broken: list[str] = []

    def wait(self, seconds: float) -> None:
        """Wait for an acknowledgement from now on. Raises `AssertionError` where none comes."""
        self.acknowledged.clear()
        if not self.acknowledged.wait(seconds):
            raise AssertionError(f"nothing was acknowledged for {seconds} s {self.broken}")

    def calm_for(self, seconds: float) -> None:
        """Let the clients go on for a while."""
        self._calm.wait(seconds)

    def begin_at(self, factor: int) -> None:
        """Give runs of this load factors that no other load has given."""
        self._factors = iter(range(factor, commands_max))

    @contextmanager
    def running(self, clients: int = 3) -> Iterator[None]:
        """Load until the end of the block; behind it every command has come to its answer, unless
        the block has failed."""
        thread = threading.Thread(target=lambda: asyncio.run(self._all(clients)))
        thread.start()
        try:
            yield
        except BaseException:
            self._in_vain.set()
            raise
        finally:
            self._calm.set()
            thread.join()
        if self.broken:
            raise AssertionError(f"a client broke: {self.broken}")

    async def _all(self, clients: int) -> None:
        try:
            chance = random.Random(self._seed)
            for number in range(PIPELINES):
                await self._send(
                    "pipeline.register",
                    {"spec": spec(number), "root": self._root, "command_id": id_of(chance)},
                )
            await asyncio.gather(
                *(self._client_loop(random.Random(f"{self._seed}/{n}")) for n in range(clients))
            )
        except Exception:  # noqa: BLE001  # told by whoever joins the thread
            self.broken.append(traceback.format_exc())
        finally:
            await self._forget()

    async def _client_loop(self, chance: random.Random) -> None:
        while not self._calm.is_set() and len(self._ledger.commands) < commands_max:
            command, payload = self._draw(chance)
            told = await self._send(command, payload)
            if told.accepted and chance.random() < 0.1:
                await self._send(command, payload)  # as a client that has lost the answer

    def _draw(self, chance: random.Random) -> tuple[str, dict[str, Any]]:
        pipeline = f"p{chance.randrange(PIPELINES)}"
        drawn = chance.random()
        if drawn < run_share:
            params = {"factor": next(self._factors)}
            return "run.start", {
                "pipeline": pipeline,
                "params": params,
                "command_id": id_of(chance),
            }
        verb = "pause" if drawn < (1 + run_share) / 2 else "resume"
        return f"pipeline.{verb}", {
            "pipeline": pipeline,
            "reason": f"drawn {drawn:.3f}",
            "command_id": id_of(chance),
        }

    async def _send(self, command: str, payload: dict[str, Any]) -> Told:
        """Send until it is answered once and for all, or given up as unknown."""
        body = json.dumps(payload).encode()
        for _ in range(resends_max):
            told = self._ledger.sent(command, payload)
            reply = await self._ask(told, f"headwater.command.{command}", body)
            if reply is not None and reply.get("code") not in LATER:
                self._ledger.answered(told, reply)
                self.acknowledged.set()
                return told
            if self._in_vain.is_set():
                break
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.Event().wait(), again_seconds)
        return told

    async def _ask(self, told: Told, subject: str, body: bytes) -> dict[str, Any] | None:
        try:
            client = await self._connected()
            answer = await client.request(subject, body, timeout=request_seconds)
        except (nats.errors.Error, OSError, TimeoutError, ValueError) as error:
            self._ledger.unanswered(told, repr(error))
            if not isinstance(error, nats.errors.NoRespondersError):
                await self._forget()
            return None
        if (answer.headers or {}).get("Nats-Service-Error"):
            self._ledger.unanswered(told, answer.data.decode())
            return None
        reply: dict[str, Any] = json.loads(answer.data)
        return reply

    async def _connected(self) -> Client:
        async with self._connecting:
            if self._client is None or self._client.is_closed:
                self._client = await self._connect()
            return self._client

    async def _connect(self) -> Client:
        way, client = self._way(), Client()
        connecting = client.connect(
            way.url,
            token=way.token or None,
            allow_reconnect=False,
            connect_timeout=2,
            error_cb=_unheard,
        )
        try:
            # The library waits without end for the first words of a server that dies.
            await asyncio.wait_for(connecting, 2 * request_seconds)
        except BaseException:
            await _closed(client)
            raise
        return client

    async def _forget(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await _closed(client)


async def _closed(client: Client) -> None:
    if not client.is_closed:
        with suppress(TimeoutError, nats.errors.Error, OSError):
            await asyncio.wait_for(client.close(), request_seconds)


async def _unheard(_: Exception) -> None:
    """Errors show at the requests."""


def id_of(chance: random.Random) -> str:
    """An id that the seed decides."""
    return str(UUID(int=chance.getrandbits(128), version=4))
