"""The bytes of NATS's protocol, for the two directions in which every message goes.

The library reads each message by several expressions and copies of its buffer, and makes a task of
each; half of what a small request costs would be spent there.
"""

from collections.abc import Mapping

from nats.aio.client import Client
from nats.errors import ProtocolError
from nats.protocol.parser import Parser

_LINE_END = b"\r\n"
_NEWLINES = str.maketrans({"\r": " ", "\n": " "})


class Receiver(Client):
    """A client that is handed each message at once."""

    def take(self, sid: int, subject: bytes, reply: bytes, data: bytes, head: bytes) -> None:
        """One message; `head` is empty where it has no headers."""
        raise NotImplementedError


class WholeMessages(Parser):
    """Finds whole messages in what was read; all else in there is left to the library."""

    nc: Receiver

    def reset(self) -> None:
        """Forget what is not whole: the connection is a new one."""
        super().reset()
        self._rest = b""

    async def parse(self, data: bytes = b"") -> None:
        """Raises `ProtocolError`."""
        data, self._rest, place = self._rest + data, b"", 0
        while (end := data.find(_LINE_END, place)) >= 0:
            if data[place : place + 4] in (b"MSG ", b"HMSG"):
                behind = self._take(data, place, end)
                if not behind:
                    break
                place = behind
                continue
            self.buf += data[place : end + 2]
            await super().parse()
            place = end + 2
            if not self.nc.is_connected:
                return
        self._rest = data[place:]

    def _take(self, data: bytes, place: int, end: int) -> int:
        """Hand on the message that begins here; the place behind it, 0 where it is not whole."""
        words = data[place:end].split()
        start = end + 2
        try:
            stop = start + int(words[-1])
            if len(data) < stop + 2:
                return 0
            with_head = len(words[0]) == 4
            begin = start + int(words[-2]) if with_head else start
            reply = words[3] if len(words) == (6 if with_head else 5) else b""
            sid = int(words[2])
        except (ValueError, IndexError):
            raise ProtocolError(f"nats: malformed {data[place:end][:40]!r}") from None
        self.nc.take(sid, words[1], reply, data[begin:stop], data[start:begin])
        return stop + 2


def head_of(headers: Mapping[str, str]) -> bytes:
    """Headers as they go before a payload. Their names are ours; values are made one line."""
    lines = [f"{key}: {one_line(value)}\r\n" for key, value in headers.items()]
    return f"NATS/1.0\r\n{''.join(lines)}\r\n".encode()


def one_line(value: str) -> str:
    """A header's value, from which no other header can follow."""
    return value.translate(_NEWLINES)


def message_of(subject: str, payload: bytes, head: bytes, reply: str) -> bytes:
    """What is sent for a message."""
    size = len(payload)
    if head:
        line = f"HPUB {subject} {reply} {len(head)} {len(head) + size}\r\n"
        return b"%b%b%b\r\n" % (line.encode(), head, payload)
    return b"%b%b\r\n" % (f"PUB {subject} {reply} {size}\r\n".encode(), payload)
