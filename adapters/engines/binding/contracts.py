"""Contracts bound against the columns that they will meet: names, types, terms."""

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from adapters.engines.duckdb import DuckEngine
from adapters.engines.tables import EmptyTables
from commands.steps.ports import ContractReader, StepBroken
from commands.steps.sql import named_type, quoted
from commands.steps.terms import Relation, judged
from domain.data.contract import Contract, fits
from domain.data.dataset import ColumnType
from domain.data.term import Query, describe
from domain.pipeline.contracts import InvalidContract, place_of
from domain.pipeline.names import did_you_mean
from domain.pipeline.problems import Problem
from domain.pipeline.shape import joined
from domain.pipeline.sources import Source, WrittenColumn
from domain.pipeline.spec import PipelineSpec
from domain.pipeline.steps import Validate

Contracts = Mapping[str, Contract]
"""As the pipeline file names them → what they say."""


def read_contracts(
    spec: PipelineSpec,
    files: Mapping[str, str],
    read: ContractReader,
    problems: list[Problem],
) -> Contracts:
    """Every contract that the spec names; what is wrong with one is added to `problems`, once."""
    found: dict[str, Contract] = {}
    seen: set[str] = set()
    for path, named in _named(spec):
        if named in seen:
            continue
        seen.add(named)
        file, table = place_of(named)
        if file not in files:
            hint = "send its text in `files`"
            message = f"the text of {file} is missing"
            problems.append(Problem(path=path, message=message, hint=hint))
            continue
        try:
            found[named] = read(file, table, files[file])
        except InvalidContract as error:
            problems += [
                Problem(path=path, message=f"{one.path}: {one.message}", hint=one.hint)
                for one in error.problems
            ]
    return found


def declared(
    source: Source, contracts: Contracts, path: str, problems: list[Problem]
) -> Source | None:
    """The source with the columns of its contract; None after a problem."""
    if not source.contract:
        return source
    contract = contracts.get(source.contract)
    if contract is None:
        return None
    columns: dict[str, ColumnType | WrittenColumn] = {}
    for column in contract.columns:
        if column.type is None and column.logical is not None:
            message = (
                f"{contract.place(column.line)}: `{column.name}` is of type {column.logical}, "
                "and a source reads plain values only"
            )
            hint = "drop `contract` here, and hold the data against it in a step"
            problems.append(Problem(path=path, message=message, hint=hint))
            return None
        columns[column.name] = column.type or "string"
    if source.columns and source.declared != columns:
        message = "`columns` differ from those of the contract"
        hint = "drop `columns`: the contract declares them"
        at = joined(path.rpartition(".")[0], "columns")
        problems.append(Problem(path=at, message=message, hint=hint))
        return None
    return replace(source, columns={**columns, **source.columns})


def contract_problems(
    step: Validate, contract: Contract, columns: dict[str, str], engine: EmptyTables
) -> Iterator[Problem]:
    """Columns that are missing or of another type, and terms that cannot be evaluated."""
    path = joined(joined("steps", step.id), "contract")
    found = list(_columns(step, contract, columns, path))
    yield from found or _terms(contract, columns, engine, path)


def _named(spec: PipelineSpec) -> Iterator[tuple[str, str]]:
    for name, source in spec.sources.items():
        if source.contract:
            yield joined(joined("sources", name), "contract"), source.contract
    for step in spec.steps:
        if isinstance(step, Validate):
            yield joined(joined("steps", step.id), "contract"), step.contract


def _columns(
    step: Validate, contract: Contract, columns: dict[str, str], path: str
) -> Iterator[Problem]:
    for column in contract.columns:
        place = contract.place(column.line)
        have = columns.get(column.name)
        if have is None:
            hint = did_you_mean(column.name, [*columns])
            message = f"{place}: `{step.input}` has no column `{column.name}`"
            yield Problem(path=path, message=message, hint=hint)
        elif not fits(column, have):
            message = (
                f"{place}: `{column.name}` is {column.logical} in the contract and "
                f"{named_type(have)} in `{step.input}`"
            )
            hint = "read the source with `contract:`, cast the column before, or mend the contract"
            yield Problem(path=path, message=message, hint=hint)


def _terms(
    contract: Contract, columns: dict[str, str], engine: EmptyTables, path: str
) -> Iterator[Problem]:
    # The very queries that a run will ask, on no rows: what is refused now would be refused then.
    connection = engine.with_tables({contract.table: columns})
    relation = Relation(source=quoted(contract.table), columns=columns)
    bound = DuckEngine(connection)
    try:
        judged(bound, contract, relation)
        return
    except StepBroken as error:
        whole = error
    told = False
    for term in contract.terms:
        try:
            judged(bound, replace(contract, terms=(term,)), relation)
        except StepBroken as error:
            told = True
            place = f"{contract.place(term.line)}: {describe(term)}"
            hint = error.hint
            if isinstance(term, Query):
                hint = hint or f"the query sees the data as `{contract.table}`"
            yield Problem(path=path, message=f"{place}: {error.message}", hint=hint)
    if not told:
        yield Problem(path=path, message=f"{contract.file}: {whole.message}", hint=whole.hint)
