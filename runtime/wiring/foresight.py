"""What a run of a file would do, from the file, its data and the data directory alone."""

import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from tempfile import TemporaryDirectory
from uuid import UUID

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from adapters.datasets.cached import open_artifacts
from adapters.datasets.files import FileSources
from adapters.datasets.memory import SourceMemory
from adapters.datasets.targets import FileSinks
from adapters.engines.binding.definition import bind
from adapters.engines.duckdb import DuckEngines
from adapters.engines.ledger.accountant import QueryAccountant
from adapters.engines.lineage.tracer import ColumnTracer
from adapters.engines.python import BundleFunctions
from adapters.pipelinefile.contracts import read_contract
from commands.ports import Bound
from commands.steps.foresight import NOT_DONE, Prospect, foresee
from commands.steps.ports import Workbench
from commands.steps.work import StepWork
from domain.errors import Rejection
from domain.pipeline.difference import difference
from domain.pipeline.events import Definition
from domain.pipeline.params import resolve
from domain.pipeline.spec import decode_spec
from domain.run.events import ParamValue
from runtime.datadir import DataDir
from runtime.session import Document, PipelineFile
from runtime.settings import Settings

_NOBODY = UUID(int=0)


class Wish(Struct, frozen=True, kw_only=True):
    """How the run would be started."""

    params: Mapping[str, ParamValue]
    no_cache: bool = False
    fresh: tuple[str, ...] = ()
    env: str = ""


def plan_file(
    file: PipelineFile, settings: Settings, wish: Wish, active: Document | None
) -> Document:
    """Each step with what changed in it against the `active` definition, and what a run would do
    with it. Raises `Rejection` where the file, a param or a step's name is wrong."""
    roots = (file.root, *settings.roots)
    try:
        bound = bind({**file.spec}, {**file.files}, file.root, roots, read_contract)
    except Rejection as rejection:
        raise file.placed(rejection) from rejection
    prospect = _prospect(bound, wish)
    with TemporaryDirectory(prefix="headwater-plan-") as folder:
        engines = DuckEngines(folder, os.cpu_count() or 1)
        try:
            seen = foresee(prospect, _bench(engines, bound, settings, roots))
        finally:
            engines.close()
    return {
        "pipeline": prospect.spec.pipeline,
        **_changes(
            replace(bound.definition, env=wish.env),
            active,
            [msgspec.to_builtins(one) for one in seen],
        ),
        "warnings": list(bound.warnings),
    }


def _prospect(bound: Bound, wish: Wish) -> Prospect:
    spec = decode_spec(bytes(bound.definition.spec))
    order = [step.id for step in bound.plan]
    for step in wish.fresh:
        if step not in order:
            raise Rejection("step_not_found", f"the pipeline has no step {step!r} to do anew")
    work = StepWork(
        run=_NOBODY,
        step="",
        attempt=1,
        lease=1,
        pipeline=spec.pipeline,
        revision=0,
        bundle=bound.definition.bundle,
        root=bound.definition.root,
        params=resolve(spec.params, wish.params),
        run_time=datetime.now(UTC),
    )
    return Prospect(
        work=work,
        spec=spec,
        files=bound.definition.files,
        order=order,
        no_cache=wish.no_cache,
        fresh=frozenset(wish.fresh),
    )


def _bench(
    engines: DuckEngines, bound: Bound, settings: Settings, roots: tuple[str, ...]
) -> Workbench:
    data = DataDir(settings.data)
    root = bound.definition.root
    return Workbench(
        engines=engines,
        artifacts=open_artifacts(data.path, data.datasets / "tmp" / "plan", settings.datasets),
        sources=FileSources(engines, root, roots, SourceMemory(data.sources)),
        sinks=FileSinks(root, roots),
        functions=BundleFunctions(data.bundles / bound.definition.bundle, bound.definition.files),
        tracer=ColumnTracer(),
        accountant=QueryAccountant(),
        contracts=read_contract,
        stopwatch=time.perf_counter,
        timezone=settings.timezone,
    )


def _changes(definition: Definition, active: Document | None, seen: list[Document]) -> Document:
    told = active or {"spec": {}, "files": {}, "revision": None}
    after = msgspec.json.decode(bytes(definition.spec))
    found = difference(told["spec"], after, told.get("files", {}), definition.files)
    moved = [key for key in ("root", "env") if told.get(key, "") != getattr(definition, key)]
    by_step = {one.step: one for one in found.steps}
    python = {step["id"] for step in after["steps"] if step.get("python")}
    modules = [name for name in found.others if name.endswith(".py")] if active else []
    steps = [
        {**one, "change": by_step[one["step"]].change, "keys": list(by_step[one["step"]].keys)}
        for one in seen
    ]
    for step in steps:
        if modules and step["step"] in python and step["because"] == NOT_DONE:
            was = f"revision {told['revision']}"
            step["because"] = f"its code is not that of {was}: {', '.join(modules)} changed"
    return {
        "revision": told["revision"],
        "changed": not found.is_empty or bool(moved),
        "steps": steps,
        "removed": [one.step for one in found.steps if one.change == "removed"],
        "others": [*found.others, *moved] if active else [],
    }
