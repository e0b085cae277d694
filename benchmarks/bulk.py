"""The 10-million-row job: flights repeated to about 1 GB of CSV, and the plain script to beat."""

from pathlib import Path

import duckdb

PIPELINE = """\
pipeline: bulk
description: Ten million flights to delays by airline and month
sources:
  flights: {{kind: csv, path: {name}, nulls: [NA]}}
steps:
  - {{id: raw, kind: ingest, source: flights}}
  - id: flown
    kind: clean
    input: raw
    rules:
      - {{drop_nulls: [dep_time, arr_time]}}
      - {{deduplicate: [copy, carrier, flight, origin, time_hour], keep: last,
         order_by: [sched_dep_time]}}
  - id: delays
    kind: transform
    sql: |
      select carrier, month, count(*) as flights, avg(arr_delay) as arr_delay
      from flown group by all
  - {{id: checked, kind: check, input: delays,
     rules: [{{unique: [carrier, month]}}, {{not_null: [carrier, month]}}]}}
  - {{id: published, kind: store, input: checked, mode: replace, order_by: [carrier, month],
     sink: {{kind: parquet, path: out/delays.parquet}}}}
"""


def make_source(folder: Path, flights: Path, rows: int) -> Path:
    """Write `rows` flights as one CSV file, copies told apart by a column `copy`."""
    target = folder / f"flights_{rows}.csv"
    if not target.exists():
        with duckdb.connect() as engine:
            engine.execute("set preserve_insertion_order = true")
            engine.execute(
                """create table flights as select * from
                   read_csv(?, nullstr = 'NA', header = true)""",
                [str(flights)],
            )
            copies = rows // 336_776 + 1
            engine.execute(
                f"""copy (select c.copy, f.* from range({copies}) c(copy), flights f limit {rows})
                    to '{target}' (header, nullstr 'NA')"""  # noqa: S608  # our own path and number
            )
    return target


_RAW = "select * from read_csv(?, nullstr = 'NA')"

_FLOWN = """select * from raw where dep_time is not null and arr_time is not null
    qualify row_number() over (
        partition by copy, carrier, flight, origin, time_hour order by sched_dep_time desc) = 1"""


def plain_script(source: Path, target: Path) -> None:
    """What one would write by hand: the same steps with each table in memory."""
    with duckdb.connect() as engine:
        engine.execute(f"create table raw as {_RAW}", [str(source)])
        engine.execute(f"create table flown as {_FLOWN}")
        _finish(engine, target)


def kept_script(source: Path, folder: Path) -> None:
    """The same with each table kept as a file, to be read by others and used again."""
    with duckdb.connect() as engine:
        for name, query, given in (("raw", _RAW, [str(source)]), ("flown", _FLOWN, [])):
            file = folder / f"{name}.parquet"
            engine.execute(
                f"copy ({query}) to '{file}' (format parquet, compression lz4_raw)", given
            )
            engine.execute(f"create view {name} as from read_parquet('{file}')")
        _finish(engine, folder / "kept.parquet")


def _finish(engine: duckdb.DuckDBPyConnection, target: Path) -> None:
    engine.execute(
        """create table delays as select carrier, month, count(*) as flights,
           avg(arr_delay) as arr_delay from flown group by all"""
    )
    bad = engine.execute(
        "select count(*) from delays where carrier is null or month is null"
    ).fetchone()
    assert bad == (0,)
    engine.execute(f"copy (from delays order by carrier, month) to '{target}' (format parquet)")
