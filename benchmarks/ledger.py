"""What the row ledger costs: the same step on the same data, counted and not counted, in turn."""

import argparse
import statistics
import tempfile
import time
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import duckdb

from adapters.datasets.artifacts import FileArtifacts
from adapters.datasets.files import FileSources
from adapters.datasets.memory import SourceMemory
from adapters.datasets.targets import FileSinks
from adapters.engines.duckdb import DuckEngines
from adapters.engines.ledger.accountant import QueryAccountant
from adapters.engines.lineage.tracer import ColumnTracer
from adapters.engines.python import BundleFunctions
from adapters.pipelinefile.contracts import read_contract
from benchmarks.report import Figure, Part, table
from commands.steps.ports import Workbench
from commands.steps.tally import Accountant, ColumnsOf, CountedFile, QueryCount
from commands.steps.task import carry_out
from commands.steps.work import StepInput, StepWork
from domain.data.dataset import DatasetVersion
from domain.pipeline.spec import decode_spec
from domain.run.commands import Succeeded

DATA = Path(__file__).parent.parent / "examples/flights/data"
memory_bytes = 2 << 30

_BY_MAKER = """
    select manufacturer, month, count(*) as flights, avg(arr_delay) as arr_delay
    from flown {} aircraft using (tailnum) where month >= 1 group by all
"""
QUERIES = {
    "join, group by": _BY_MAKER.format("left join"),
    "two joins, group by": """
        select name, manufacturer, month, count(*) as flights, avg(arr_delay) as arr_delay
        from flown join carriers using (carrier) left join aircraft using (tailnum)
        where month >= 1 group by all
    """,
    "join that loses rows, group by": _BY_MAKER.format("join"),
    "join, every row written": "select * from flown left join aircraft using (tailnum)",
    "group by with having": """
        select tailnum, count(*) as flights from flown group by all having count(*) > 1
    """,
    "distinct": "select distinct carrier, origin, dest from flown",
    "semi join, group by": """
        select carrier, month, avg(arr_delay) as arr_delay
        from flown semi join aircraft using (tailnum) group by all
    """,
    "in (select …), group by": """
        select carrier, month, avg(arr_delay) as arr_delay
        from flown where tailnum in (select tailnum from aircraft) group by all
    """,
    "newest of each": """
        select carrier, tailnum, time_hour from flown
        qualify row_number() over (partition by tailnum order by time_hour desc, flight) = 1
    """,
    "union all": """
        select tailnum, month from flown where month >= 6
        union all select tailnum, year from aircraft
    """,
}


class NoAccountant(Accountant):
    """Counts nothing."""

    def counts(
        self,
        sql: str,
        inputs: Mapping[str, CountedFile],
        columns: ColumnsOf,
        promised: Collection[str] = (),
        *,
        is_quick: bool = False,
    ) -> QueryCount:
        return QueryCount(unproven="not asked for")


