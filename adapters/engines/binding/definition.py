"""Binding: a definition held against its data before anything runs.

Every step is bound in the order of the pipeline against empty tables of the columns that the steps
before it give, in a DuckDB that can reach nothing. Nothing of the user's is executed.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from adapters.engines.binding.cases import case_problems
from adapters.engines.binding.contracts import Contracts, declared, read_contracts
from adapters.engines.binding.functions import function_problems
from adapters.engines.binding.keeping import unknown_promises
from adapters.engines.binding.rulereading import RuleReading
from adapters.engines.binding.rules import sql_problem
from adapters.engines.binding.schemas import StepSchemas
from adapters.engines.binding.sniffing import sniff
from adapters.engines.sql.queries import tables_of
from adapters.engines.tables import SqlRefused, empty_tables
from adapters.paths import confined
from commands.ports import Bound
from commands.steps.ports import ContractReader
from domain.errors import Malformed
from domain.pipeline.connections import has_reference
from domain.pipeline.events import Definition
from domain.pipeline.names import did_you_mean
from domain.pipeline.params import Param, fill, places
from domain.pipeline.planning import plan
from domain.pipeline.problems import InvalidSpec, Problem, rejection
from domain.pipeline.shape import joined
from domain.pipeline.sources import Source
from domain.pipeline.spec import PipelineSpec, bundle_hash, decode_spec, encode_spec
from domain.pipeline.steps import Ingest, Step, Store, Transform, inputs_of
from domain.run.events import PlannedStep
from domain.run.plan import Circle


def bind(
    spec: Mapping[str, object],
    files: Mapping[str, str],
    root: str,
    roots: Sequence[str],
    contracts: ContractReader,
) -> Bound:
    """The definition with sniffed types and the inputs of queries written in, and its plan.

    `roots` are the folders that paths may lead into; `root` must lie in one of them itself, and is
    the first of them where it is not given. Raises `Rejection` with code `invalid_pipeline` and
    every problem that could be found.
    """
    root = root or next(iter(roots), "")
    try:
        decoded = decode_spec(spec)
    except InvalidSpec as error:
        raise rejection(error.problems) from error
    binding = _Binding(decoded, files, root, roots)
    bound, planned = binding.bound(contracts)
    encoded = encode_spec(bound)
    return Bound(
        definition=Definition(
            bundle=bundle_hash(encoded, files), spec=Raw(encoded), files=dict(files), root=root
        ),
        plan=planned,
        parallel=bound.parallel,
        warnings=tuple(binding.warnings),
    )


class _Binding:
    """One definition on its way; `problems` and `warnings` grow."""

    def __init__(
        self, spec: PipelineSpec, files: Mapping[str, str], root: str, roots: Sequence[str]
    ) -> None:
        self.warnings: list[str] = []
        self._spec = spec
        self._files = files
        self._root = root
        self._roots = roots
        self._ids = [step.id for step in spec.steps]
        self._problems: list[Problem] = []
        self._written: dict[Path, str] = {}
        self._read: dict[Path, str] = {}
        self._contracts: Contracts = {}

    def bound(self, read: ContractReader) -> tuple[PipelineSpec, tuple[PlannedStep, ...]]:
        """The spec with everything pinned, and the plan. Raises `Rejection`."""
        self._in_roots()
        self._problems += _misplaced(self._files)
        self._contracts = read_contracts(self._spec, self._files, read, self._problems)
        sources = {name: self._source(name, one) for name, one in self._spec.sources.items()}
        rules = RuleReading(self._ids, self._problems, self._no_step)
        steps = tuple(rules.read(self._with_inputs(step)) for step in self._spec.steps)
        spec = replace(self._spec, sources=sources, steps=steps)
        for step in steps:
            self._problems += self._references(step)
        planned = () if self._problems else self._planned(spec)
        if planned:
            by_id = {step.id: step for step in steps}
            with empty_tables(spec.params) as engine:
                schemas = StepSchemas(spec, self._files, engine, self._problems, self.warnings)
                schemas.contracts = self._contracts
                ordered = [by_id[one.id] for one in planned]
                for step in ordered:
                    schemas.add(step)
            self._problems += case_problems(spec.tests, ordered, spec.params, schemas.known)
        if self._problems:
            raise rejection(self._problems)
        self._unused(spec)
        return spec, planned

    def _say(self, path: str, error: Malformed) -> None:
        self._problems.append(Problem(path=path, message=error.message, hint=error.hint))

    def _in_roots(self) -> None:
        try:
            folder = confined(".", self._root, self._roots)
        except Malformed:
            message = f"the folder {self._root!r} is not one that pipelines may work in"
            hint = "allowed: " + (", ".join(dict.fromkeys(self._roots)) or "none")
            self._problems.append(Problem(path="", message=message, hint=hint))
            return
        if not folder.is_dir():
            message = f"there is no folder {self._root!r}"
            self._problems.append(Problem(path="", message=message))

    def _source(self, name: str, source: Source) -> Source:
        path = joined("sources", name)
        told = declared(source, self._contracts, joined(path, "contract"), self._problems)
        if told is None:
            return source
        source = told
        file = self._path(source.path, joined(path, "path"))
        if file is None:
            return source
        if isinstance(file, str):
            if not source.columns:
                message = f"its path needs the param `{file}`, which has no default"
                hint = "declare `columns:`, or give the param a default"
                self._problems.append(Problem(path=path, message=message, hint=hint))
            return replace(source, sniffed={})
        self._read.setdefault(file, name)
        try:
            types = sniff(source, file)
        except Malformed as error:
            given = "contract" if source.contract else "columns"
            key = given if source.columns and file.exists() else "path"
            self._say(joined(path, key), error)
            return source
        extra = {name: type_ for name, type_ in types.items() if name not in source.columns}
        return replace(source, sniffed=extra)

    def _path(self, text: str, path: str) -> Path | str | None:
        """The file meant; the name of a param that only a run will give; None after a problem."""
        params = self._spec.params
        if has_reference(text):
            hint = "use a param: `${name}`"
            message = "only connections of headwater.toml may refer to the environment or to files"
            self._problems.append(Problem(path=path, message=message, hint=hint))
            return None
        for name in places(text):
            if name not in params:
                hint = did_you_mean(name, [*params]) or "declare it in `params:`"
                message = f"there is no param `{name}`"
                self._problems.append(Problem(path=path, message=message, hint=hint))
                return None
        values = {name: param.default for name, param in params.items() if _has_default(param)}
        missing = next((name for name in places(text) if name not in values), None)
        if missing is not None:
            return missing
        filled = fill(text, values)  # type: ignore[arg-type] # those without a default are out
        if any(one in filled for one in "*?["):
            message = f"{filled!r} is a pattern, not a file"
            hint = "a path names one file so far"
            self._problems.append(Problem(path=path, message=message, hint=hint))
            return None
        try:
            return confined(filled, self._root, self._roots)
        except Malformed as error:
            self._say(path, error)
            return None

    def _with_inputs(self, step: Step) -> Step:
        """The step, with what its query reads written into `inputs`."""
        if not isinstance(step, Transform):
            return step
        given = step.aliases
        if step.python:
            return replace(step, input="", inputs=given)
        sql, path = self._sql(step)
        if sql is None:
            return replace(step, input="", inputs=given)
        try:
            read = tables_of(sql)
        except Malformed as error:
            self._say(path, error)
            return replace(step, input="", inputs=given)
        if read is None and not given:
            self._unreadable(sql, path)
        for name in read or ():
            if given and name not in given:
                shown = ", ".join(given)
                message = f"the query reads `{name}`, which is not among its inputs ({shown})"
                hint = "add it to `inputs`, or drop `inputs`: the query says what it reads"
                self._problems.append(Problem(path=path, message=message, hint=hint))
            elif not given and name not in self._ids:
                self._problems.append(self._no_step(name, path))
        found = given or {name: name for name in read or () if name in self._ids}
        return replace(step, input="", inputs=found)

    def _unreadable(self, sql: str, path: str) -> None:
        try:
            with empty_tables(self._spec.params) as engine:
                engine.check_syntax(sql)
        except SqlRefused as error:
            self._problems.append(sql_problem(error, path))
            return
        message = "what this query reads cannot be told from its text"
        hint = "name it: `inputs: [STEP, …]`"
        self._problems.append(Problem(path=path, message=message, hint=hint))

    def _sql(self, step: Transform) -> tuple[str | None, str]:
        base = joined("steps", step.id)
        if step.sql:
            return step.sql, joined(base, "sql")
        path = joined(base, "sql_file")
        if step.sql_file in self._files:
            return self._files[step.sql_file], path
        hint = "send its text in `files`"
        message = f"the text of {step.sql_file} is missing"
        self._problems.append(Problem(path=path, message=message, hint=hint))
        return None, path

    def _references(self, step: Step) -> Iterator[Problem]:
        base = joined("steps", step.id)
        match step:
            case Ingest(source=source) if source not in self._spec.sources:
                hint = did_you_mean(source, [*self._spec.sources])
                message = f"there is no source `{source}`"
                yield Problem(path=joined(base, "source"), message=message, hint=hint)
            case Transform(python=python) if python:
                yield from function_problems(step, self._files, joined(base, "python"))
            case Store(sink=sink):
                yield from self._destination(step.id, sink.path, joined(base, "sink.path"))
            case _:
                pass
        if isinstance(step, Transform):
            yield from unknown_promises(step)
        for alias, source in inputs_of(step).items():
            if source in self._ids:
                continue
            key = "inputs" if isinstance(step, Transform) else "input"
            at = joined(base, key)
            yield self._no_step(source, joined(at, alias) if alias != source else at)

    def _destination(self, id_: str, text: str, path: str) -> Iterator[Problem]:
        file = self._path(text, path)
        if isinstance(file, Path) and self._written.setdefault(file, id_) != id_:
            message = f"step `{self._written[file]}` writes to {text} already"
            yield Problem(path=path, message=message, hint="give each store step its own file")
        if isinstance(file, Path) and file in self._read:
            source = self._read[file]
            self.warnings.append(f"step `{id_}` writes to {text}, which source `{source}` reads")

    def _no_step(self, name: str, path: str) -> Problem:
        hint = did_you_mean(name, self._ids)
        message = f"there is no step `{name}`"
        if name in self._spec.sources:
            message += ", it is a source"
            readers = [
                step.id
                for step in self._spec.steps
                if isinstance(step, Ingest) and step.source == name
            ]
            hint = "read the step that ingests it: " + (", ".join(readers) or "there is none yet")
        return Problem(path=path, message=message, hint=hint)

    def _planned(self, spec: PipelineSpec) -> tuple[PlannedStep, ...]:
        try:
            return plan(spec)
        except Circle as error:
            hint = "a step can only read steps that do not need it"
            path = joined("steps", error.steps[0])
            self._problems.append(Problem(path=path, message=str(error), hint=hint))
            return ()

    def _unused(self, spec: PipelineSpec) -> None:
        used = {step.source for step in spec.steps if isinstance(step, Ingest)}
        self.warnings += [
            f"source `{name}` is used by no step" for name in spec.sources if name not in used
        ]
        texts = msgspec.json.encode([encode_spec(spec).decode(), dict(self._files)]).decode()
        python = any(isinstance(step, Transform) and step.python for step in spec.steps)
        self.warnings += [
            f"param `{name}` is used nowhere"
            for name in spec.params
            if not python and f"${name}" not in texts and f"${{{name}}}" not in texts
        ]


def _misplaced(files: Iterable[str]) -> Iterator[Problem]:
    """Modules that would not lie in the bundle."""
    for name in files:
        path = PurePosixPath(name)
        if name.endswith(".py") and (path.is_absolute() or ".." in path.parts or "\0" in name):
            message = f"{name!r} leads outside the bundle"
            hint = "name files by their paths relative to `root`, without `..`"
            yield Problem(path=joined("files", name), message=message, hint=hint)


def _has_default(param: Param) -> bool:
    return not isinstance(param.default, msgspec.UnsetType)
