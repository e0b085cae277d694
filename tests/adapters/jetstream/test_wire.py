"""Messages are found in what was read, however it is cut."""

from typing import Any

import pytest
from nats.errors import ProtocolError

from adapters.jetstream import wire

pytestmark = pytest.mark.anyio

Taken = tuple[int, bytes, bytes, bytes, bytes]


class Hearing(wire.Receiver):
    """A client without a server that keeps what it is handed."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[Taken] = []
        self.pings = 0
        self.lost = False

    @property
    def is_connected(self) -> bool:
        return not self.lost

    def take(self, sid: int, subject: bytes, reply: bytes, data: bytes, head: bytes) -> None:
        self.taken.append((sid, subject, reply, data, head))

    async def _process_ping(self) -> None:
        self.pings += 1

    async def _process_err(self, err_msg: Any) -> None:
        self.lost = True


HEAD = b"NATS/1.0\r\nA: b\r\n\r\n"
STREAM = (
    b"MSG one.two 7 2\r\nhi\r\n"
    b"PING\r\n"
    b"MSG one 8 _INBOX.x 0\r\n\r\n"
    b"+OK\r\n"
    b"MSG odd 9 12\r\n\r\nMSG x 1 5\r\r\n" + b"HMSG with.head 10 18 20\r\n" + HEAD + b"ok\r\n"
    b"HMSG with.both 11 back 18 18\r\n" + HEAD + b"\r\n"
    b"PING\r\n"
)
WHOLE: list[Taken] = [
    (7, b"one.two", b"", b"hi", b""),
    (8, b"one", b"_INBOX.x", b"", b""),
    (9, b"odd", b"", b"\r\nMSG x 1 5\r", b""),
    (10, b"with.head", b"", b"ok", HEAD),
    (11, b"with.both", b"back", b"", HEAD),
]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 11, 64, len(STREAM)])
async def test_messages_are_whole_however_they_come(size: int) -> None:
    client = Hearing()
    parser = wire.WholeMessages(client)
    for start in range(0, len(STREAM), size):
        await parser.parse(STREAM[start : start + size])
    assert client.taken == WHOLE
    assert client.pings == 2


async def test_nothing_of_an_old_connection_is_left_for_the_new_one() -> None:
    client = Hearing()
    parser = wire.WholeMessages(client)
    await parser.parse(b"MSG one 7 200\r\nhalf of")
    parser.reset()
    await parser.parse(b"MSG one.two 7 2\r\nhi\r\n")
    assert client.taken == WHOLE[:1]


async def test_what_comes_behind_an_error_is_not_read() -> None:
    client = Hearing()
    await wire.WholeMessages(client).parse(b"-ERR 'Stale Connection'\r\nMSG one.two 7 2\r\nhi\r\n")
    assert client.lost
    assert client.taken == []


@pytest.mark.parametrize("line", [b"MSG one 7 x", b"MSG one", b"MSG one seven 1", b"NONSENSE"])
async def test_what_is_not_the_protocol_is_told(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        await wire.WholeMessages(Hearing()).parse(line + b"\r\nx\r\n")


def test_a_header_is_one_line() -> None:
    assert wire.head_of({"A": "b\r\nEvil: c"}) == b"NATS/1.0\r\nA: b  Evil: c\r\n\r\n"
