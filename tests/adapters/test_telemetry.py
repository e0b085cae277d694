"""Spans: nothing without a request for them, and whole traces with one."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from adapters import telemetry
from domain.errors import NotFound
from runtime.tracing import is_wanted, tracing
from tests.otlp import Collector, collector

FAR = f"00-{'a' * 32}-{'b' * 16}-01"
NOT_SAMPLED = f"00-{'a' * 32}-{'b' * 16}-00"


@pytest.fixture
def viewer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector that the environment points to."""
    for name in ("OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", "OTEL_TRACES_SAMPLER"):
        monkeypatch.delenv(name, raising=False)
    with collector() as received:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", received.endpoint)
        yield received


def test_without_a_request_a_span_hands_its_parent_on() -> None:
    with telemetry.span("work", parent=FAR) as span:
        span.set("a", 1)
        span.fail("broken")
        assert span.traceparent == FAR
    with telemetry.client("headwater.command.run.start") as span:
        assert span.traceparent is None
    assert telemetry.publish("events", [FAR], 1).traceparent is None
    assert telemetry.apply("monitoring", [FAR], 1).traceparent is None


def test_without_a_request_nothing_of_the_library_is_imported() -> None:
    script = (
        "import os, sys\n"
        "from adapters import telemetry\n"
        "from runtime.tracing import tracing\n"
        "with tracing('test', {}), telemetry.span('work'): pass\n"
        "assert not any(name.startswith('opentelemetry') for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-P", "-c", script], check=True)


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://viewer:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://viewer:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://v"}, False),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://v"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
    ],
)
def test_the_standard_variables_decide(environment: dict[str, str], wanted: bool) -> None:
    assert is_wanted(environment) is wanted


def test_a_trace_crosses_every_edge(viewer: Collector) -> None:
    with tracing("test"):
        with (
            telemetry.client("headwater.command.run.start") as client,
            telemetry.command("run.start", "s", parent=client.traceparent) as command,
            telemetry.append("run/1", 3, parent=command.traceparent),
        ):
            caused = command.traceparent
        assert caused is not None
        with telemetry.publish("headwater.event.>", [caused, FAR], 3):
            pass
        with telemetry.apply("monitoring", [caused, caused, NOT_SAMPLED], 3):
            pass
        with telemetry.step("run-1", "raw", parent=caused) as step:
            with telemetry.child("run-1", "raw", parent=step.traceparent):
                pass
            with telemetry.report("run-1", "raw", parent=step.traceparent):
                pass

    (trace,) = {s.trace_id for s in viewer.spans if not s.name.startswith("apply")}
    send = viewer.named("send headwater.command.run.start")
    process = viewer.named("process run.start")
    step_span = viewer.named("step raw")
    assert (send.parent_id, send.kind) == ("", 3)
    assert (process.parent_id, process.kind) == (send.span_id, 2)
    assert viewer.named("append").parent_id == process.span_id
    publish = viewer.named("publish headwater.event.>")
    assert publish.parent_id == process.span_id
    assert publish.links == (("a" * 32, "b" * 16),)
    assert viewer.named("apply monitoring").links == ((trace, process.span_id),)
    assert step_span.parent_id == process.span_id
    assert viewer.named("child raw").parent_id == step_span.span_id
    assert viewer.named("report raw").parent_id == step_span.span_id


def test_a_span_tells_who_sent_it_and_what_went_wrong(viewer: Collector) -> None:
    def work_in_vain() -> None:
        with telemetry.span("work", attributes={telemetry.STEP: "raw"}) as span:
            span.set(telemetry.ATTEMPT, 2)
            raise NotFound("no such run")

    with tracing("test"), pytest.raises(NotFound):
        work_in_vain()

    work = viewer.named("work")
    assert work.failed
    assert work.attributes == {
        telemetry.STEP: "raw",
        telemetry.ATTEMPT: 2,
        telemetry.ERROR_TYPE: "NotFound",
    }
    assert work.resource["service.name"] == "headwater"
    assert work.resource["headwater.role"] == "test"


def test_a_parent_that_is_not_sampled_stays_so(viewer: Collector) -> None:
    with tracing("test"):
        with telemetry.span("work", parent=NOT_SAMPLED) as span:
            assert span.traceparent == NOT_SAMPLED
        with telemetry.apply("monitoring", [NOT_SAMPLED], 1):
            pass
    assert viewer.spans == []


def test_the_root_s_sampler_is_taken_from_the_environment(
    viewer: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0")
    with tracing("test"):
        with telemetry.span("root") as root:
            assert root.traceparent is not None
            assert not int(root.traceparent[-2:], 16) & 1
        with telemetry.span("of a sampled parent", parent=FAR):
            pass
    assert [span.name for span in viewer.spans] == ["of a sampled parent"]


@pytest.mark.parametrize(
    "text", ["", "garbage", "00-zz-bb-01", f"00-{'0' * 32}-{'b' * 16}-01", "00-a-b-01"]
)
def test_a_parent_that_cannot_be_read_counts_as_none(viewer: Collector, text: str) -> None:
    with tracing("test"), telemetry.span("work", parent=text, links=[text]) as span:
        assert span.traceparent is not None
    assert viewer.named("work").parent_id == ""


def test_a_stop_without_a_collector_is_bounded_and_told_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setattr("runtime.tracing.flush_seconds_max", 0.2)
    with tracing("test"), telemetry.span("work"):
        pass
    told = capsys.readouterr().err
    assert told.count("\n") <= 1
    assert not telemetry.is_recording()


def test_trace_ids_are_read_from_trace_contexts() -> None:
    assert telemetry.trace_id(FAR) == "a" * 32
    assert telemetry.trace_id(None) is None
    assert telemetry.trace_id("nonsense") is None
