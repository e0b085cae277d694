"""Spans, and every name that appears in them.

    client ─► command ─► append
                 │          └─► publish ╌╌► apply (a root of its own, linked)
                 └─► step ─► child
                       └──► report ─► command …

One trace for each command: a span's parent travels with the message as W3C `traceparent`, in NATS
headers, in stored events and in tasks.

Nothing is recorded until `record_with` has been given a tracer (`runtime.tracing` does so where the
environment asks for it). Until then a span costs one function call and hands its parent on, and no
part of OpenTelemetry is imported. A parent that is not sampled makes no spans below it either.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from opentelemetry.trace import Span as OtelSpan
    from opentelemetry.trace import SpanContext, Tracer

Kind = Literal["internal", "client", "server", "producer", "consumer"]
Attribute = str | bool | int | float
Attributes = Mapping[str, Attribute]

TRACER = "headwater"
"""The instrumentation scope of all spans."""

HEADER = "traceparent"
"""The message header in which a trace context travels."""

# Attributes of OpenTelemetry's messaging, database and error conventions.
MESSAGING_SYSTEM = "messaging.system"
MESSAGING_DESTINATION = "messaging.destination.name"
MESSAGING_OPERATION = "messaging.operation.name"
MESSAGING_OPERATION_TYPE = "messaging.operation.type"
MESSAGING_BATCH_COUNT = "messaging.batch.message_count"
DB_SYSTEM = "db.system.name"
DB_OPERATION = "db.operation.name"
DB_BATCH_SIZE = "db.operation.batch.size"
ERROR_TYPE = "error.type"

# Attributes of our own.
COMMAND = "headwater.command.type"
STREAM = "headwater.stream"
POSITION = "headwater.position"
VIEW = "headwater.view"
RUN = "headwater.run"
STEP = "headwater.step"
STEP_KIND = "headwater.step.kind"
ATTEMPT = "headwater.step.attempt"
LEASE = "headwater.step.lease"
WORKER = "headwater.worker"

links_max = 64
"""Links of one span: a hundred cost 0.1 ms, and no viewer shows more."""

_SAMPLED = 1


class Span:
    """A span that is not recorded: its trace context is its parent's."""

    __slots__ = ("traceparent",)

    def __init__(self, traceparent: str | None) -> None:
        self.traceparent = traceparent
        """What to hand on to whatever this span causes; None where there is no trace."""

    def set(self, key: str, value: Attribute) -> None:
        """Add an attribute."""

    def fail(self, kind: str, message: str = "") -> None:
        """Mark the span as failed; `kind` is a stable code such as `lease_lost`."""

    def __enter__(self) -> "Span":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the span; an error that passes through marks it as failed."""


class _Recorded(Span):
    """A span that goes to the exporter when it ends."""

    __slots__ = ("_span",)

    def __init__(self, span: "OtelSpan") -> None:
        super().__init__(_inject(span.get_span_context()))
        self._span = span

    def set(self, key: str, value: Attribute) -> None:
        self._span.set_attribute(key, value)

    def fail(self, kind: str, message: str = "") -> None:
        from opentelemetry.trace import StatusCode

        self._span.set_attribute(ERROR_TYPE, kind)
        self._span.set_status(StatusCode.ERROR, message)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self.fail(kind.__qualname__, str(error))
        self._span.end()


_tracer: "Tracer | None" = None


def record_with(tracer: "Tracer | None") -> None:
    """Record every span of this process with `tracer` from now on; None records nothing."""
    global _tracer  # noqa: PLW0603  one process, one tracer, as in OpenTelemetry itself
    _tracer = tracer


def is_recording() -> bool:
    """Whether spans of this process can go anywhere."""
    return _tracer is not None


def span(
    name: str,
    *,
    kind: Kind = "internal",
    parent: str | None = None,
    links: Iterable[str] = (),
    attributes: Attributes | None = None,
) -> Span:
    """A span around the block that follows; `with span(…) as s:` and hand on `s.traceparent`.

    `parent` and `links` are W3C `traceparent` texts; one that cannot be read counts as none. It
    may be used across `await`: nothing is kept in context variables.
    """
    tracer = _tracer
    if tracer is None:
        return Span(parent)
    context = _extract(parent)
    if context is not None and not context.trace_flags & _SAMPLED:
        return Span(parent)
    started = _start(tracer, name, kind, parent=context, links=links, attributes=attributes)
    return _Recorded(started)


def client(subject: str, *, parent: str | None = None) -> Span:
    """A request that this process sends."""
    return span(f"send {subject}", kind="client", parent=parent, attributes=_nats(subject, "send"))


def command(command_type: str, subject: str, *, parent: str | None) -> Span:
    """A command that this process answers, from its arrival to its reply."""
    if _tracer is None:
        return Span(parent)
    attributes: Attributes = {**_nats(subject, "process"), COMMAND: command_type}
    return span(f"process {command_type}", kind="server", parent=parent, attributes=attributes)


def append(stream: str, events: int, *, parent: str | None, system: str = "sqlite") -> Span:
    """Events of one command on their way to the disk, waiting for the group included."""
    if _tracer is None:
        return Span(parent)
    attributes: Attributes = {
        DB_SYSTEM: system,
        DB_OPERATION: "append",
        DB_BATCH_SIZE: events,
        STREAM: stream,
    }
    return span("append", kind="client", parent=parent, attributes=attributes)


def publish(subject: str, traceparents: Sequence[str], messages: int) -> Span:
    """A batch of messages to the bus: a child of the first trace, linked to the others."""
    if _tracer is None:
        return Span(None)
    parent, *others = traceparents or (None,)
    return span(
        f"publish {subject}",
        kind="producer",
        parent=parent,
        links=[other for other in others if other is not None],
        attributes={**_nats(subject, "publish"), MESSAGING_BATCH_COUNT: messages},
    )


def apply(view: str, traceparents: Sequence[str], events: int) -> Span:
    """A batch of events into a view: a trace of its own, linked to those of the events.

    Nothing is recorded for a batch without a sampled trace.
    """
    if _tracer is None or not any(_is_sampled(text) for text in traceparents):
        return Span(None)
    attributes: Attributes = {DB_OPERATION: "apply", VIEW: view, MESSAGING_BATCH_COUNT: events}
    return span(f"apply {view}", kind="consumer", links=traceparents, attributes=attributes)


def step(
    run: str, step_id: str, *, parent: str | None, attributes: Attributes | None = None
) -> Span:
    """A step in the hands of a worker, from its claim to its report."""
    if _tracer is None:
        return Span(parent)
    known: Attributes = {RUN: run, STEP: step_id, **(attributes or {})}
    return span(f"step {step_id}", kind="consumer", parent=parent, attributes=known)


def child(run: str, step_id: str, *, parent: str | None) -> Span:
    """The work on a step in the process that does it."""
    return span(f"child {step_id}", parent=parent, attributes={RUN: run, STEP: step_id})


def report(run: str, step_id: str, *, parent: str | None) -> Span:
    """A worker telling what came of a step."""
    attributes = {RUN: run, STEP: step_id}
    return span(f"report {step_id}", kind="client", parent=parent, attributes=attributes)


def trace_id(traceparent: str | None) -> str | None:
    """The trace that a `traceparent` belongs to, in hexadecimal; None where it cannot be read."""
    parts = (traceparent or "").split("-")
    return parts[1] if len(parts) >= 4 and len(parts[1]) == 32 else None


def _nats(subject: str, operation: str) -> dict[str, Attribute]:
    return {
        MESSAGING_SYSTEM: "nats",
        MESSAGING_DESTINATION: subject,
        MESSAGING_OPERATION: operation,
        MESSAGING_OPERATION_TYPE: operation,
    }


def _start(
    tracer: "Tracer",
    name: str,
    kind: Kind,
    *,
    parent: "SpanContext | None",
    links: Iterable[str],
    attributes: Attributes | None,
) -> "OtelSpan":
    from opentelemetry import trace
    from opentelemetry.context import Context

    context = Context()  # an empty one, not the current one: the parent is always said
    if parent is not None:
        context = trace.set_span_in_context(trace.NonRecordingSpan(parent), context)
    return tracer.start_span(
        name,
        context=context,
        kind=trace.SpanKind[kind.upper()],
        links=[trace.Link(found) for found in _sampled(links)],
        attributes=dict(attributes or {}),
    )


def _sampled(links: Iterable[str]) -> list["SpanContext"]:
    """The contexts that are worth a link: sampled, each once, not too many."""
    found: list[SpanContext] = []
    for text in dict.fromkeys(links):
        context = _extract(text)
        if context is not None and context.trace_flags & _SAMPLED:
            found.append(context)
            if len(found) == links_max:
                break
    return found


def _is_sampled(traceparent: str) -> bool:
    return traceparent.endswith(("1", "3", "5", "7", "9", "b", "d", "f"))


def _inject(context: "SpanContext") -> str:
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def _extract(traceparent: str | None) -> "SpanContext | None":
    """Read by hand: four times faster than the propagator of the library."""
    if not traceparent:
        return None
    from opentelemetry.trace import SpanContext, TraceFlags

    parts = traceparent.split("-")
    try:
        trace, parent, flags = int(parts[1], 16), int(parts[2], 16), int(parts[3], 16)
    except (IndexError, ValueError):
        return None
    if not trace or not parent or len(parts[1]) != 32 or len(parts[2]) != 16:
        return None
    return SpanContext(trace, parent, is_remote=True, trace_flags=TraceFlags(flags))
