"""Why a run would work on a step, as `headwater plan` says it."""

from pathlib import Path
from typing import Any

import msgspec

from adapters.engines.binding.definition import bind
from adapters.pipelinefile.contracts import read_contract
from adapters.pipelinefile.reading import read_pipeline
from commands.steps.foresight import NOT_DONE
from runtime.settings import Settings
from runtime.wiring.foresight import Wish, plan_file
from tests.commands.steps.bench import Bench, Walk

SPEC = """\
pipeline: walk
sources: {s: {kind: csv, path: s.csv, columns: {n: integer}}}
steps:
  - {id: raw, kind: ingest, source: s}
  - {id: more, kind: transform, inputs: {rows: raw}, python: "steps:more"}
"""
STEPS = "import helper\n\n\ndef more(rows):\n    return helper.same(rows)\n"


def because(bench: Bench, active: dict[str, Any] | None) -> str:
    file = read_pipeline(bench.project / "p.yaml")
    settings = Settings(data=bench.data, timezone=bench.workbench({}).timezone)
    told = plan_file(file, settings, Wish(params={}), active)
    raw, more = told["steps"]
    assert (raw["verdict"], more["verdict"]) == ("reuse", "run")
    return str(more["because"])


def test_the_module_that_changed_is_named(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for name, text in {"p.yaml": SPEC, "steps.py": STEPS, "s.csv": "n\n1\n"}.items():
        bench.write(name, text)
    bench.write("helper.py", "def same(rows):\n    return rows\n")
    file = read_pipeline(bench.project / "p.yaml")
    bound = bind({**file.spec}, {**file.files}, file.root, (file.root,), read_contract).definition
    spec = msgspec.json.decode(bytes(bound.spec))
    Walk(bench, spec, files=bound.files).outcome("raw")
    active = {"spec": spec, "files": dict(bound.files), "revision": 4, "root": bound.root}
    assert because(bench, active) == because(bench, None) == NOT_DONE
    bench.write("helper.py", "def same(rows):\n    return list(rows)\n")
    assert because(bench, active) == "its code is not that of revision 4: helper.py changed"
    assert because(bench, None) == NOT_DONE
    bench.engines.close()
