"""Questions about datasets, and about what was made from what."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from domain.errors import NotFound, Rejection
from projections.questions import Document
from tests.projections.desk import Desk, open_desk, runs_of
from tests.projections.histories import COLUMNS, WIDE

pytestmark = pytest.mark.anyio


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path) as opened:
        yield opened


async def test_datasets_are_listed_with_their_latest_version(desk: Desk) -> None:
    listed = await desk.all("lineage.datasets", 2)
    assert [item["dataset"] for item in listed] == [
        "file:/data/flights.csv",
        "file:/data/mended.csv",
        "file:/out/delays.parquet",
        "flights.delays",
        "flights.flown",
        "flights.raw",
        "orders.raw",
        "orders.raw.quarantine",
        "weather.delays",
        "weather.flown",
        "weather.raw",
        "wide.raw",
    ]
    delays = listed[3]
    assert (delays["rows"], delays["bytes"], delays["kept"]) == (185, 18_500, True)
    assert (delays["pipeline"], delays["step"]) == ("flights", "delays")
    assert delays["run"] == runs_of("completed")[1]
    assert listed[0]["run"] is None
    some = await desk.all("lineage.datasets", 2, pipeline="weather")
    assert {item["dataset"] for item in some} == {
        "weather.delays",
        "weather.flown",
        "weather.raw",
        "file:/out/delays.parquet",
    }


async def test_a_dataset_has_all_its_versions(desk: Desk) -> None:
    found = await desk.ask("lineage.dataset", dataset="flights.delays")
    first, second, _ = runs_of("completed")
    assert [version["run"] for version in found["versions"]] == [second, first]
    assert found["fingerprint"] == found["versions"][0]["fingerprint"]
    one = await desk.ask("lineage.dataset", dataset="flights.delays", limit=1)
    two = await desk.ask("lineage.dataset", dataset="flights.delays", limit=1, cursor=one["next"])
    assert [*one["versions"], *two["versions"]] == found["versions"]
    old = await desk.ask("lineage.dataset", dataset="flights.delays", run=first)
    assert old["fingerprint"] == found["versions"][1]["fingerprint"]
    with pytest.raises(NotFound):
        await desk.ask("lineage.dataset", dataset="flights.delays", run=runs_of("cancelled")[0])


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("flights.delays", "flights.delays"),
        ("file:/data/flights.csv", "file:/data/flights.csv"),
        ("/data/flights.csv", "file:/data/flights.csv"),
        ("flights.csv", "file:/data/flights.csv"),
    ],
)
async def test_a_dataset_goes_by_names_that_only_it_has(desk: Desk, text: str, name: str) -> None:
    assert (await desk.ask("lineage.dataset", dataset=text))["dataset"] == name


async def test_a_short_name_of_several_is_refused(desk: Desk) -> None:
    with pytest.raises(Rejection) as told:
        await desk.ask("lineage.dataset", dataset="delays")
    assert told.value.code == "dataset_ambiguous"
    assert told.value.details == {"candidates": ["flights.delays", "weather.delays"]}


async def test_an_unknown_dataset_is_told_with_candidates(desk: Desk) -> None:
    with pytest.raises(NotFound) as told:
        await desk.ask("lineage.graph", dataset="flights.delay")
    assert "flights.delays" in told.value.hint


def pairs(graph: Document) -> set[tuple[str, str]]:
    return {(edge["from"], edge["to"]) for edge in graph["edges"]}


UP = {
    ("flights/delays", "flights.delays"),
    ("flights.flown", "flights/delays"),
    ("flights/flown", "flights.flown"),
    ("flights.raw", "flights/flown"),
    ("flights/raw", "flights.raw"),
    ("file:/data/flights.csv", "flights/raw"),
}


DOWN = {
    ("flights.delays", "flights/checked"),
    ("flights.delays", "flights/published"),
    ("flights/published", "file:/out/delays.parquet"),
}


async def test_lineage_goes_up_to_the_source_and_down_to_the_sink(desk: Desk) -> None:
    up = await desk.ask("lineage.graph", dataset="flights.delays", direction="up")
    down = await desk.ask("lineage.graph", dataset="flights.delays", direction="down")
    both = await desk.ask("lineage.graph", dataset="flights.delays")
    assert (pairs(up), pairs(down), pairs(both)) == (UP, DOWN, UP | DOWN)
    assert both["dataset"] == "flights.delays"
    ends = {end for pair in pairs(both) for end in pair}
    assert {node["id"] for node in both["nodes"]} == ends
    kinds = {node["id"]: node.get("step_kind") for node in both["nodes"] if node["kind"] == "step"}
    assert kinds["flights/published"] == "store"
    assert {edge["run"] for edge in up["edges"]} == {runs_of("completed")[1]}


async def test_lineage_ends_at_the_depth_and_the_limit(desk: Desk) -> None:
    near = await desk.ask("lineage.graph", dataset="flights.delays", direction="up", depth=1)
    assert pairs(near) == {
        ("flights/delays", "flights.delays"),
        ("flights.flown", "flights/delays"),
    }
    few = await desk.ask("lineage.graph", dataset="flights.delays", limit=2)
    assert (len(few["edges"]), few["truncated"]) == (2, True)


def columns(graph: Document) -> set[tuple[str, str]]:
    return {
        (f"{edge['from']}#{edge['from_column']}", f"{edge['to']}#{edge['to_column']}")
        for edge in graph["edges"]
    }


async def test_a_column_is_followed_up_to_its_source(desk: Desk) -> None:
    graph = await desk.ask(
        "lineage.graph", dataset="/out/delays.parquet", column="delay", direction="up"
    )
    # weather was the last to write the file
    assert columns(graph) == {
        ("weather.delays#delay", "file:/out/delays.parquet#delay"),
        ("weather.flown#arr_delay", "weather.delays#delay"),
        ("weather.flown#dep_time", "weather.delays#delay"),
        ("weather.raw#arr_delay", "weather.flown#arr_delay"),
        ("weather.raw#dep_time", "weather.flown#dep_time"),
        ("file:/data/flights.csv#arr_delay", "weather.raw#arr_delay"),
        ("file:/data/flights.csv#dep_time", "weather.raw#dep_time"),
    }
    kinds = {
        edge["from_column"]: edge["kind"] for edge in graph["edges"] if "flown" in edge["from"]
    }
    assert kinds == {"arr_delay": "direct", "dep_time": "indirect"}


async def test_a_column_is_followed_down_to_where_it_ends(desk: Desk) -> None:
    graph = await desk.ask(
        "lineage.graph", dataset="flights.raw", column="carrier", direction="down"
    )
    assert columns(graph) == {
        ("flights.raw#carrier", "flights.flown#carrier"),
        ("flights.flown#carrier", "flights.delays#airline"),
        ("flights.delays#airline", "file:/out/delays.parquet#airline"),
    }


async def test_an_unknown_column_is_told_with_candidates(desk: Desk) -> None:
    with pytest.raises(NotFound) as told:
        await desk.ask("lineage.graph", dataset="flights.raw", column="carier")
    assert told.value.hint == "did you mean carrier?"
    for name in COLUMNS:
        await desk.ask("lineage.graph", dataset="/data/flights.csv", column=name)


async def test_columns_of_a_wide_step_are_found_in_all_parts(desk: Desk) -> None:
    for number in (0, WIDE - 1):
        name = f"a_column_with_the_number_{number}"
        graph = await desk.ask("lineage.graph", dataset="wide.raw", column=name)
        assert columns(graph) == {(f"file:/data/flights.csv#{name}", f"wide.raw#{name}")}
