"""Errors on the wire: headers for NATS tools, a JSON body for programs, and the way back."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from domain.errors import (
    Conflict,
    Defect,
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

error_header = "Nats-Service-Error"
code_header = "Nats-Service-Error-Code"

message_characters_max = 200
"""Of an error's message in the header; the body has all of it."""

rejection_code = "422"

_kinds: tuple[tuple[type[HeadwaterError], str, str], ...] = (
    (Malformed, "400", "malformed"),
    (NotFound, "404", "not_found"),
    (Conflict, "409", "conflict"),
    (TooLarge, "413", "too_large"),
    (StorageFull, "507", "storage_full"),
    (Unavailable, "503", "unavailable"),
    (TimedOut, "504", "timed_out"),
    (Failure, "502", "failure"),
    (Defect, "500", "defect"),
)


class ErrorBody(Struct, frozen=True, kw_only=True):
    """What a refused request is answered, in the shape of a rejected command."""

    status: str = "rejected"
    code: str
    message: str
    hint: str = ""
    details: dict[str, Any] = {}


def error_reply(error: HeadwaterError) -> tuple[bytes, dict[str, str]]:
    """Body and headers that tell of `error`."""
    number, code = rejection_code, ""
    details: dict[str, Any] = {}
    match error:
        case Rejection():
            code, details = error.code, error.details
        case Conflict():
            details = {"stream": error.stream, "expected": error.expected}
        case Malformed():
            details = {"path": error.path} if error.path else {}
        case _:
            pass
    if not isinstance(error, Rejection):
        number, code = next(
            (number, code) for kind, number, code in _kinds if isinstance(error, kind)
        )
    body = ErrorBody(code=code, message=error.message, hint=error.hint, details=details)
    headers = {error_header: error.message[:message_characters_max], code_header: number}
    return msgspec.json.encode(body), headers


def raise_error(body: bytes, headers: Mapping[str, str] | None) -> None:
    """Raise the error that a reply tells of; nothing where it tells of none."""
    if not headers or code_header not in headers:
        return
    number = headers[code_header]
    try:
        told = msgspec.json.decode(body, type=ErrorBody)
    except msgspec.MsgspecError:
        told = ErrorBody(code="failure", message=headers.get(error_header, f"error {number}"))
    raise _error(number, told)


def _error(number: str, told: ErrorBody) -> HeadwaterError:
    message, details = told.message, told.details
    match number:
        case "422":
            return Rejection(told.code, message, details)
        case "400":
            return Malformed(message, path=str(details.get("path", "")), hint=told.hint)
        case "409" if "stream" in details:
            return Conflict(str(details["stream"]), int(details.get("expected", 0)))
    kind = next((kind for kind, known, _ in _kinds if known == number), Failure)
    return kind(message, hint=told.hint)
