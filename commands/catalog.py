"""Payloads of commands as they come over the wire, by the command's type.

Unknown fields are an error, but for those of workers, which may be newer than who decides: a field
may join there with a default, as in events. A payload's hash covers its content without the ids
that tell where it comes from, so that a second delivery is known as the same command.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from domain.errors import Malformed, NotFound, TooLarge
from domain.limits import ahead_max, command_bytes_max, nesting_max, project_chars_max
from domain.pipeline.names import NAME
from domain.run.commands import DoneAhead, StepResult
from domain.run.events import ParamValue


class Payload(
    Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What every payload may carry."""

    command_id: UUID | None = None
    """Makes sending twice harmless; made up where it is missing."""
    correlation_id: UUID | None = None
    """The chain that the command belongs to; its own id begins a new one."""
    causation_id: UUID | None = None
    """The message that caused it."""


class RegisterPayload(Payload, frozen=True, kw_only=True):
    """`pipeline.register`."""

    spec: dict[str, Any]
    """The pipeline file as JSON; binding looks into it."""
    files: dict[str, str] = {}
    root: str = ""
    draft: bool = False
    expected_revision: int | None = None
    project: Annotated[str, Meta(max_length=project_chars_max)] = ""
    """The project that it comes from: a name that belongs to another one is refused."""
    take_over: bool = False
    """Make a name that belongs to another project belong to `project`."""
    env: Annotated[str, Meta(pattern=f"^({NAME.pattern})?$")] = ""
    """The environment of the project that `spec` was made for."""


class PipelinePayload(Payload, frozen=True, kw_only=True):
    """`pipeline.pause`, `pipeline.resume`, `pipeline.retire`."""

    pipeline: str
    reason: str = ""


class StartPayload(Payload, frozen=True, kw_only=True):
    """`run.start`."""

    pipeline: str
    params: dict[str, ParamValue] = {}
    run: UUID | None = None
    """The new run's id; the command's own id where it is missing."""
    revision: int | None = None
    """The active one where it is missing."""
    no_cache: bool = False
    """Reuse nothing that was done before."""
    fresh: tuple[str, ...] = ()
    """Steps to do anew, and with them what follows from their new content."""
    env: str | None = None
    """Refuse a revision that was made for another environment; any will do where it is missing."""


class CancelPayload(Payload, frozen=True, kw_only=True):
    """`run.cancel`."""

    run: UUID
    reason: str = ""


class RetryPayload(Payload, frozen=True, kw_only=True, rename={"from_step": "from"}):
    """`run.retry`: a new run, whose id is the command's own."""

    run: UUID
    """The run to do again."""
    from_step: str | None = None
    """Steps not after it are reused; without it all that succeeded are."""


class RedoPayload(Payload, frozen=True, kw_only=True):
    """`run.redo`: a new run in which a step puts back what it had set apart."""

    run: UUID
    """The run whose step set rows apart."""
    step: str
    rows: str = ""
    """File of mended rows (CSV, or JSON lines); without it they are tried as they are."""
    revision: int | None = None
    """The revision to try them with; the run's own where it is missing."""


class ClaimPayload(Payload, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """`run.claim`."""

    run: UUID
    step: str
    attempt: int
    worker: str
    crashed: bool = False
    """Whether the step's process has died under the lease that the worker had until now."""


class ReportPayload(Payload, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """`run.report`."""

    run: UUID
    step: str
    attempt: int
    lease: int
    outcome: StepResult
    take: str = ""
    """The worker's name, where it wants to go on at once with a step that this one makes ready."""
    takes: Annotated[int, Meta(ge=1, le=ahead_max)] = 1
    """With how many such steps."""
    then: Annotated[tuple[DoneAhead, ...], Meta(max_length=ahead_max)] = ()
    """What came of the steps that the `work` of the lease names in `ahead`, in their order."""
    next: str = ""
    """The one of them that it is doing now."""


PAYLOADS: Mapping[str, type[Payload]] = {
    "pipeline.register": RegisterPayload,
    "pipeline.pause": PipelinePayload,
    "pipeline.resume": PipelinePayload,
    "pipeline.retire": PipelinePayload,
    "run.start": StartPayload,
    "run.cancel": CancelPayload,
    "run.retry": RetryPayload,
    "run.redo": RedoPayload,
    "run.claim": ClaimPayload,
    "run.report": ReportPayload,
}
"""Every command's type → its payload."""

_DECODERS = {name: msgspec.json.Decoder(kind) for name, kind in PAYLOADS.items()}
_encoder = msgspec.json.Encoder(order="deterministic")
_TOKENS = re.compile(rb'"(?:[^"\\]|\\.|\\\Z)*+(?:"|\Z)|[\[{\]}]', re.DOTALL)
"""Whole strings (an unfinished one reaches to the end: one look is enough), and brackets."""
_PLACE = re.compile(r" - at `(?:key in )?\$\.?(?P<path>.*)`$")
_FIELD = re.compile(r"(?:unknown|required) field `(?P<field>[^`]*)`")


def decode(command_type: str, payload: bytes | Mapping[str, Any] | Struct) -> Payload:
    """Read a payload. Raises `NotFound` for an unknown type, `Malformed`, `TooLarge`."""
    decoder = _DECODERS.get(command_type)
    if decoder is None:
        known = ", ".join(PAYLOADS)
        raise NotFound(f"no command is called {command_type!r}", hint=f"known are {known}")
    try:
        encoded = payload if isinstance(payload, bytes) else msgspec.json.encode(payload)
        if len(encoded) > command_bytes_max:
            raise TooLarge(
                f"a payload of {len(encoded)} bytes is above the limit of {command_bytes_max}"
            )
        check_nesting(encoded)
        return decoder.decode(encoded)
    except msgspec.ValidationError as error:
        raise Malformed(str(error), path=path_of(str(error))) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"the payload is not JSON: {error}") from error
    except (RecursionError, TypeError) as error:
        raise Malformed(f"the payload cannot be written as JSON: {error}") from error


def payload_hash(payload: Payload) -> str:
    """SHA-256 of the content in its canonical form, in hexadecimal."""
    content = payload
    if payload.command_id or payload.correlation_id or payload.causation_id:
        content = replace(payload, command_id=None, correlation_id=None, causation_id=None)
    return hashlib.sha256(_encoder.encode(content)).hexdigest()


def check_nesting(encoded: bytes) -> None:
    """Refuse lists and maps in each other deeper than the limit. Raises `Malformed`."""
    if encoded.count(b"[") + encoded.count(b"{") <= nesting_max:
        return
    depth = 0
    for token in _TOKENS.finditer(encoded):
        match token.group()[:1]:
            case b"[" | b"{":
                depth += 1
                if depth > nesting_max:
                    raise Malformed(f"lists and maps lie in each other above {nesting_max} deep")
            case b"]" | b"}":
                depth -= 1


def path_of(message: str) -> str:
    """The field that msgspec's message complains about, such as `outcome.error.code`."""
    place, field = _PLACE.search(message), _FIELD.search(message)
    path = place.group("path") if place else ""
    name = field.group("field") if field else ""
    return ".".join(part for part in (path, name) if part)
