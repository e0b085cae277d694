"""A project with Python steps of every bad habit, and what is needed to run them in children."""

import textwrap
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import anyio
import anyio.lowlevel
import pyarrow.parquet as pq
import pytest
from msgspec import Raw

from adapters.processes.pool import ChildPool, PoolOptions
from commands.steps.work import StepInput, StepWork
from domain.data.dataset import DatasetVersion
from domain.pipeline.events import Definition
from domain.pipeline.spec import bundle_hash, decode_spec, encode_spec
from domain.run.commands import StepResult, Succeeded

FUNCTIONS = textwrap.dedent(
    """
    import os, pathlib, signal, subprocess, sys, time
    import pyarrow as pa

    print("loaded")

    def same(raw):
        return raw

    def pid(raw):
        return pa.table({"pid": [os.getpid()]})

    def chatty(raw):
        line = "x" * 1023 + chr(10)
        for _ in range(64 * 1024):
            sys.stdout.write(line)
        return raw

    def raises(raw):
        raise ValueError("bad day")

    def for_ever(raw):
        pathlib.Path("started").touch()
        while True:
            time.sleep(0.01)

    def parent_of_one(raw):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        pathlib.Path("grandchild").write_text(str(child.pid))
        return for_ever(raw)

    def hungry(raw):
        kept = []
        while True:
            kept.append(b"x" * 4_000_000)

    def suicidal(raw):
        os.kill(os.getpid(), signal.SIGKILL)

    def quits(raw):
        os._exit(7)
    """
)


class Project:
    """A pipeline with one step for each function, over one row."""

    def __init__(self, folder: Path, functions: str = FUNCTIONS) -> None:
        self.root = folder / "project"
        self.data = folder / "data"
        self.root.mkdir(exist_ok=True)
        self.data.mkdir(exist_ok=True)
        (self.root / "in.csv").write_text("n\n1\n")
        self.files: Mapping[str, str] = {"steps.py": functions}
        self.run: UUID = uuid4()
        self.raw: DatasetVersion | None = None

    def plain(self, **words: object) -> dict[str, object]:
        """The spec as a file would have it; `words` go to every Python step."""
        names = [
            line[4:].split("(")[0]
            for line in self.files["steps.py"].splitlines()
            if line.startswith("def ")
        ]
        steps: list[dict[str, object]] = [{"id": "raw", "kind": "ingest", "source": "s"}]
        steps += [
            {"id": name, "kind": "transform", "input": "raw", "python": f"steps:{name}", **words}
            for name in names
        ]
        columns = {"n": "integer"}
        return {
            "pipeline": "habits",
            "sources": {"s": {"kind": "csv", "path": "in.csv", "columns": columns}},
            "steps": steps,
        }

    def definition(self, **words: object) -> Definition:
        """The spec as it is stored."""
        encoded = encode_spec(decode_spec(self.plain(**words)))
        return Definition(
            bundle=bundle_hash(encoded, self.files),
            spec=Raw(encoded),
            files=dict(self.files),
            root=str(self.root),
        )

    def work(self, step: str, definition: Definition, lease: int = 1) -> StepWork:
        """An accepted claim."""
        inputs = () if self.raw is None else (StepInput(step="raw", version=self.raw),)
        return StepWork(
            run=self.run,
            step=step,
            attempt=1,
            lease=lease,
            pipeline="habits",
            revision=1,
            bundle=definition.bundle,
            root=str(self.root),
            params={},
            run_time=datetime(2026, 1, 1, tzinfo=UTC),
            inputs=inputs if step != "raw" else (),
        )

    def options(self, size: int = 1, spare: bool = False) -> PoolOptions:
        """A small pool."""
        return PoolOptions(
            data=self.data, roots=(str(self.root),), size=size, spare=spare, threads=1
        )


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The project; steps find its folder as their working directory."""
    made = Project(tmp_path)
    monkeypatch.chdir(made.root)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    return made


async def done(pool: ChildPool, work: StepWork, definition: Definition) -> StepResult:
    """What comes of one step."""
    given = pool.begin(work, definition, 0.0)
    try:
        return await given.result()
    finally:
        await given.close()


async def until(path: Path) -> None:
    """Wait for a file that a step makes."""
    with anyio.fail_after(30):
        while not await anyio.Path(path).exists():
            await anyio.lowlevel.checkpoint()


def pid_in(project: Project, result: StepResult) -> int:
    """The process that a step ran in, from its output."""
    assert isinstance(result, Succeeded), result
    assert result.outcome.output is not None
    name = result.outcome.output.fingerprint
    path = project.data / "datasets" / name[:2] / f"{name}.parquet"
    return int(pq.read_table(path)["pid"][0].as_py())