class Shop:
    """Three datasets, and steps that query them."""

    def __init__(self, folder: Path, rows: int) -> None:
        self._engines = DuckEngines(str(folder / "tmp"), 2)
        self._engines.memory_bytes = memory_bytes
        self._artifacts = FileArtifacts(folder / "datasets", folder / "keys", folder / "tmp")
        self._folder = folder
        flights = f"read_csv('{DATA}/flights.csv.gz', nullstr = 'NA')"
        copies = f"range({rows // 320_000 + 1}) as c(copy)"
        self._inputs = {
            "flown": self._made(
                f"select f.* from {copies}, {flights} as f where arr_time is not null"  # noqa: S608  # our own names
                f" order by copy, time_hour limit {rows}"
            ),
            "aircraft": self._made(f"from read_csv('{DATA}/planes.csv', nullstr = 'NA')"),
            "carriers": self._made(f"from read_csv('{DATA}/airlines.csv')"),
        }

    def seconds(self, sql: str, accountant: Accountant) -> float:
        """How much processor time one step takes, which others on the machine disturb less."""
        names = [name for name in self._inputs if name in sql]
        spec = decode_spec(
            {
                "pipeline": "ledger",
                "sources": {name: {"kind": "parquet", "path": "none.parquet"} for name in names},
                "steps": [
                    *({"id": name, "kind": "ingest", "source": name} for name in names),
                    {"id": "made", "kind": "transform", "inputs": names, "sql": sql},
                ],
            }
        )
        work = StepWork(
            run=uuid4(),
            step="made",
            attempt=1,
            lease=1,
            pipeline="ledger",
            revision=1,
            bundle="b",
            root=str(self._folder),
            params={},
            run_time=datetime.now(UTC),
            inputs=tuple(StepInput(step=name, version=self._inputs[name]) for name in names),
            fresh=True,
        )
        self._engines.prepare()
        bench = self._bench(accountant)
        start = time.process_time()
        result = carry_out(work, spec, {}, bench)
        taken = time.process_time() - start
        assert isinstance(result, Succeeded), result
        status = result.outcome.ledger
        assert status == ("unproven" if isinstance(accountant, NoAccountant) else "balanced"), (
            result
        )
        return taken

    def _made(self, query: str) -> DatasetVersion:
        scratch = self._artifacts.scratch()
        with duckdb.connect() as engine:
            engine.execute(f"copy ({query}) to '{scratch}' (format parquet, compression lz4_raw)")
        written = self._artifacts.admit(scratch)
        return DatasetVersion(
            dataset="ledger.input",
            fingerprint=written.fingerprint,
            rows=written.rows,
            bytes=written.bytes,
        )

    def _bench(self, accountant: Accountant) -> Workbench:
        root = str(self._folder)
        return Workbench(
            engines=self._engines,
            artifacts=self._artifacts,
            sources=FileSources(self._engines, root, [root], SourceMemory(self._folder / "known")),
            sinks=FileSinks(root, [root]),
            functions=BundleFunctions(self._folder / "bundle", {}),
            tracer=ColumnTracer(),
            contracts=read_contract,
            accountant=accountant,
            stopwatch=time.perf_counter,
        )


def figures(folder: Path, rows: int, times: int, only: str = "") -> list[Figure]:
    """The share of each step's time that counting takes: the median of its ratios."""
    shop = Shop(folder, rows)
    found = []
    for what, sql in QUERIES.items():
        if only not in what:
            continue
        pairs = []
        for turn in range(times + 1):
            pair = {}
            order = (QueryAccountant(), NoAccountant())
            for accountant in order if turn % 2 else order[::-1]:
                pair[type(accountant)] = shop.seconds(sql, accountant)
            pairs.append((pair[QueryAccountant], pair[NoAccountant]))
        ratios = sorted(counted / bare for counted, bare in pairs[1:])
        bare = statistics.median(bare for _, bare in pairs[1:])
        added = statistics.median(counted - bare for counted, bare in pairs[1:])
        found.append(
            Figure(
                what=f"ledger of {rows:,} rows: {what}",
                value=100 * (statistics.median(ratios) - 1),
                unit="%",
                reach=f"≤ 10 %, or {0.15 * rows / 1e7:.2g} s",
                baseline=f"the same step, not counted: {bare:.2f} s of processor time",
                method=f"it adds {added:.2f} s; {times} pairs in turn after one to warm up, ratios"
                f" {ratios[0]:.2f} to {ratios[-1]:.2f}",
            )
        )
    return found


def ledger(folder: Path, rows: int = 10_000_000, times: int = 5) -> Part:
    """Every case."""
    return Part(figures=figures(folder, rows, times))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--times", type=int, default=7)
    parser.add_argument("--only", default="", help="cases whose name holds this")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        print(table(figures(Path(name), options.rows, options.times, options.only)))


if __name__ == "__main__":
    main()
