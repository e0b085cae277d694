"""One trace for one run, across all processes, as a viewer receives it over OTLP."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import Struct

from tests.e2e.project import HEADWATER, Project, environment
from tests.otlp import ReceivedSpan, collector

STEPS = ("raw", "people", "orders_clean", "totals", "published")


class Seen(Struct, frozen=True):
    """A run, and the spans that were received during it."""

    run: dict[str, Any]
    spans: tuple[ReceivedSpan, ...]

    def one(self, name: str, trace: str | None = None) -> ReceivedSpan:
        """The first span of this name."""
        found = [s for s in self.spans if s.name == name and trace in (None, s.trace_id)]
        assert found, sorted({span.name for span in self.spans})
        return found[0]

    def chain(self, span: ReceivedSpan) -> list[str]:
        """Names from a span up to the root of its trace."""
        by_id = {one.span_id: one for one in self.spans}
        names = [span.name]
        while span.parent_id:
            span = by_id[span.parent_id]
            names.append(span.name)
        return names


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    project = Project(tmp_path_factory.mktemp("project"))
    with collector() as viewer:
        done = subprocess.run(
            [HEADWATER, "run", "small.yaml", "--json"],
            cwd=project.folder,
            env={**environment(), "OTEL_EXPORTER_OTLP_ENDPOINT": viewer.endpoint},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        yield Seen(json.loads(done.stdout), tuple(viewer.spans))


def test_a_run_knows_its_trace(seen: Seen) -> None:
    assert seen.run["trace_id"] == seen.one("process run.start").trace_id


def test_the_trace_begins_with_the_client_and_goes_to_the_disk(seen: Seen) -> None:
    trace = seen.run["trace_id"]
    client = seen.one("send headwater.command.run.start", trace)
    process = seen.one("process run.start", trace)
    assert client.parent_id == ""
    assert process.parent_id == client.span_id
    assert seen.one("append", trace).trace_id == trace


def test_the_relay_publishes_within_the_trace(seen: Seen) -> None:
    publishing = [s for s in seen.spans if s.name.startswith("publish ")]
    assert seen.run["trace_id"] in {span.trace_id for span in publishing}


def test_a_view_is_linked_to_the_traces_of_its_events(seen: Seen) -> None:
    linked = {
        trace for span in seen.spans if span.name == "apply monitoring" for trace, _ in span.links
    }
    assert seen.run["trace_id"] in linked


@pytest.mark.parametrize("step", STEPS)
def test_each_step_and_its_child_are_in_the_trace(seen: Seen, step: str) -> None:
    child = seen.one(f"child {step}", seen.run["trace_id"])
    assert seen.chain(child)[:2] == [f"child {step}", f"step {step}"]
    assert seen.chain(child)[-1] == "send headwater.command.run.start"


def test_reports_are_in_the_trace_of_the_run_that_they_tell_of(seen: Seen) -> None:
    trace = seen.run["trace_id"]
    reports = [span for span in seen.spans if span.name.startswith("report ")]
    own = [span for span in reports if span.trace_id == trace]
    assert seen.chain(seen.one("report raw", trace))[1] == "step raw"
    assert {seen.chain(span)[-1] for span in own} == {"send headwater.command.run.start"}


def test_a_child_is_a_process_of_its_own(seen: Seen) -> None:
    child, step = seen.one("child raw"), seen.one("step raw")
    assert child.resource["headwater.role"] == "step"
    assert step.resource["headwater.role"] != "step"
    assert 0 < child.seconds <= step.seconds
