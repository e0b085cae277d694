"""Answers to commands, as the JSON objects that every caller sees."""

from collections.abc import Mapping, Sequence
from typing import Any

from domain.errors import (
    Conflict,
    Failure,
    HeadwaterError,
    Malformed,
    NotFound,
    Rejection,
    StorageFull,
    TimedOut,
    TooLarge,
    Unavailable,
)
from domain.ids import Position, Version

Reply = dict[str, Any]
"""`{"status": "accepted", …}` or `{"status": "rejected", "code", "message", "details"}`."""

_CODES: tuple[tuple[type[Failure], str], ...] = (
    (Malformed, "malformed"),
    (TooLarge, "too_large"),
    (NotFound, "not_found"),
    (StorageFull, "storage_full"),
    (TimedOut, "timeout"),
    (Conflict, "unavailable"),
    (Unavailable, "unavailable"),
)
"""Failure → code; the first class that fits counts."""


def accepted(
    stream: str,
    version: Version,
    position: Position,
    tags: Sequence[str],
    more: Mapping[str, Any],
) -> Reply:
    """The answer to a command whose events are stored; no tags where nothing had to change."""
    return {
        "status": "accepted",
        "stream": stream,
        "version": version,
        "position": position,
        "events": list(tags),
        **more,
    }


def rejected(code: str, message: str, details: Mapping[str, Any] | None = None) -> Reply:
    """The answer to a command that left no trace."""
    return {
        "status": "rejected",
        "code": code,
        "message": message,
        "details": dict(details or {}),
    }


def refused(error: Rejection | Failure) -> Reply:
    """The answer that tells of a rejection or a failure."""
    if isinstance(error, Rejection):
        return rejected(error.code, error.message, error.details)
    code = next((code for kind, code in _CODES if isinstance(error, kind)), "unavailable")
    details: dict[str, Any] = {"hint": error.hint} if error.hint else {}
    if isinstance(error, Malformed):
        details["path"] = error.path
    return rejected(code, error.message, details)


def is_accepted(reply: Mapping[str, Any]) -> bool:
    """Whether the command took effect, now or before."""
    return reply.get("status") == "accepted"


def error_of(reply: Mapping[str, Any]) -> HeadwaterError:
    """What a rejected reply tells, as an exception on the caller's side."""
    code, message = str(reply.get("code", "")), str(reply.get("message", ""))
    details = reply.get("details") or {}
    hint = str(details.get("hint", ""))
    match code:
        case "unavailable":
            return Unavailable(message, hint=hint)
        case "storage_full":
            return StorageFull(message, hint=hint)
        case "timeout":
            return TimedOut(message, hint=hint)
        case _:
            return Rejection(code, message, details)
