"""Transform: confined SQL with bound params, and plain Python functions."""

from datetime import timedelta
from pathlib import Path

import pytest

from domain.run.commands import Failed
from domain.run.events import ParamValue
from tests.commands.steps.bench import RUN_TIME, Bench, Walk

FUNCTIONS = """
import pyarrow as pa
import pyarrow.compute as pc

LOADED = []

def doubled(raw):
    return raw.append_column("twice", pc.multiply(raw["n"], 2))

def above(raw, params):
    return raw.filter(pc.greater(raw["n"], params["least"]))

def batches(raw):
    return pa.RecordBatchReader.from_batches(raw.schema, raw.to_batches())

class Stream:
    def __init__(self, table):
        self.table = table
    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)

def stream(raw):
    return Stream(raw)

def raises(raw):
    print("before it")
    raise KeyError("no such plane")

def leaves(raw):
    raise SystemExit(3)

def nothing(raw):
    pass

def number(raw):
    return 5

def bare(raw):
    return pa.table({})

def other_name(rows):
    return rows
"""


def walk(
    bench: Bench,
    step: dict[str, object],
    rows: int = 10,
    params: dict[str, ParamValue] | None = None,
    files: dict[str, str] | None = None,
) -> Walk:
    bench.write("in.csv", "n,g\n" + "".join(f"{n},{'ab'[n % 2]}\n" for n in range(rows)))
    done = Walk(
        bench,
        {
            "params": {
                "least": {"type": "integer", "default": 0},
                "day": {"type": "date", "default": "2026-01-01"},
            },
            "sources": {
                "s": {"kind": "csv", "path": "in.csv", "columns": {"n": "integer", "g": "string"}}
            },
            "steps": [
                {"id": "raw", "kind": "ingest", "source": "s"},
                {"id": "made", "kind": "transform", **step},
            ],
        },
        params=params or {"least": 7, "day": "2026-01-01"},
        files=files or {"steps.py": FUNCTIONS},
    )
    done.outcome("raw")
    return done


def sql(text: str) -> dict[str, object]:
    return {"inputs": ["raw"], "sql": text}


def test_a_query_binds_its_params_and_posts_its_counts(bench: Bench) -> None:
    outcome = walk(bench, sql("select n from raw where n >= $least order by n;")).outcome("made")
    assert [row["n"] for row in bench.rows(outcome.output)] == [7, 8, 9]
    (entry,) = outcome.inputs
    assert (entry.rows_in, entry.reached, entry.filtered) == (10, 3, 7)
    assert (outcome.rows_in, outcome.rows_out, outcome.ledger) == (10, 3, "balanced")


def test_built_in_and_typed_params(bench: Bench) -> None:
    done = walk(bench, sql("select $run_time as at, $day + 1 as next from raw limit 1"))
    (row,) = bench.rows(done.outcome("made").output)
    assert row["at"] == RUN_TIME
    assert str(row["next"])[:10] == "2026-01-02"


def test_inputs_under_other_names(bench: Bench) -> None:
    step: dict[str, object] = {"inputs": {"x": "raw"}, "sql": "select count(*) as c from x"}
    assert bench.rows(walk(bench, step).outcome("made").output) == [{"c": 10}]


def test_a_query_in_a_file(bench: Bench) -> None:
    step: dict[str, object] = {"inputs": ["raw"], "sql_file": "q.sql"}
    done = walk(bench, step, files={"q.sql": "select max(n) as m from raw"})
    assert bench.rows(done.outcome("made").output) == [{"m": 9}]


def test_rows_without_an_order_are_given_one(bench: Bench) -> None:
    text = "select n % 1000 as k, count(*) as c from raw group by all"
    done = walk(bench, sql(text), rows=300_000)
    keys = [row["k"] for row in bench.rows(done.outcome("made").output)]
    assert keys == sorted(keys)  # type: ignore[type-var]  # all of them are numbers


def test_an_order_that_is_asked_for_stays(bench: Bench) -> None:
    text = "select g, count(*) as c from raw group by all order by g desc"
    done = walk(bench, sql(text))
    assert [row["g"] for row in bench.rows(done.outcome("made").output)] == ["b", "a"]


@pytest.mark.parametrize(
    "text",
    [
        "select * from read_csv('/etc/passwd')",
        "select * from read_text('/etc/passwd')",
        "select * from '/etc/passwd'",
        "select * from glob('/etc/*')",
        "select * from read_parquet('{other}')",
        "select * from read_csv('{project}/in.csv')",
        "copy (select 1) to '/tmp/evil.csv'",
        "attach '/tmp/evil.db'",
        "set threads = 1",
        "select 1; select 2",
        "install httpfs",
        "create table t as select 1",
        "",
    ],
)
def test_a_query_can_reach_nothing_else(bench: Bench, tmp_path: Path, text: str) -> None:
    other = tmp_path / "data" / "datasets" / "other.parquet"
    done = walk(bench, sql(text.format(other=other, project=bench.project) or " "))
    error = done.error("made")
    assert error.code == "sql_error", error
    assert not Path("/tmp/evil.csv").exists()


def test_an_error_in_a_query_names_line_and_candidates(bench: Bench) -> None:
    error = walk(bench, sql("select n,\n  nope\nfrom raw")).error("made")
    assert error.code == "sql_error"
    assert error.where == "line 2"
    assert "nope" in error.message


