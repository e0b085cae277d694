"""The three kinds of "no".

HeadwaterError
├── Rejection        the rules refuse; the caller gets a reply with a code, nothing is stored
├── Failure          the world refused; policy retries, parks or halts
│   ├── Conflict     somebody else appended first
│   ├── Malformed    a payload or a stored event cannot be read
│   ├── TooLarge     something is above its limit in bytes or in number
│   ├── NotFound     a named thing does not exist
│   ├── Unavailable  a server or a file cannot be reached now; trying again may help
│   ├── StorageFull  the disk refuses more bytes; nothing was acknowledged
│   └── TimedOut     the answer did not come in time
└── Defect           our own mistake; the worker stops and its supervisor shows it
"""

from collections.abc import Mapping


class HeadwaterError(Exception):
    """Everything that Headwater raises on purpose."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def in_one_line(self) -> str:
        """The message, and what to do about it in brackets."""
        return f"{self.message} ({self.hint})" if self.hint else self.message


class Rejection(HeadwaterError):
    """The rules refuse a command. `code` is stable and meant for programs."""

    def __init__(
        self, code: str, message: str, details: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.details = dict(details or {})


class Failure(HeadwaterError):
    """The world refused."""


class Conflict(Failure):
    """The stream is at another version than expected."""

    def __init__(self, stream: str, expected: int) -> None:
        super().__init__(f"stream {stream} is no longer at version {expected}")
        self.stream = stream
        self.expected = expected


class Malformed(Failure):
    """Bytes that cannot be read as what they should be; `path` names the offending field."""

    def __init__(self, message: str, *, path: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.path = path


class TooLarge(Failure):
    """Above a limit; the message names the limit."""


class NotFound(Failure):
    """A named thing does not exist."""


class Unavailable(Failure):
    """A server, a file or a peer cannot be reached now."""


class StorageFull(Unavailable):
    """No space left where a durable write must go."""


class TimedOut(Failure):
    """No answer within the limit."""


class Defect(HeadwaterError):
    """A mistake in Headwater itself."""
