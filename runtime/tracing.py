"""Where spans go, as the standard environment variables say.

    OTEL_EXPORTER_OTLP_ENDPOINT          send spans to this collector or viewer, over HTTP
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT   the same, with its whole path
    OTEL_TRACES_EXPORTER                 `otlp` to the default address; `none` for no spans at all
    OTEL_TRACES_SAMPLER, …_ARG           which traces; a parent's decision is kept by default
    OTEL_SDK_DISABLED                    `true` for no spans at all

Without one that asks for it nothing is set up, and the SDK is not even imported.
"""

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from adapters import telemetry

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

queue_spans_max = 65_536
"""Spans waiting for the exporter: the library's 2,048 drop a quarter at 25,000 spans/s."""

batch_spans_max = 2_048
"""Spans in one request to the collector."""

export_delay_milliseconds = 1_000
"""Longest wait of a finished span before it is sent."""

flush_seconds_max = 3.0
"""Time that a stop may spend on sending what is left."""

_OTLP = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def is_wanted(environment: Mapping[str, str]) -> bool:
    """Whether the environment asks for spans to be sent."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporters = {name.strip() for name in environment.get("OTEL_TRACES_EXPORTER", "").split(",")}
    if "none" in exporters:
        return False
    return "otlp" in exporters or any(environment.get(name) for name in _OTLP)


@contextmanager
def tracing(role: str, environment: Mapping[str, str] = os.environ) -> Iterator[None]:
    """Record and send the spans of this process for the time of the block.

    Only `os.environ` is read by the exporter itself; another `environment` decides no more than
    whether to begin. At the end what is left is sent, for at most `flush_seconds_max`.
    """
    if telemetry.is_recording() or not is_wanted(environment):
        yield
        return
    provider, stop = _provider(role, environment)
    telemetry.record_with(provider.get_tracer(telemetry.TRACER))
    try:
        yield
    finally:
        telemetry.record_with(None)
        stop()


def _provider(
    role: str, environment: Mapping[str, str]
) -> "tuple[TracerProvider, Callable[[], None]]":
    """A provider that sends in batches, and what stops it within its limit."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    _tell_trouble_once()
    provider = TracerProvider(
        resource=Resource.create(_resource(role, environment)), shutdown_on_exit=False
    )
    provider.add_span_processor(
        BatchSpanProcessor(
            OTLPSpanExporter(),
            max_queue_size=queue_spans_max,
            schedule_delay_millis=export_delay_milliseconds,
            max_export_batch_size=batch_spans_max,
        )
    )

    def stop() -> None:
        # The library's own stop may take as long as the collector likes; a stop of ours may not.
        worker = threading.Thread(target=provider.shutdown, name="spans", daemon=True)
        worker.start()
        worker.join(flush_seconds_max)

    return provider, stop


def _resource(role: str, environment: Mapping[str, str]) -> dict[str, str]:
    from importlib.metadata import version

    resource = {"service.version": version("headwater"), "headwater.role": role}
    given = environment.get("OTEL_RESOURCE_ATTRIBUTES", "")
    if not environment.get("OTEL_SERVICE_NAME") and "service.name=" not in given:
        resource["service.name"] = telemetry.TRACER
    return resource


class _FirstOnly(logging.Handler):
    """Tells the first trouble of an exporter that cannot send, and not each one after it."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._told = False

    def emit(self, record: logging.LogRecord) -> None:
        if not self._told:
            self._told = True
            sys.stderr.write(f"headwater: spans are not sent: {record.getMessage()}\n")


def _tell_trouble_once() -> None:
    logger = logging.getLogger("opentelemetry")
    if not any(isinstance(handler, _FirstOnly) for handler in logger.handlers):
        logger.addHandler(_FirstOnly())
        logger.propagate = False
