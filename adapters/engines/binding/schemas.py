"""The columns of every step, bound one after the other."""

from collections.abc import Mapping, Sequence

from adapters.engines.binding.cleaning import cleaned
from adapters.engines.binding.contracts import Contracts, contract_problems
from adapters.engines.binding.keeping import keeps_problems, unproven
from adapters.engines.binding.rules import (
    Columns,
    StepRows,
    ordered_by,
    quality_problems,
    sql_problem,
)
from adapters.engines.tables import EmptyTables, SqlRefused, empty_tables
from commands.steps.sql import sql_type
from domain.pipeline.problems import Problem
from domain.pipeline.rules import QualityRules
from domain.pipeline.shape import joined
from domain.pipeline.spec import PipelineSpec
from domain.pipeline.steps import Check, Clean, Ingest, Step, Store, Transform, Validate, inputs_of


class StepSchemas:
    """What is known so far. What is wrong is added to `problems`, what cannot be checked to
    `warnings`."""

    def __init__(
        self,
        spec: PipelineSpec,
        files: Mapping[str, str],
        engine: EmptyTables,
        problems: list[Problem],
        warnings: list[str],
    ) -> None:
        self.contracts: Contracts = {}
        """Those that steps are held against; what was bound before needs none."""
        self._spec = spec
        self._files = files
        self._engine = engine
        self._problems = problems
        self._warnings = warnings
        self._known: dict[str, Columns | None] = {}

    @property
    def known(self) -> Mapping[str, Columns | None]:
        """Step → its columns; None where they show only in a run."""
        return self._known

    def add(self, step: Step) -> None:
        """Bind a step whose inputs were added before."""
        before = len(self._problems)
        columns = self._columns(step)
        base = joined("steps", step.id)
        if columns is not None:
            self._ruled(step, step.checks, columns, joined(base, "checks"))
        elif step.checks and len(self._problems) == before:
            self._unchecked(step, "its checks")
        self._known[step.id] = columns

    def _columns(self, step: Step) -> Columns | None:
        if isinstance(step, Ingest):
            types = self._spec.sources[step.source].types
            return {
                name: self._engine.settled_type(sql_type(type_)) for name, type_ in types.items()
            }
        if isinstance(step, Transform) and step.python:
            return None
        inputs = {alias: self._known[source] for alias, source in inputs_of(step).items()}
        known = {alias: columns for alias, columns in inputs.items() if columns is not None}
        if len(known) < len(inputs):
            self._unchecked(step, "it")
            return None
        return self._bound(step, known)

    def _bound(self, step: Step, inputs: dict[str, Columns]) -> Columns | None:
        base = joined("steps", step.id)
        match step:
            case Transform():
                return self._query(step, inputs, base)
            case Clean(input=source, rules=rules):
                at = joined(base, "rules")
                return cleaned(rules, inputs[source], self._engine, at, self._problems)
            case Check(input=source, rules=rules):
                self._ruled(step, rules, inputs[source], joined(base, "rules"))
                return inputs[source]
            case Validate(input=source, contract=named):
                contract = self.contracts.get(named)
                if contract is not None:
                    columns = inputs[source]
                    self._problems += contract_problems(step, contract, columns, self._engine)
                return inputs[source]
            case Store(input=source):
                at = joined(base, "order_by")
                self._problems += ordered_by(step.order_by, inputs[source], at)
                return inputs[source]
            case Ingest():
                return None

    def _ruled(self, step: Step, rules: QualityRules, columns: Columns, at: str) -> None:
        rows = StepRows(step.id, columns, self._known)
        self._problems += quality_problems(rules, rows, self._engine, at)
        if any(rows.tables(rule) is None for rule in rules):
            self._unchecked(step, "its checks")

    def _query(self, step: Transform, inputs: dict[str, Columns], base: str) -> Columns | None:
        key = "sql" if step.sql else "sql_file"
        sql = step.sql or self._files[step.sql_file]
        try:
            columns = self._engine.columns_of(sql, inputs)
        except SqlRefused as error:
            self._problems.append(sql_problem(error, joined(base, key), step.sql_file))
            return None
        self._problems += keeps_problems(step, sql, inputs, self._engine)
        is_strict = (step.ledger or self._spec.ledger) == "strict"
        if is_strict and (reason := unproven(sql, inputs, self._engine)):
            told = f"step `{step.id}`: its ledger is strict and will be unproven: {reason}"
            self._warnings.append(told)
        return columns

    def _unchecked(self, step: Step, what: str) -> None:
        if not self._problems:
            self._warnings.append(
                f"step `{step.id}`: {what} cannot be checked before a run, because the columns of "
                "a Python step are not known"
            )


def step_columns(
    spec: PipelineSpec, steps: Sequence[Step], files: Mapping[str, str]
) -> Mapping[str, Columns | None]:
    """The columns of the steps of a bound pipeline; `steps` follow their inputs."""
    with empty_tables(spec.params) as engine:
        schemas = StepSchemas(spec, files, engine, [], [])
        for step in steps:
            schemas.add(step)
    return schemas.known
