"""Engines that a process keeps: for statements of Headwater's own, and for a step's room."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adapters.engines.duckdb import DuckEngines
from commands.steps.ports import StepBroken


@pytest.fixture
def engines(tmp_path: Path) -> Iterator[DuckEngines]:
    made = DuckEngines(str(tmp_path / "room"), 1)
    yield made
    made.close()


def test_it_reads_and_writes_any_file_and_forgets_what_was_made_in_it(
    engines: DuckEngines, tmp_path: Path
) -> None:
    source, target = tmp_path / "in.parquet", tmp_path / "out.parquet"
    pq.write_table(pa.table({"n": [1, 2, 3]}), source)
    with engines.share() as engine:
        engine.rows("create temp table kept as select 1")
        engine.save(f"from read_parquet('{source}') where n > 1", str(target))
    assert pq.read_table(target).to_pydict() == {"n": [2, 3]}
    with pytest.raises(StepBroken, match="kept"), engines.share() as engine:
        engine.rows("from kept")


def test_what_fails_in_it_leaves_the_next_one_an_engine_in_order(engines: DuckEngines) -> None:
    with pytest.raises(StepBroken), engines.share() as engine:
        engine.rows("begin; select 1 / a from nothing_like_that")
    with engines.share() as engine:
        assert engine.rows("select 1") == [(1,)]


def test_it_obeys_the_memory_of_the_step_at_hand(engines: DuckEngines) -> None:
    for size in (64, 128):
        engines.memory_bytes = size << 20
        with engines.share() as engine:
            assert engine.rows("select current_setting('memory_limit')") == [(f"{size}.0 MiB",)]


def test_a_step_with_sql_of_a_user_sees_no_file_but_its_own(
    engines: DuckEngines, tmp_path: Path
) -> None:
    other = tmp_path / "other.parquet"
    pq.write_table(pa.table({"n": [1]}), other)
    with engines.share() as engine:
        assert engine.rows(f"from read_parquet('{other}')") == [(1,)]
    with pytest.raises(StepBroken, match="Cannot access file"), engines.open({}) as engine:
        engine.rows(f"from read_parquet('{other}')")


def test_a_step_sees_its_room_and_nothing_of_the_step_before(
    engines: DuckEngines, tmp_path: Path
) -> None:
    room = tmp_path / "room"
    room.mkdir()
    inside, outside = room / "in.parquet", tmp_path / "out.parquet"
    for path in (inside, outside):
        pq.write_table(pa.table({"n": [1]}), path)
    with engines.open({"before": str(inside)}) as engine:
        assert engine.rows("from before") == [(1,)]
    with engines.open({"after": str(inside)}) as engine:
        assert engine.rows(f"from after natural join read_parquet('{inside}')") == [(1,)]
    for asked in ("before", f"read_parquet('{outside}')", f"'{room}/../out.parquet'"):
        with pytest.raises(StepBroken), engines.open({"after": str(inside)}) as engine:
            engine.rows(f"from {asked}")


def test_nothing_that_a_query_can_call_opens_the_walls(
    engines: DuckEngines, tmp_path: Path
) -> None:
    for call in ("enable_logging()", "enable_profiling()", "glob('/*')", "read_text('/etc/hosts')"):
        with pytest.raises(StepBroken), engines.open({}) as engine:
            engine.rows(f"from {call}")
    with pytest.raises(StepBroken, match="locked"), engines.open({}) as engine:
        engine.rows("set memory_limit = '9GB'")


def test_a_room_is_made_anew_for_another_bound_of_memory(engines: DuckEngines) -> None:
    for size in (64, 128, 64):
        engines.memory_bytes = size << 20
        with engines.open({}) as engine:
            assert engine.rows("select current_setting('memory_limit')") == [(f"{size}.0 MiB",)]
