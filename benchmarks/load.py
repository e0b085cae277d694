"""Many callers on one raw connection to NATS: the load costs little beside what it measures."""

import json
import socket
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct

_INBOX = b"_INBOX.load"

Request = Callable[[int, int], tuple[bytes, bytes]]
"""Caller and turn to the subject and payload of what it asks next."""


class Load(Struct, frozen=True):
    """What many callers saw."""

    per_second: float
    p50: float
    """Seconds from a request to its answer."""
    p99: float
    cpu: float
    """Processor time of this end, as a share of one core."""


class Caller:
    """A connection that asks, and waits for nothing else."""

    def __init__(self, url: str, token: str | None) -> None:
        place = urlsplit(url)
        self._socket = socket.create_connection((place.hostname or "", place.port or 4222))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        options = {"verbose": False, "headers": True, "protocol": 1, "auth_token": token}
        self._socket.recv(65536)
        self._socket.sendall(
            b"CONNECT %b\r\nSUB %b.* 1\r\n" % (json.dumps(options).encode(), _INBOX)
        )

    def close(self) -> None:
        """End it."""
        self._socket.close()

    def load(self, callers: int, seconds: float, request: Request) -> Load:
        """Each caller asks as soon as it is answered. Raises `RuntimeError` for a refusal."""
        turns, asked = [0] * callers, [0.0] * callers
        taken: list[float] = []
        cpu, begin = time.process_time(), time.perf_counter()

        def ask(caller: int) -> bytes:
            subject, payload = request(caller, turns[caller])
            turns[caller] += 1
            asked[caller] = time.perf_counter()
            return b"PUB %b %b.%d %d\r\n%b\r\n" % (subject, _INBOX, caller, len(payload), payload)

        self._socket.sendall(b"".join(map(ask, range(callers))))
        waiting, rest, end = callers, b"", begin + seconds
        while waiting:
            data = rest + self._socket.recv(1 << 20)
            answered, rest = _answers(data)
            if data.startswith(b"PING"):
                self._socket.sendall(b"PONG\r\n")
            now = time.perf_counter()
            taken += [now - asked[caller] for caller in answered]
            waiting -= len(answered)
            if now < end:
                waiting += len(answered)
                self._socket.sendall(b"".join(map(ask, answered)))
        passed = time.perf_counter() - begin
        return Load(
            per_second=len(taken) / passed,
            p50=statistics.median(taken),
            p99=statistics.quantiles(taken, n=100)[98],
            cpu=(time.process_time() - cpu) / passed,
        )


def _answers(data: bytes) -> tuple[list[int], bytes]:
    """Who was answered, and the beginning of a message that is not whole yet."""
    found: list[int] = []
    place = 0
    while (end := data.find(b"\r\n", place)) >= 0:
        words = data[place:end].split()
        if words[0] not in (b"MSG", b"HMSG"):
            place = end + 2
            continue
        behind = end + 2 + int(words[-1])
        if len(data) < behind + 2:
            break
        if b'"rejected"' in data[end:behind]:
            raise RuntimeError(data[end:behind])
        found.append(int(words[1].rpartition(b".")[2]))
        place = behind + 2
    return found, data[place:]


def caller(folder: Path) -> Caller:
    """A caller of the service in `folder`."""
    known = json.loads((folder / ".headwater/nats/connection.json").read_text())
    return Caller(known["url"], known["token"])
