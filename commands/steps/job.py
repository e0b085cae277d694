"""One step with all it needs at hand: its words, its inputs' files, its params, its workbench."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from commands.steps.fingerprint import CODE_VERSION, Identity, code_hash, definition_of, key_of
from commands.steps.ports import Engine, Kept, SqlValue, Workbench, Written, broken
from commands.steps.work import StepWork
from domain.data.dataset import DatasetVersion, OuterDataset
from domain.data.lineage import ColumnEdge
from domain.data.promise import Strictness
from domain.data.rowmap import Origin, RowMap
from domain.errors import Defect
from domain.pipeline.params import fill
from domain.pipeline.spec import PipelineSpec
from domain.pipeline.steps import (
    Clean,
    Step,
    Transform,
    Validate,
    inputs_of,
    kind_of,
    lookups_of,
    named_by_rules,
    sets_apart,
)
from domain.run.events import ParamValue, StepOutcome
from domain.run.ledger import InputLedger

_large_rows_min = 100_000
"""Rows of an input from which on what is made of it counts as large."""

_ASKED = re.compile(r"\$([a-z][a-z0-9_]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobInput:
    """An input under the name that the step gives it."""

    name: str
    version: DatasetVersion
    path: str
    origin: Origin | None = None
    """The file that its rows come from one by one."""

    @property
    def is_large(self) -> bool:
        """Whether it has so many rows that how a file of them is encoded takes its time."""
        return self.version.rows >= _large_rows_min


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a step kind's own work came to."""

    outcome: StepOutcome
    edges: tuple[ColumnEdge, ...] = ()


def replace_outcome(made: Made, outcome: StepOutcome) -> Made:
    """The same with another outcome."""
    return Made(outcome=outcome, edges=made.edges)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a step kind works on."""

    work: StepWork
    spec: PipelineSpec
    step: Step
    files: Mapping[str, str]
    bench: Workbench
    inputs: tuple[JobInput, ...] = field(default=())
    lookups: tuple[JobInput, ...] = field(default=())
    """Steps that only rules look at, by their ids."""
    _keys: dict[tuple[object, ...], str] = field(default_factory=dict, init=False)

    @property
    def dataset(self) -> str:
        """The name of what the step makes."""
        return f"{self.work.pipeline}.{self.work.step}"

    def only_input(self) -> JobInput:
        """The input of a step that has one."""
        return self.inputs[0]

    @property
    def query(self) -> str:
        """The text of a transform's query, wherever it is kept."""
        if not isinstance(self.step, Transform):
            return ""
        return self.files[self.step.sql_file] if self.step.sql_file else self.step.sql

    @property
    def strictness(self) -> Strictness:
        """What rows without a match mean where nothing is promised."""
        own = self.step.ledger if isinstance(self.step, Transform) else None
        return own or self.spec.ledger

    def filled(self, text: str) -> str:
        """A text of the pipeline file with its `${param}` filled in."""
        return fill(text, self.work.params)

    def values(self, engine: Engine, query: str) -> dict[str, SqlValue]:
        """The values of the params that a query asks for."""
        return {name: self._value(name) for name in engine.params(query)}

    def key(self, outside: OuterDataset | None = None, more: Sequence[str] = ()) -> str:
        """The key of the step's outcome; `outside` is what it reads there, or where it writes, and
        `more` whatever else the outcome comes from."""
        asked = (outside and (outside.name, outside.fingerprint), *more)
        if asked not in self._keys:
            self._keys[asked] = self._key(outside, more)
        return self._keys[asked]

    def _key(self, outside: OuterDataset | None, more: Sequence[str]) -> str:
        words = definition_of(self.step, self.spec, self.files)
        params = self._params_used(words)
        if self.query:
            # A comment says nothing, and neither does the place where a query is kept.
            words = {name: said for name, said in words.items() if name not in ("sql", "sql_file")}
            words["query"] = self.bench.engines.outline(self.query).text
            words["ledger"] = self.strictness
        if isinstance(self.step, Clean):
            words["followed"] = self.is_followed
        identity = Identity(
            pipeline=self.work.pipeline,
            step=self.work.step,
            kind=kind_of(self.step),
            code_version=CODE_VERSION,
            definition=words,
            params=params,
            code=code_hash(self.files) if _is_python(self.step) else "",
            engine=self._engine_version(),
            timezone=self.bench.timezone,
            inputs={
                **{one.name: one.version.fingerprint for one in self.inputs},
                **{f"checks {one.name}": one.version.fingerprint for one in self.lookups},
            },
            outside=[*((outside.name, outside.fingerprint) if outside else ()), *more],
        )
        return key_of(identity)

    @property
    def is_followed(self) -> bool:
        """Whether a step that sets rows apart will ask where rows of this one's input stand."""
        if not self.inputs or self.inputs[0].origin is None:
            return False
        behind: dict[str, list[Validate | Clean]] = {}
        for one in self.spec.steps:
            if isinstance(one, Validate | Clean):
                behind.setdefault(one.input, []).append(one)
        stack = [self.step.id]
        while stack:
            for one in behind.get(stack.pop(), ()):
                if sets_apart(one):
                    return True
                stack.append(one.id)
        return False

    @property
    def uses_run_time(self) -> bool:
        """Whether the moment at which the run began is among its params."""
        return "run_time" in self._params_used(definition_of(self.step, self.spec, self.files))

    @property
    def rule_rows(self) -> dict[str, str]:
        """Other steps that rules name → the file of their rows."""
        names = inputs_of(self.step)
        known = {names[one.name]: one.path for one in self.inputs}
        known |= {one.name: one.path for one in self.lookups}
        return {step: known[step] for step in named_by_rules(self.step)}

    @property
    def rule_files(self) -> tuple[str, ...]:
        """These files."""
        return tuple(self.rule_rows.values())

    def looked_at(self) -> tuple[InputLedger, ...]:
        """Ledger entries of the steps that only rules look at."""
        return tuple(
            InputLedger(
                dataset=one.version.dataset,
                fingerprint=one.version.fingerprint,
                rows_in=one.version.rows,
                looked_at=True,
            )
            for one in self.lookups
        )

    def output(self, written: Written, part: str = "") -> DatasetVersion:
        """The dataset version that a written file is; `part` names one beside the output."""
        return DatasetVersion(
            dataset=f"{self.dataset}.{part}" if part else self.dataset,
            fingerprint=written.fingerprint,
            rows=written.rows,
            bytes=written.bytes,
        )

    def gaps(self, scratch: str) -> RowMap | None:
        """The row map of an output that lacks the rows of the input whose numbers are written to
        this file; None where the input's rows come from no file."""
        if self.only_input().origin is None:
            return None
        return RowMap(gaps=self.output(self.bench.artifacts.admit(scratch), "gaps"))

    def edges(self, schemas: Mapping[str, Mapping[str, str]]) -> tuple[ColumnEdge, ...]:
        """Column edges of the step, given its inputs' columns."""
        return self.bench.tracer.trace(self.step, schemas, self.query)

    def is_own(self, kept: Kept) -> bool:
        """Whether an outcome is this step's in this run."""
        return kept.run == self.work.run and kept.step == self.work.step

    def _engine_version(self) -> str:
        bench = self.bench
        return bench.functions.version if _is_python(self.step) else bench.engines.version

    def _value(self, name: str) -> SqlValue:
        if name == "run_time":
            return self.work.run_time
        if name not in self.work.params:
            raise broken("sql_error", f"there is no param `{name}`", hint="declare it in `params:`")
        value = self.work.params[name]
        param = self.spec.params.get(name)
        if param is None or not isinstance(value, str):
            return value
        match param.type:
            case "date":
                return date.fromisoformat(value)
            case "timestamp":
                return datetime.fromisoformat(value)
            case "string" | "integer" | "number" | "boolean":
                return value

    def _params_used(self, words: Mapping[str, object]) -> dict[str, ParamValue]:
        if _is_python(self.step):
            return dict(self.work.params)
        asked = {name for text in _texts(words) for name in _ASKED.findall(text.replace("{", ""))}
        used: dict[str, ParamValue] = {
            name: value for name, value in self.work.params.items() if name in asked
        }
        if "run_time" in asked:
            used["run_time"] = self.work.run_time.astimezone(UTC).isoformat()
        return used


