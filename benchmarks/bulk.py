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


def plain_script(source: Path, target: Path) -> None:
    """What one would write by hand: the same steps with each table in memory."""
    with duckdb.connect() as engine:
        engine.execute(
            "create table raw as select * from read_csv(?, nullstr = 'NA')", [str(source)]
        )
        engine.execute(
            """create table flown as select * from raw
               where dep_time is not null and arr_time is not null
               qualify row_number() over (
                   partition by copy, carrier, flight, origin, time_hour
                   order by sched_dep_time desc) = 1"""
        )
        engine.execute(
            """create table delays as select carrier, month, count(*) as flights,
               avg(arr_delay) as arr_delay from flown group by all"""
        )
        bad = engine.execute(
            "select count(*) from delays where carrier is null or month is null"
        ).fetchone()
        assert bad == (0,)
        engine.execute(f"copy (from delays order by carrier, month) to '{target}' (format parquet)")
