# ruff: noqa: S608  # names and literals go through `commands.steps.sql`
"""A pipeline's own tests: real steps on given rows, and their rows held against the expected."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from commands.steps.ports import StepBroken, Workbench
from commands.steps.sql import listed, literal, quoted
from commands.steps.task import carry_out
from commands.steps.work import StepInput, StepWork
from domain.data.dataset import DatasetVersion
from domain.pipeline.cases import Case, Cell, Rows, to_be_run
from domain.pipeline.params import resolve
from domain.pipeline.spec import PipelineSpec
from domain.pipeline.steps import Step, needs_of
from domain.run.commands import Failed
from domain.run.events import StepError

rows_told_max = 20
"""Rows of each kind that a failed test tells."""

fraction_digits = 9
"""Numbers with a fraction are compared to so many digits: sums differ in the last ones."""

RUN_TIME = datetime(2000, 1, 1, tzinfo=UTC)
"""What `$run_time` stands for in every test."""

_NOBODY = UUID(int=0)
_FRACTIONS = ("DOUBLE", "FLOAT")

Columns = Mapping[str, Mapping[str, str] | None]
"""Step → its columns and their types; None where they show only in a run."""


class RowsDiffer(Struct, frozen=True, kw_only=True):
    """A step whose rows are not those expected."""

    step: str
    columns: tuple[str, ...]
    missing: tuple[tuple[str | None, ...], ...]
    """Expected, and not made."""
    unexpected: tuple[tuple[str | None, ...], ...]
    """Made, and not expected."""


class Verdict(Struct, frozen=True, kw_only=True):
    """What came of a test."""

    name: str
    passed: bool
    step: str = ""
    """The step that could not be run, where one could not."""
    error: StepError | None = None
    differences: tuple[RowsDiffer, ...] = ()
    seconds: float = 0.0


class Trial(Struct, frozen=True, kw_only=True):
    """A bound pipeline, and what its steps are run with."""

    spec: PipelineSpec
    steps: Sequence[Step]
    """In an order in which each follows its inputs."""
    files: Mapping[str, str]
    columns: Columns
    bench: Workbench
    root: str


def try_case(trial: Trial, case: Case) -> Verdict:
    """Run one test; nothing outside the workbench's own folder is read or written."""
    began = trial.bench.stopwatch()
    verdict = _tried(trial, case)
    return replace(verdict, seconds=trial.bench.stopwatch() - began)


def _tried(trial: Trial, case: Case) -> Verdict:
    made: dict[str, DatasetVersion] = {}
    at = ""
    try:
        for at, rows in case.given.items():
            made[at] = _given(trial, at, rows)
        for step in to_be_run(case, trial.steps):
            at = step.id
            result = carry_out(_work(trial, case, step, made), trial.spec, trial.files, trial.bench)
            if isinstance(result, Failed):
                return Verdict(name=case.name, passed=False, step=at, error=result.error)
            if result.outcome.output is not None:
                made[at] = result.outcome.output
        differences = []
        for at, rows in case.expect.items():
            differences += _differences(trial, at, made[at], rows)
    except StepBroken as stopped:
        return Verdict(name=case.name, passed=False, step=at, error=stopped.error)
    return Verdict(name=case.name, passed=not differences, differences=tuple(differences))


def _work(trial: Trial, case: Case, step: Step, made: Mapping[str, DatasetVersion]) -> StepWork:
    return StepWork(
        run=_NOBODY,
        step=step.id,
        attempt=1,
        lease=1,
        pipeline=trial.spec.pipeline,
        revision=0,
        bundle="",
        root=trial.root,
        params=resolve(trial.spec.params, case.params),
        run_time=RUN_TIME,
        inputs=tuple(StepInput(step=one, version=made[one]) for one in needs_of(step)),
    )


def _given(trial: Trial, step: str, rows: Rows) -> DatasetVersion:
    artifacts = trial.bench.artifacts
    scratch = artifacts.scratch()
    try:
        with trial.bench.engines.open({}, (scratch,)) as engine:
            types = trial.columns.get(step) or _types_of(rows)
            engine.save(_relation(rows, types), scratch)
        written = artifacts.admit(scratch)
    finally:
        artifacts.discard(scratch)
    return DatasetVersion(
        dataset=f"{trial.spec.pipeline}.{step}",
        fingerprint=written.fingerprint,
        rows=written.rows,
        bytes=written.bytes,
    )


def _differences(trial: Trial, step: str, version: DatasetVersion, rows: Rows) -> list[RowsDiffer]:
    path = trial.bench.artifacts.lend(version)
    with trial.bench.engines.open({"made": path}) as engine:
        types = engine.columns("from made")
        names = list(dict.fromkeys(name for row in rows for name in row)) or list(types)
        wanted = {name: types[name] for name in names if name in types}
        if len(wanted) < len(names):
            lost = ", ".join(f"`{name}`" for name in names if name not in types)
            error = StepError(code="case_column", message=f"`{step}` has no column {lost}")
            raise StepBroken(error)
        made = f"select {_compared(wanted)} from made"
        expected = f"select {_compared(wanted)} from ({_relation(rows, wanted)})"
        missing = engine.rows(_minus(expected, made, wanted))
        unexpected = engine.rows(_minus(made, expected, wanted))
    if not missing and not unexpected:
        return []
    return [
        RowsDiffer(
            step=step,
            columns=tuple(wanted),
            missing=_told(missing),
            unexpected=_told(unexpected),
        )
    ]


def _minus(one: str, other: str, types: Mapping[str, str]) -> str:
    texts = ", ".join(f"{quoted(name)}::varchar" for name in types)
    rest = f"({one}) except all ({other}) order by all limit {rows_told_max}"
    return f"select {texts} from ({rest})"


def _compared(types: Mapping[str, str]) -> str:
    return ", ".join(
        f"round({quoted(name)}, {fraction_digits}) as {quoted(name)}"
        if type_.startswith(_FRACTIONS)
        else quoted(name)
        for name, type_ in types.items()
    )


def _relation(rows: Rows, types: Mapping[str, str]) -> str:
    if not rows:
        empty = ", ".join(f"cast(null as {t}) as {quoted(name)}" for name, t in types.items())
        return f"select {empty} where false"
    values = ", ".join(
        "(" + ", ".join(_value(row.get(name), type_) for name, type_ in types.items()) + ")"
        for row in rows
    )
    return f"select * from (values {values}) as given({listed(list(types))})"


def _value(cell: Cell, type_: str) -> str:
    match cell:
        case None:
            text = "null"
        case bool():
            text = "true" if cell else "false"
        case str():
            text = literal(cell)
        case _:
            text = repr(cell)
    return f"cast({text} as {type_})"


def _types_of(rows: Rows) -> dict[str, str]:
    """Types of a step whose columns show only in a run, from the first value of each column."""
    types: dict[str, str] = {}
    for row in rows:
        for name, cell in row.items():
            if types.get(name) in (None, "VARCHAR") and cell is not None:
                types[name] = _TYPES[type(cell)]
            types.setdefault(name, "VARCHAR")
    return types or {"nothing": "VARCHAR"}


_TYPES: Mapping[type, str] = {bool: "BOOLEAN", int: "BIGINT", float: "DOUBLE", str: "VARCHAR"}


def _told(rows: Sequence[tuple[object, ...]]) -> tuple[tuple[str | None, ...], ...]:
    return tuple(tuple(None if cell is None else str(cell) for cell in row) for row in rows)