def inputs_for(work: StepWork, step: Step, bench: Workbench) -> tuple[JobInput, ...]:
    """The step's inputs in the order in which it names them, each held against its file."""
    return _found(work, inputs_of(step), bench)


def lookups_for(work: StepWork, step: Step, bench: Workbench) -> tuple[JobInput, ...]:
    """The steps that only its rules look at, each held against its file."""
    return _found(work, {name: name for name in lookups_of(step)}, bench)


def _found(work: StepWork, wanted: Mapping[str, str], bench: Workbench) -> tuple[JobInput, ...]:
    given = {one.step: one for one in work.inputs}
    found = []
    for name, source in wanted.items():
        if source not in given:
            raise Defect(f"step {work.step} was claimed without its input {source}")
        one = given[source]
        path = bench.artifacts.lend(one.version)
        found.append(JobInput(name=name, version=one.version, path=path, origin=one.origin))
    return tuple(found)


def account(
    one: JobInput,
    *,
    reached: int | None,
    filtered: int | None,
    quarantined: int = 0,
    proven: bool = True,
) -> InputLedger:
    """The ledger of one input. Its recorded rows were held against the file's footer already."""
    known = 0 if proven else None
    return InputLedger(
        dataset=one.version.dataset,
        fingerprint=one.version.fingerprint,
        rows_in=one.version.rows,
        reached=reached,
        filtered=filtered,
        unmatched=known,
        duplicated=known,
        quarantined=quarantined if proven else None,
    )


def _is_python(step: Step) -> bool:
    return isinstance(step, Transform) and bool(step.python)


def _texts(value: object) -> list[str]:
    match value:
        case str():
            return [value]
        case dict():
            return [text for inner in value.values() for text in _texts(inner)]
        case list() | tuple():
            return [text for inner in value for text in _texts(inner)]
    return []
