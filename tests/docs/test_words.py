"""Commands, options, settings, tags and files that the documents name are there."""

import re
import shlex
from collections.abc import Mapping
from importlib import import_module

import pytest

from domain.catalog import CATALOG
from runtime.cli.catalog import ENTRIES
from runtime.cli.parsing import fields_of
from runtime.settings import Settings
from tests.docs.documents import ROOT, Document, documents

DOCUMENTS = documents()
BY_NAME: Mapping[str, Document] = {document.name: document for document in DOCUMENTS}


def command_problem(typed: str) -> str | None:
    """What is wrong with a line that begins with `headwater`."""
    name, *words = shlex.split(typed)[1:]
    if name.startswith("-"):
        return None if name in {"--help", "--version"} else f"no option {name}"
    if name not in ENTRIES:
        return f"no command {name}"
    module, _, kind = ENTRIES[name].place.partition(":")
    fields = fields_of(getattr(import_module(f"runtime.cli.{module}"), kind))
    known = {field.option for field in fields} | {"--help"}
    known |= {f"-{getattr(field.spec, 'short', '')}" for field in fields}
    options = [word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)]
    unknown = [option for option in options if option not in known]
    return f"{name} has no option {unknown[0]}" if unknown else None


@pytest.mark.parametrize("name", BY_NAME)
def test_every_command_can_be_typed(name: str) -> None:
    told = {typed: command_problem(typed) for typed in BY_NAME[name].commands()}
    assert {typed: problem for typed, problem in told.items() if problem} == {}


@pytest.mark.parametrize("name", BY_NAME)
def test_every_link_inside_the_project_leads_somewhere(name: str) -> None:
    document = BY_NAME[name]
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", document.text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        path = (document.path.parent / file).resolve() if file else document.path
        if not path.exists() or (anchor and anchor not in anchors(path.read_text("utf-8"))):
            broken.append(target)
    assert broken == []


def anchors(text: str) -> set[str]:
    """What headings can be linked by."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", BY_NAME)
def test_every_make_target_is_there(name: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    told = set(re.findall(r"(?:^|`)make ([a-z]+)", BY_NAME[name].text, re.MULTILINE))
    assert told <= targets


def test_every_setting_in_the_documents_is_there() -> None:
    text = BY_NAME["docs/operations.md"].text
    told = {name.lower() for name in re.findall(r"HEADWATER_([A-Z_]+)\b", text)}
    streams = {"events", "tasks", ""}
    assert told - streams <= set(Settings.__struct_fields__)


def test_every_stored_tag_is_documented_and_every_documented_tag_is_stored() -> None:
    protocol = BY_NAME["docs/protocol.md"].text
    assert [tag for tag in CATALOG.tags if f"`{tag}`" not in protocol] == []
    told = re.findall(r"\b(?:run|pipeline)\.[a-z_]+\.v\d+\b", "".join(d.text for d in DOCUMENTS))
    assert set(told) <= set(CATALOG.tags)
