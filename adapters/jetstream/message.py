"""One message of the bus, as it came."""

from msgspec import Struct

_version = "NATS/1.0"


class Message(Struct, frozen=True, gc=False):
    """What a subscription's callback is given."""

    subject: str
    reply: str
    """Where an answer goes; empty where none is wanted."""
    data: bytes
    headers: dict[str, str]

    @property
    def status(self) -> str | None:
        """The server's own word in place of a payload, such as 503 where nobody listens."""
        return None if self.data else self.headers.get("Status")


def message_of(subject: bytes, reply: bytes, data: bytes, head: bytes) -> Message:
    """Raises `ValueError` where a subject cannot be read."""
    return Message(subject.decode(), reply.decode(), data, headers_of(head) if head else {})


def headers_of(head: bytes) -> dict[str, str]:
    """The header lines behind the version, and a status beside it.

    What is no header is passed by: who has sent it waits for an answer to the rest.
    """
    first, *lines = head.decode(errors="replace").split("\r\n")
    found: dict[str, str] = {}
    if not first.startswith(_version):
        return found
    if status := first[len(_version) :].split(maxsplit=1):
        found["Status"] = status[0]
    for line in lines:
        key, colon, value = line.partition(":")
        if colon:
            found[key.strip()] = value.strip()
    return found
