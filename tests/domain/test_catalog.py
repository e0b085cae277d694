"""Stored events can be read for ever."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.catalog import CATALOG, Catalog, Event, Upcast
from domain.errors import Malformed
from domain.record import Recorded, from_record, read_state, to_state
from tests.contracts.events import new_stream
from tests.domain.strategies import structs_of

GOLDEN = Path(__file__).parent / "golden"


class Stored(msgspec.Struct, forbid_unknown_fields=True):
    """A fixture: what lies in a store for one event."""

    tag: str
    state: dict[str, Any]


def kind_of(tag: str) -> type[msgspec.Struct]:
    kind = CATALOG.kind_of(tag)
    assert kind is not None
    return kind


def golden(name: str) -> Stored:
    return msgspec.json.decode((GOLDEN / name).read_bytes(), type=Stored)


def test_every_event_of_the_union_has_a_tag_and_the_other_way_round() -> None:
    assert {kind_of(tag) for tag in CATALOG.tags} == set(get_args(Event))


def versions_of(catalog: Catalog) -> set[str]:
    """Every tag that was ever written: a fact that has version 3 had 1 and 2."""
    found = set(catalog.readable)
    for tag in catalog.readable:
        fact, _, version = tag.rpartition(".v")
        found |= {f"{fact}.v{number}" for number in range(1, int(version))}
    return found


def test_every_version_of_every_event_has_a_fixture() -> None:
    assert {golden(path.name).tag for path in GOLDEN.glob("*.json")} == versions_of(CATALOG)


def test_a_version_that_is_no_longer_written_is_not_forgotten() -> None:
    kind = kind_of("run.step_skipped.v1")
    upcasts = {"run.step_left.v2": Upcast("run.step_skipped.v3", dict)}
    catalog = Catalog({"run.step_skipped.v3": kind}, upcasts)
    assert versions_of(catalog) == {
        *(f"run.step_skipped.v{number}" for number in (1, 2, 3)),
        *(f"run.step_left.v{number}" for number in (1, 2)),
    }


def test_every_field_of_every_event_stands_in_a_fixture() -> None:
    fixtures = [golden(path.name) for path in GOLDEN.glob("*.json")]
    told: dict[str, bool] = {}
    for tag in CATALOG.tags:
        payloads = [one.state["data"] for one in fixtures if one.tag == tag]
        for field, is_told in fields_in(msgspec.inspect.type_info(kind_of(tag)), payloads):
            told[field] = told.get(field, False) or is_told
    assert {field for field, is_told in told.items() if not is_told} == set()


def fields_in(kind: Any, values: Sequence[Any]) -> Iterator[tuple[str, bool]]:
    """Each field of a type, and whether one of the values has it, down to the last one."""
    match kind:
        case msgspec.inspect.StructType():
            objects = [one for one in values if isinstance(one, dict) and _is_of(kind, one)]
            for field in kind.fields:
                found = [one[field.encode_name] for one in objects if field.encode_name in one]
                yield f"{kind.cls.__name__}.{field.encode_name}", bool(found)
                yield from fields_in(field.type, found)
        case msgspec.inspect.UnionType():
            for one in kind.types:
                yield from fields_in(one, values)
        case msgspec.inspect.VarTupleType():
            items = [item for one in values if isinstance(one, list) for item in one]
            yield from fields_in(kind.item_type, items)
        case msgspec.inspect.DictType():
            items = [item for one in values if isinstance(one, dict) for item in one.values()]
            yield from fields_in(kind.value_type, items)


def _is_of(kind: msgspec.inspect.StructType, value: dict[str, Any]) -> bool:
    return kind.tag_field is None or value.get(kind.tag_field) == kind.tag


@pytest.mark.parametrize("name", sorted(path.name for path in GOLDEN.glob("*.json")))
def test_what_was_stored_once_can_be_read_for_ever(name: str) -> None:
    # Never change a fixture: it stands for events in stores that nobody will rewrite. A changed
    # event gets a new tag, an upcaster for the old one, and a fixture of its own beside this one.
    stored = golden(name)
    record = Recorded(
        position=7,
        previous=6,
        event_id=read_state(msgspec.json.encode(stored.state)).event_id,
        stream=new_stream(),
        version=1,
        tag=stored.tag,
        state=msgspec.json.encode(stored.state),
    )
    envelope = from_record(record)
    assert isinstance(envelope.data, get_args(Event))
    if stored.tag in CATALOG.tags:
        assert msgspec.json.decode(to_state(envelope)) == stored.state


@pytest.mark.parametrize("tag", CATALOG.tags)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_every_event_survives_storing(tag: str, data: st.DataObject) -> None:
    event = data.draw(structs_of(kind_of(tag)))
    assert CATALOG.tag_of(event) == tag
    assert CATALOG.decode(tag, CATALOG.encode(event)) == event


def test_a_tag_is_no_import_path() -> None:
    for tag in CATALOG.tags:
        category, fact, version = tag.split(".")
        assert category in ("pipeline", "run")
        assert fact.replace("_", "").isalpha()
        assert version.removeprefix("v").isdecimal()


def test_an_unknown_tag_is_malformed() -> None:
    with pytest.raises(Malformed, match=r"run\.teleported\.v1"):
        CATALOG.decode("run.teleported.v1", b"{}")


@pytest.mark.parametrize("payload", [b"", b"[]", b'{"step": 7}', b"\xff", b'{"step": "a"'])
def test_a_payload_of_another_shape_is_malformed(payload: bytes) -> None:
    with pytest.raises(Malformed, match=r"run\.step_skipped\.v1"):
        CATALOG.decode("run.step_skipped.v1", payload)


def test_fields_from_the_future_are_passed_over() -> None:
    event = CATALOG.decode("run.cancelled.v1", b'{"reason":"audit","mood":"calm"}')
    assert msgspec.to_builtins(event) == {"reason": "audit"}


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (b'"principal":"', b'"principal":"\xff'),
        (b'"step":"', b'"step":"\xff'),
        (b'"data":{', b'"data":{"deep":' + b"[" * 10_000 + b"]" * 10_000 + b","),
    ],
    ids=["no text beside the payload", "no text in the payload", "deep"],
)
def test_an_event_that_somebody_has_spoilt_cannot_be_read(good: bytes, bad: bytes) -> None:
    stored = golden("run.step_started.v1.json")
    state = msgspec.json.encode(stored.state)
    assert good in state
    record = Recorded(
        position=7,
        previous=6,
        event_id=read_state(state).event_id,
        stream=new_stream(),
        version=1,
        tag=stored.tag,
        state=state.replace(good, bad, 1),
    )
    with pytest.raises(Malformed, match="cannot be read"):
        from_record(record)
