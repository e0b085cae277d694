"""Column lineage: which column of an input each column of a step is made from."""

from collections.abc import Mapping

from sqlglot import exp
from sqlglot.errors import SqlglotError

from adapters.engines.lineage.origins import Origins, traced
from adapters.engines.sql.queries import parsed
from domain.data.lineage import ColumnEdge
from domain.pipeline.rules import (
    Cast,
    Deduplicate,
    DropNulls,
    Fill,
    KeepRows,
    Map,
    Rename,
    Trim,
    orderings,
)
from domain.pipeline.steps import Check, Clean, Ingest, Step, Store, Transform, Validate

Schemas = Mapping[str, Mapping[str, str]]
"""Input's name in the step → its columns: name → type."""

edges_max = 20_000
"""Edges of one step. Above it only the direct ones are told, and above it again none."""


def trace_columns(step: Step, schemas_of_inputs: Schemas, sql: str = "") -> tuple[ColumnEdge, ...]:
    """Column edges of a step whose inputs have these columns; none where they cannot be told.

    `sql` is the text of a transform's `sql_file`. For an ingest the input is the source. A check
    makes no columns of its own.
    """
    match step:
        case Ingest() | Store() | Validate():
            return _bounded(
                {
                    column: Origins(direct=frozenset([(name, column)]))
                    for name, columns in schemas_of_inputs.items()
                    for column in columns
                }
            )
        case Clean(input=source):
            return _bounded(_cleaned(step, schemas_of_inputs[source]))
        case Transform() if not step.python and (step.sql or sql):
            found = edges(step.sql or sql, schemas_of_inputs)
            steps = step.aliases
            return tuple(
                ColumnEdge(
                    steps.get(one.source, one.source), one.source_column, one.column, one.kind
                )
                for one in found
            )
        case Transform() | Check():
            return ()


def edges(sql: str, schemas: Schemas) -> tuple[ColumnEdge, ...]:
    """Column edges of a query over tables with these columns; none where they cannot be told."""
    return _bounded(traced(sql, schemas))


def _bounded(origins: Mapping[str, Origins]) -> tuple[ColumnEdge, ...]:
    direct = [
        ColumnEdge(source, name, column)
        for column, one in origins.items()
        for source, name in one.direct
    ]
    if len(direct) > edges_max:
        return ()
    counted = len(direct) + sum(len(one.indirect - one.direct) for one in origins.values())
    if counted > edges_max:
        return tuple(sorted(direct))
    indirect = [
        ColumnEdge(source, name, column, "indirect")
        for column, one in origins.items()
        for source, name in one.indirect - one.direct
    ]
    return tuple(sorted([*direct, *indirect]))


def _cleaned(step: Clean, columns: Mapping[str, str]) -> dict[str, Origins]:
    """Each column comes from one; what the rules look at decides which rows there are."""
    came_from = {name: name for name in columns}
    looked_at: set[str] = set()
    for rule in step.rules:
        match rule:
            case DropNulls(drop_nulls=names):
                looked_at |= {came_from[name] for name in names if name in came_from}
            case Deduplicate():
                names = (*rule.deduplicate, *(one.column for one in orderings(rule.order_by)))
                looked_at |= {came_from[name] for name in names if name in came_from}
            case KeepRows(keep_rows=condition):
                looked_at |= {came_from[name] for name in _columns_in(condition, came_from)}
            case Rename(rename=names):
                came_from = {names.get(name, name): old for name, old in came_from.items()}
            case Cast() | Trim() | Fill() | Map():
                pass
    indirect = frozenset((step.input, name) for name in looked_at)
    return {
        name: Origins(direct=frozenset([(step.input, old)]), indirect=indirect)
        for name, old in came_from.items()
    }


def _columns_in(condition: str, known: Mapping[str, str]) -> set[str]:
    spelled = {name.lower(): name for name in known}
    try:
        tree = parsed(f"select ({condition}\n) as it")
    except SqlglotError:
        return set()
    found = tree.find_all(exp.Column) if tree is not None else ()
    return {spelled[one.name.lower()] for one in found if one.name.lower() in spelled}
