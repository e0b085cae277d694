"""A project in a folder of its own, and the `headwater` command run in it as a user would."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

HEADWATER = Path(sys.executable).with_name("headwater")

SMALL = """\
pipeline: small
sources:
  orders: {kind: csv, path: orders.csv, columns: {id: integer, customer: string, amount: number}}
  customers: {kind: csv, path: customers.csv, columns: {customer: string, name: string}}
steps:
  - {id: raw, kind: ingest, source: orders}
  - {id: people, kind: ingest, source: customers}
  - id: orders_clean
    kind: clean
    input: raw
    rules:
      - {drop_nulls: [amount]}
      - {deduplicate: [id], keep: last, order_by: [amount]}
  - id: totals
    kind: transform
    sql: |
      select name, count(*) as orders, sum(amount) as amount
      from orders_clean join people using (customer) group by all
    checks:
      - {unique: [name]}
      - {range: {amount: [0, 1000000]}}
  - {id: published, kind: store, input: totals, mode: replace, order_by: [name],
     sink: {kind: csv, path: out/totals.csv}}
"""

SLOW = """\
pipeline: slow
sources:
  numbers: {kind: csv, path: numbers.csv, columns: {n: integer}}
steps:
  - {id: raw, kind: ingest, source: numbers}
  - {id: first, kind: transform, input: raw, python: "steps:wait"}
  - {id: second, kind: transform, input: first, python: "steps:wait"}
  - {id: third, kind: transform, input: second, python: "steps:wait"}
  - {id: published, kind: store, input: third, mode: replace, order_by: [n],
     sink: {kind: csv, path: out/numbers.csv}}
"""

STEPS = '''\
"""Steps that take their time."""
import time


def wait(**inputs):
    """Hand the one input on after a while."""
    time.sleep(0.7)
    return next(iter(inputs.values()))
'''


class Project:
    """A folder with two pipelines, `small.yaml` and `slow.yaml`."""

    def __init__(self, folder: Path, **settings: str) -> None:
        """`settings` are variables of the environment that every command runs in."""
        self.folder = folder
        self.environment = {**environment(), **settings}
        (folder / "small.yaml").write_text(SMALL)
        (folder / "slow.yaml").write_text(SLOW)
        (folder / "steps.py").write_text(STEPS)
        (folder / "numbers.csv").write_text("n\n1\n2\n3\n")
        (folder / "customers.csv").write_text("customer,name\na,Ada\nb,Bob\n")
        (folder / "orders.csv").write_text("id,customer,amount\n1,a,10\n2,b,5\n2,b,7\n3,a,\n")

    def run(self, *arguments: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
        """`headwater ARGUMENTS…` to its end."""
        return subprocess.run(
            [HEADWATER, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def json(self, *arguments: str, code: int = 0) -> Any:
        """The same with `--json`, whose answer it returns."""
        done = self.run(*arguments, "--json")
        assert done.returncode == code, (
            f"{arguments}: {done.returncode}\n{done.stderr}\n{done.stdout}"
        )
        return json.loads(done.stdout)

    @contextmanager
    def up(self, *arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
        """A service that is ready, stopped at the end if it still lives."""
        log = (self.folder / "up.log").open("ab")
        process = subprocess.Popen(
            [HEADWATER, "up", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            self.until(lambda: self.run("services", "--json").returncode == 0, 20)
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(20)
            log.close()

    def until(self, holds: Any, seconds: float = 30) -> None:
        """Ask until `holds()`; what the service wrote is shown if it never does."""
        end = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > end:
                log = self.folder / "up.log"
                raise AssertionError(log.read_text()[-4000:] if log.exists() else "never held")
            time.sleep(0.05)

    def status(self, run: str) -> str:
        """A run's status, or an empty text while it cannot be read."""
        done = self.run("show", run, "--json")
        return str(json.loads(done.stdout)["status"]) if done.returncode == 0 else ""


def environment() -> dict[str, str]:
    """A user's environment without settings of ours."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HEADWATER", "OTEL_"))}
    return {**kept, "NO_COLOR": "1", "COLUMNS": "100"}


def descendants(pid: int) -> list[psutil.Process]:
    """Every process below `pid`."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
