"""`mode: append`: a folder with a part for each slice, of which only the run's own is replaced."""

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from domain.pipeline.spec import InvalidSpec
from domain.run.commands import Succeeded
from domain.run.events import ParamValue
from tests.architecture.source import ROOT
from tests.commands.steps.bench import Bench, Walk

SPEC: dict[str, Any] = {
    "params": {"day": {"type": "string"}, "least": {"type": "integer", "default": 0}},
    "sources": {"s": {"kind": "csv", "path": "in.csv", "columns": {"n": "integer"}}},
    "steps": [
        {"id": "raw", "kind": "ingest", "source": "s"},
        {
            "id": "kept",
            "kind": "store",
            "input": "raw",
            "mode": "append",
            "order_by": ["n desc"],
            "sink": {"kind": "csv", "path": "out/days"},
        },
    ],
}


def walk(bench: Bench, rows: str, params: dict[str, ParamValue], **words: Any) -> Walk:
    bench.write("in.csv", "n\n" + rows)
    store = {**SPEC["steps"][1], **words}
    return Walk(bench, {**SPEC, "steps": [SPEC["steps"][0], store]}, params=params)


def parts(bench: Bench) -> dict[str, str]:
    """Everything that a reader of the folder sees."""
    folder = bench.project / "out" / "days"
    return {path.name: path.read_text() for path in folder.glob("[!.]*")}


def test_each_slice_has_its_part(bench: Bench) -> None:
    walk(bench, "1\n2\n", {"day": "mon", "least": 0}).all()
    walk(bench, "3\n", {"day": "tue", "least": 0}).all()
    assert parts(bench) == {
        "walk.kept.day=mon.least=0.csv": "n\n2\n1\n",
        "walk.kept.day=tue.least=0.csv": "n\n3\n",
    }


def test_the_same_slice_again_replaces_its_part_alone(bench: Bench) -> None:
    first = walk(bench, "1\n", {"day": "mon"}, slice=["day"])
    first.all()
    walk(bench, "3\n", {"day": "tue"}, slice=["day"]).all()
    same = walk(bench, "1\n", {"day": "mon"}, slice=["day"]).all()
    assert same["kept"].written_by == first.run
    walk(bench, "7\n", {"day": "mon"}, slice=["day"]).all()
    assert parts(bench) == {
        "walk.kept.day=mon.csv": "n\n7\n",
        "walk.kept.day=tue.csv": "n\n3\n",
    }


def test_without_params_the_whole_is_one_slice(bench: Bench) -> None:
    for rows in ("1\n", "2\n"):
        bench.write("in.csv", "n\n" + rows)
        Walk(bench, {**SPEC, "params": {}}).all()
    assert parts(bench) == {"walk.kept.csv": "n\n2\n"}


def test_an_older_run_does_not_replace_a_newer_one_s_part(bench: Bench) -> None:
    walk(bench, "1\n", {"day": "mon"}).all()
    late = walk(bench, "9\n", {"day": "mon"})
    late.run_time -= timedelta(seconds=1)
    late.outcome("raw")
    assert late.error("kept").code == "newer_content"
    # Another slice is none of the newer run's business.
    other = walk(bench, "9\n", {"day": "sun"})
    other.run_time -= timedelta(seconds=1)
    other.all()
    assert len(parts(bench)) == 2


@pytest.mark.parametrize(
    ("one", "other"), [("a/b", "a_b"), ("..", "."), ("x.least=1", "x"), ("é" * 90, "é" * 91)]
)
def test_any_value_is_a_part_of_its_own_inside_the_folder(
    bench: Bench, one: str, other: str
) -> None:
    for day in (one, other):
        walk(bench, "1\n", {"day": day, "least": 1}).all()
    assert len(parts(bench)) == 2
    assert sorted(path.name for path in (bench.project / "out").iterdir()) == ["days"]


@pytest.mark.parametrize(
    ("words", "path"),
    [
        ({"slice": ["night"]}, "steps.kept.slice"),
        ({"slice": ["day"], "mode": "replace"}, "steps.kept.slice"),
    ],
)
def test_a_slice_is_made_of_params(bench: Bench, words: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        walk(bench, "1\n", {}, **words)
    assert [one.path for one in caught.value.problems] == [path]


@pytest.mark.parametrize("mode", ["append", "replace"])
def test_a_process_killed_behind_the_rename_doubles_nothing(
    bench: Bench, tmp_path: Path, mode: str
) -> None:
    bench.write("in.csv", "n\n1\n2\n")
    store = {**SPEC["steps"][1], "mode": mode}
    spec = {**SPEC, "params": {}, "steps": [SPEC["steps"][0], store]}
    run = uuid4()
    command = [sys.executable, "-m", "tests.commands.steps.dying", str(tmp_path), str(run)]
    died = subprocess.run(
        [*command, msgspec.json.encode(spec).decode(), "before"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert died.returncode == -signal.SIGKILL
    again = Walk(bench, spec)
    again.run = run
    again.outcome("raw")
    result = again.step("kept")
    assert isinstance(result, Succeeded)
    assert result.outcome.written_by is None
    place = bench.project / "out" / "days"
    written = [place] if mode == "replace" else [*place.glob("[!.]*")]
    assert [path.read_text() for path in written] == ["n\n2\n1\n"]
