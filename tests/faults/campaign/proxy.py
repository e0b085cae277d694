"""A proxy before a nats-server that loses, doubles and delays single messages of its clients."""

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

delivery_rate = 0.1
"""Share of deliveries that each of the three happens to: events, tasks, commands and queries."""

reply_rate = 0.01
"""The same of everything else: answers and acknowledgements, which are awaited for seconds."""

delay_seconds_max = 0.3
"""So late a message may come, behind many that were sent after it."""


class Proxy:
    """Takes connections on `port` and makes one to `behind` for each; `running` opens it."""

    def __init__(self, port: int, behind: int, seed: int) -> None:
        self._port = port
        self._behind = behind
        self._chance = random.Random(f"proxy {seed}")
        self._connections: set[asyncio.Task[None]] = set()
        self.is_calm = False
        """Hand everything on, once and in its order."""
        self.disturbed: Counter[str] = Counter()

    @property
    def total(self) -> int:
        """How many messages something has happened to."""
        return sum(self.disturbed.values())

    @contextmanager
    def running(self) -> Iterator[None]:
        """Serve in a thread until the block ends."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        server = asyncio.run_coroutine_threadsafe(self._serve(), loop).result()
        try:
            yield
        finally:
            asyncio.run_coroutine_threadsafe(self._leave(server), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    async def _serve(self) -> asyncio.Server:
        return await asyncio.start_server(self._accept, "127.0.0.1", self._port)

    async def _leave(self, server: asyncio.Server) -> None:
        server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        this = asyncio.current_task()
        assert this is not None
        self._connections.add(this)
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                behind, there = await asyncio.open_connection("127.0.0.1", self._behind)
                ways = (_copy(reader, there), self._deliver(behind, writer))
                tasks = {asyncio.create_task(way) for way in ways}
                try:
                    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for task in tasks:
                        task.cancel()
                    await asyncio.gather(*tasks, return_exceptions=True)
                    there.close()
        finally:
            writer.close()
            self._connections.discard(this)

    async def _deliver(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """From the server, message by message."""
        while True:
            line = await reader.readuntil(b"\n")
            words = line.split()
            if words[:1] not in ([b"MSG"], [b"HMSG"]):
                writer.write(line)
            else:
                rest = await reader.readexactly(int(words[-1]) + 2)
                self._hand_on(writer, line + rest, _is_delivery(words))
            await writer.drain()

    def _hand_on(self, writer: asyncio.StreamWriter, message: bytes, is_delivery: bool) -> None:
        rate = 0.0 if self.is_calm else delivery_rate if is_delivery else reply_rate
        drawn = self._chance.random()
        if drawn < rate:
            self.disturbed["lost"] += 1
        elif drawn < 2 * rate:
            self.disturbed["doubled"] += 1
            writer.write(message + message)
        elif drawn < 3 * rate:
            self.disturbed["delayed"] += 1
            seconds = self._chance.uniform(0, delay_seconds_max)
            asyncio.get_running_loop().call_later(seconds, _late, writer, message)
        else:
            writer.write(message)


def _is_delivery(words: list[bytes]) -> bool:
    """Whether it comes from a stream, or is asked of a service."""
    return any(word.startswith((b"headwater.", b"$JS.ACK.")) for word in words[1:4])


def _late(writer: asyncio.StreamWriter, message: bytes) -> None:
    if not writer.is_closing():
        writer.write(message)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while some := await reader.read(1 << 16):
        writer.write(some)
        await writer.drain()