def test_a_query_that_needs_too_much_memory_is_told_so(bench: Bench) -> None:
    bench.engines.memory_bytes = 64 * 2**20
    error = walk(bench, sql("select list(range) as l from range(50_000_000)")).error("made")
    assert error.code == "memory_exceeded"


def test_a_step_is_not_done_twice_in_a_run(bench: Bench) -> None:
    done = walk(bench, sql("select random() as r from raw"))
    first = done.outcome("made")
    assert done.outcome("made") == first
    done.run = type(done.run)(int=done.run.int + 1)
    again = done.outcome("made")
    assert again.output != first.output
    assert "gave other rows in run" in again.warnings[0]


def test_an_outcome_whose_data_is_gone_is_made_again(bench: Bench) -> None:
    done = walk(bench, sql("select n from raw"))
    first = done.outcome("made")
    assert first.output is not None
    Path(bench.artifacts.path_of(first.output)).unlink()
    second = done.outcome("made")
    assert (second.key, second.output) == (first.key, first.output)
    assert bench.rows(second.output)


def test_data_that_is_gone_or_damaged_stops_the_next_step(bench: Bench) -> None:
    done = walk(bench, sql("select n from raw"))
    path = Path(bench.artifacts.path_of(done.done["raw"]))
    path.write_bytes(path.read_bytes()[:-1])
    assert done.error("made").code == "dataset_missing"
    path.unlink()
    assert done.error("made").code == "dataset_missing"


def test_the_key_knows_what_matters(bench: Bench) -> None:
    text = "select n from raw where n > $least"

    def key(params: dict[str, ParamValue], step: dict[str, object]) -> str:
        done = walk(bench, step, params=params)
        done.run_time = RUN_TIME + timedelta(days=len(str(step)))
        return done.outcome("made").key

    first = key({"least": 1, "day": "2026-01-01"}, sql(text))
    assert first == key({"least": 1, "day": "2026-02-02"}, sql(text) | {"description": "words"})
    assert first != key({"least": 2, "day": "2026-01-01"}, sql(text))
    assert first != key({"least": 1, "day": "2026-01-01"}, sql(text + " and n > 0"))


def python(name: str) -> dict[str, object]:
    return {"input": "raw", "python": f"steps:{name}"}


@pytest.mark.parametrize(
    ("name", "rows"), [("doubled", 10), ("above", 2), ("batches", 10), ("stream", 10)]
)
def test_python_functions_take_and_give_arrow(bench: Bench, name: str, rows: int) -> None:
    outcome = walk(bench, python(name)).outcome("made")
    assert len(bench.rows(outcome.output)) == outcome.rows_out == rows
    assert outcome.ledger == "unproven"


def test_rules_of_a_python_step_see_its_rows_and_its_input(bench: Bench) -> None:
    checks: list[dict[str, object]] = [
        {"sql": "from made", "severity": "warn"},
        {"sql": "from raw", "inputs": ["raw"], "severity": "warn"},
        {"references": ["n"], "to": "raw", "where": "n < 0", "severity": "warn"},
    ]
    outcome = walk(bench, python("above") | {"checks": checks}).outcome("made")
    assert [one.failing_rows for one in outcome.checks] == [2, 10, 0]


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("raises", "python_error", "KeyError: 'no such plane'"),
        ("leaves", "python_error", "exit(3)"),
        ("nothing", "python_result", "returned nothing"),
        ("number", "python_result", "returned an int"),
        ("bare", "python_result", "no columns"),
        ("other_name", "python_error", "cannot be called"),
        ("nowhere", "python_error", "no function 'nowhere'"),
    ],
)
def test_python_functions_that_do_not_do(
    bench: Bench, name: str, code: str, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    error = walk(bench, python(name)).error("made")
    assert error.code == code
    assert words in error.message
    if name == "raises":
        assert error.where.startswith("steps.py:")
        printed = capfd.readouterr()
        assert printed.out == "before it\n"
        assert "Traceback" in printed.err


def test_checks_keep_an_output_from_being_seen(bench: Bench) -> None:
    step = sql("select n from raw") | {
        "checks": [
            {"range": {"n": [0, 4]}},
            {"row_count": {"min": 100}, "severity": "warn"},
            {"not_null": ["n"]},
        ]
    }
    done = walk(bench, step)
    before = sorted((bench.data / "datasets").rglob("*.parquet"))
    result = done.step("made")
    assert isinstance(result, Failed)
    assert result.error.code == "check_failed"
    assert "5 rows break it" in result.error.message
    assert result.outcome is not None
    assert [check.passed for check in result.outcome.checks] == [False, False, True]
    assert sorted((bench.data / "datasets").rglob("*.parquet")) == before


def test_a_warning_lets_the_output_pass(bench: Bench) -> None:
    step = sql("select n from raw") | {
        "checks": [{"row_count": {"min": 100}, "severity": "warn", "name": "enough"}]
    }
    outcome = walk(bench, step).outcome("made")
    assert outcome.warnings == ("check enough (row_count(100…)): rows = 10",)
    assert not outcome.checks[0].passed


def test_checks_after_python(bench: Bench) -> None:
    step = python("doubled") | {"checks": [{"unique": ["twice"]}]}
    assert walk(bench, step).outcome("made").checks[0].passed
