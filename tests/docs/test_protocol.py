"""The protocol's page against the code: every command, payload, code and tag that it shows."""

import inspect
import re
from collections.abc import Iterator

import msgspec
import pytest

from adapters.jetstream.publisher import event_head
from adapters.jetstream.reply import code_header, error_reply
from commands.catalog import PAYLOADS, decode
from domain import errors
from projections import checks, datasets, graph, history, quarantine, runs
from projections.queries import Queries
from projections.questions import Question
from projections.why import WhyQuestion
from tests.architecture.source import below
from tests.docs.documents import ROOT

PAGE = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
_SHOWN = re.compile(r"((?:<!-- payload [\w.]+ -->\n)+)```json\n(.*?)^```", re.MULTILINE | re.DOTALL)


def shown() -> Iterator[tuple[str, str]]:
    """Each command with the payload that is shown for it."""
    for marks, text in _SHOWN.findall(PAGE):
        for command in re.findall(r"payload ([\w.]+)", marks):
            yield command, text


@pytest.mark.parametrize(("command", "payload"), list(shown()), ids=[name for name, _ in shown()])
def test_every_payload_is_accepted_as_it_stands(command: str, payload: str) -> None:
    decode(command, payload.encode())


def test_every_command_is_shown() -> None:
    assert {command for command, _ in shown()} == set(PAYLOADS)


def test_every_key_of_a_payload_is_told() -> None:
    for kind in PAYLOADS.values():
        for field in msgspec.structs.fields(kind):
            name = field.encode_name
            assert f"`{name}`" in PAGE or f'"{name}"' in PAGE, name


QUESTIONS: dict[str, type[Question]] = {
    "monitoring.pipelines": runs.PipelinesQuestion,
    "monitoring.pipeline": runs.PipelineQuestion,
    "monitoring.runs": runs.RunsQuestion,
    "monitoring.run": runs.RunQuestion,
    "lineage.datasets": datasets.DatasetsQuestion,
    "lineage.dataset": datasets.DatasetQuestion,
    "lineage.graph": graph.GraphQuestion,
    "lineage.quarantines": quarantine.QuarantinesQuestion,
    "quality.checks": checks.ChecksQuestion,
    "events.why": WhyQuestion,
    "events.list": history.EventsQuestion,
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_query_is_told_with_its_arguments(name: str) -> None:
    (told,) = re.findall(rf"^\| `{re.escape(name)}` \| (.*?) \|", PAGE, re.MULTILINE)
    common = {"min_position", "timeout", "limit", "cursor"}
    arguments = set(QUESTIONS[name].__struct_fields__)
    assert set(re.findall(r"`(\w+)`", told)) - common == arguments - common


def test_no_query_is_left_out() -> None:
    known = set(re.findall(r'"((?:monitoring|lineage|quality|events)\.\w+)": ', source_of(Queries)))
    assert known == set(QUESTIONS)


def test_every_code_of_a_rejection_is_told() -> None:
    text = "".join(source.text for source in below("domain", "commands"))
    codes = set(re.findall(r'Rejection\(\s*"([a-z_]+)"', text))
    assert {code for code in codes if f"`{code}`" not in PAGE} == set()


def test_every_kind_of_failure_is_told() -> None:
    kinds = [errors.Malformed, errors.NotFound, errors.TooLarge, errors.StorageFull]
    kinds += [errors.Unavailable, errors.TimedOut, errors.Failure, errors.Defect]
    for kind in kinds:
        body, headers = error_reply(kind("no"))
        code = msgspec.json.decode(body)["code"]
        assert f"| {headers[code_header]} | `{code}` |" in PAGE


def test_every_header_of_an_event_is_told() -> None:
    names = set(re.findall(r"((?:Headwater|Nats)-[A-Za-z-]+):", source_of(event_head)))
    assert names
    assert {name for name in names if name not in PAGE} == set()


def source_of(function: object) -> str:
    """The text of a function."""
    assert callable(function)
    return inspect.getsource(function)
