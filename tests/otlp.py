"""A collector for tests: takes spans over OTLP/HTTP as any viewer does, and keeps them."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread

from msgspec import Struct
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


class ReceivedSpan(Struct, frozen=True, kw_only=True):
    """One span as it came over the wire, with the resource that sent it."""

    name: str
    kind: int
    """1 internal, 2 server, 3 client, 4 producer, 5 consumer."""
    trace_id: str
    span_id: str
    parent_id: str
    links: tuple[tuple[str, str], ...]
    """Trace and span ids."""
    failed: bool
    seconds: float
    attributes: dict[str, str | int]
    resource: dict[str, str | int]


class Collector:
    """What was received so far, by an address that exporters can send to."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._spans: list[ReceivedSpan] = []
        self._changed = Condition()

    @property
    def spans(self) -> list[ReceivedSpan]:
        """Everything received, in the order of its coming."""
        with self._changed:
            return list(self._spans)

    def receive(self, request: ExportTraceServiceRequest) -> None:
        """Keep the spans of one export."""
        with self._changed:
            self._spans.extend(_spans(request))
            self._changed.notify_all()

    def wait(self, *prefixes: str, seconds: float = 15) -> list[ReceivedSpan]:
        """All spans, as soon as there is one whose name begins with each of `prefixes`."""
        with self._changed:
            came = self._changed.wait_for(
                lambda: all(any(s.name.startswith(p) for s in self._spans) for p in prefixes),
                seconds,
            )
            names = sorted({span.name for span in self._spans})
            assert came, f"waited for {prefixes}, received {names}"
            return list(self._spans)

    def named(self, name: str) -> ReceivedSpan:
        """The only span of this name."""
        (found,) = [span for span in self.spans if span.name == name]
        return found


@contextmanager
def collector() -> Iterator[Collector]:
    """A collector on a free port of loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    received = Collector(f"http://127.0.0.1:{server.server_address[1]}")
    server.RequestHandlerClass = type("Handler", (_Handler,), {"collector": received})
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    collector: Collector
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        if self.path == "/v1/traces":
            self.collector.receive(ExportTraceServiceRequest.FromString(body))
        answer = ExportTraceServiceResponse().SerializeToString()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(answer)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


def _spans(request: ExportTraceServiceRequest) -> Iterator[ReceivedSpan]:
    for group in request.resource_spans:
        resource = {
            a.key: a.value.string_value or a.value.int_value for a in group.resource.attributes
        }
        for scope in group.scope_spans:
            for span in scope.spans:
                yield ReceivedSpan(
                    name=span.name,
                    kind=span.kind,
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
                    failed=span.status.code == 2,
                    seconds=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
                    attributes={
                        a.key: a.value.string_value or a.value.int_value for a in span.attributes
                    },
                    resource=resource,
                )
