# ruff: noqa: S608  # queries made here
"""An engine that loses rows: whatever the query, its ledger tells."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from uuid import uuid4

import pytest

from commands.steps.ports import Engine, Engines, Outline, SqlValue
from domain.pipeline.sinks import Sink
from tests.commands.steps.bench import Bench, Walk


class LossyEngine(Engine):
    """Loses the last seven rows of whatever it writes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def columns(self, query: str) -> dict[str, str]:
        return self._engine.columns(query)

    def params(self, query: str) -> frozenset[str]:
        return self._engine.params(query)

    def rows(
        self, statement: str, params: Mapping[str, SqlValue] | None = None
    ) -> Sequence[tuple[object, ...]]:
        return self._engine.rows(statement, params)

    def settled(self, query: str, params: Mapping[str, SqlValue]) -> str:
        return self._engine.settled(query, params)

    def save(
        self,
        query: str,
        target: str,
        params: Mapping[str, SqlValue] | None = None,
        sink: Sink | None = None,
        *,
        large: bool = False,
    ) -> None:
        (row,) = self._engine.rows(f"select count(*) from ({query})", params)
        assert isinstance(row[0], int)
        self._engine.save(f"from ({query}) limit {row[0] - 7}", target, params, sink, large=large)


class LossyEngines(Engines):
    """Opens such engines."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines

    @property
    def version(self) -> str:
        return self._engines.version

    def outline(self, query: str) -> Outline:
        return self._engines.outline(query)

    @contextmanager
    def open(self, views: Mapping[str, str], files: Sequence[str] = ()) -> Iterator[Engine]:
        with self._engines.open(views, files) as engine:
            yield LossyEngine(engine)

    def share(self) -> AbstractContextManager[Engine]:
        return self._engines.share()


DROPPED = {
    "select n, k from raw": "7 of 100 rows of raw are not accounted for",
    "select n from raw where n < 80": "7 of 100 rows of raw are not accounted for",
    "select n, m from raw join keys using (k)": "7 of 100 rows of raw are not accounted for",
    "select n, m from raw left join keys using (k)": "7 of 100 rows of raw are not accounted for",
    "select n % 20 as g, count(*) as c from raw group by all": "the query gives 20 rows, and 13",
    "select n % 20 as g, sum(m) as m from raw join keys using (k) group by g": (
        "the query gives 12 rows, and 5"
    ),
    "select m, n from raw join keys on raw.k < keys.k": "the query gives 60 rows, and 53",
    "select distinct n % 20 as g from raw": "the query gives 20 rows, and 13",
    "select n from raw union all select k from raw": "the query gives 200 rows, and 193",
    "select n % 20 as g from raw group by g having count(*) > 1": "the query gives 20 rows, and 13",
    "select n % 20 as g from raw group by g having sum(n) > 60 order by g": (
        "the query gives 20 rows, and 13"
    ),
    "select n from raw semi join keys using (k)": "7 of 100 rows of raw are not accounted for",
    "select n from raw where k in (select k from keys)": (
        "7 of 100 rows of raw are not accounted for"
    ),
    "select n from raw order by n limit 50": "the query gives 50 rows, and 43",
    "select n from raw qualify row_number() over (partition by k, n % 10 order by n) = 1": (
        "7 of 100 rows of raw are not accounted for"
    ),
}


@pytest.mark.parametrize("sql", DROPPED)
def test_rows_that_the_engine_drops_fail_the_step(bench: Bench, sql: str) -> None:
    bench.write("in.csv", "n,k\n" + "".join(f"{n},{n % 5}\n" for n in range(100)))
    bench.write("keys.csv", "k,m\n" + "".join(f"{n},{n}\n" for n in range(3)))
    integers = {"n": "integer", "k": "integer"}
    keys = {"k": "integer", "m": "integer"}
    done = Walk(
        bench,
        {
            "sources": {
                "s": {"kind": "csv", "path": "in.csv", "columns": integers},
                "t": {"kind": "csv", "path": "keys.csv", "columns": keys},
            },
            "steps": [
                {"id": "raw", "kind": "ingest", "source": "s"},
                {"id": "keys", "kind": "ingest", "source": "t"},
                {
                    "id": "made",
                    "kind": "transform",
                    "inputs": ["raw", "keys"] if "keys" in sql else ["raw"],
                    "sql": sql,
                },
            ],
        },
    )
    done.outcome("raw")
    done.outcome("keys")
    sound = done.workbench
    assert done.outcome("made").ledger == "balanced"
    done.run, done.fresh = uuid4(), True
    done.workbench = replace(sound, engines=LossyEngines(bench.engines))
    error = done.error("made")
    assert error.code == "ledger_unbalanced"
    assert error.message.startswith(DROPPED[sql])
    assert error.where == "steps.made"
    assert "7" in error.message
