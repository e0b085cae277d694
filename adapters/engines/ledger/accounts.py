# ruff: noqa: S608  # names and literals go through `commands.steps.sql`
"""How the rows of a query's inputs are counted: statements for the step's own engine."""

from collections.abc import Collection, Mapping, Sequence

from msgspec.structs import replace
from sqlglot import exp
from sqlglot.errors import SqlglotError

from adapters.engines.ledger.hidden import with_hidden
from adapters.engines.ledger.provenance import Weaver
from adapters.engines.ledger.stars import ROWS, Star
from adapters.engines.ledger.steadiness import is_count_steady
from adapters.engines.sql.blocks import Asked
from adapters.engines.sql.conditions import Loss
from adapters.engines.sql.flattening import Unprovable, flattened
from adapters.engines.sql.queries import DIALECT, parsed
from adapters.engines.sql.relations import Carried, Relation
from adapters.engines.sql.vocabulary import volatile_in
from commands.steps.sql import literal, quoted
from commands.steps.tally import (
    MADE,
    ColumnsOf,
    CountedFile,
    InputCount,
    QueryCount,
    QuickCount,
    RowLoss,
)

_CARRIED = quoted("headwater carried")
_LOST = "headwater lost"
_ROW = quoted("headwater row")
_bits_max = 1 << 31
"""Rows of an input whose numbers are gathered in a bitmap, which then takes 256 MiB."""
_NOT_UNDERSTOOD = (SqlglotError, RecursionError, KeyError, IndexError, ValueError, AttributeError)


def counted(
    sql: str,
    inputs: Mapping[str, CountedFile],
    columns_of: ColumnsOf,
    promised: Collection[str] = (),
) -> QueryCount:
    """How to count what becomes of the rows of a query's inputs. `promised` are inputs about whose
    rows the step promises something."""
    try:
        return _counted(sql, inputs, columns_of, {name.lower() for name in promised})
    except Unprovable as reason:
        return QueryCount(unproven=str(reason))
    except _NOT_UNDERSTOOD:
        return QueryCount(unproven="a construct that is not understood")


def _counted(
    sql: str, inputs: Mapping[str, CountedFile], columns_of: ColumnsOf, promised: Collection[str]
) -> QueryCount:
    tree = parsed(sql)
    if tree is None:
        raise Unprovable("text that cannot be taken apart")
    if word := volatile_in(tree):
        raise Unprovable(f"`{word}()`, which answers anew each time")
    small = {name.lower(): file for name, file in inputs.items()}
    weaver = Weaver({name: file.path for name, file in small.items()}, _asked(columns_of))
    relation = weaver.woven(flattened(tree), is_root=True)
    fixed = [(quoted(name), part) for name, part in weaver.fixed]
    is_flat = relation.flat is not None
    if not is_flat:
        fixed.append((_CARRIED, relation.carrying))
    ways = tuple(_input(name, small[name.lower()], relation) for name in inputs)
    star = None if weaver.star is None else replace(weaver.star, promised=frozenset(promised))
    hidden = star.hidden if star is not None else {ROWS: "count(*)"}
    is_made = is_flat and not relation.yields and _is_plain(tree, columns_of(sql))
    made = with_hidden(sql, hidden) if is_made else ""
    return QueryCount(
        prepare=tuple(
            f"create or replace temp table {name} as {_text(part)}" for name, part in fixed
        ),
        results=f"select count(*) from {MADE}" if made else _results(relation),
        carried="" if is_flat else _CARRIED,
        is_steady=is_count_steady(tree),
        inputs=ways,
        made=made,
        hidden=tuple(hidden) if made else (),
        quick=_quick(star, ways, small) if star is not None and (made or relation.yields) else None,
    )


def _is_plain(tree: exp.Query, columns: Mapping[str, str] | None) -> bool:
    """Whether columns are the same in a table as in a file."""
    if columns is None or len({name.lower() for name in columns}) < len(tree.named_selects):
        return False
    return not any("NULL" in type_ for type_ in columns.values())


def _quick(star: Star, ways: Sequence[InputCount], inputs: Mapping[str, CountedFile]) -> QuickCount:
    names = [star.input, *(one.input for one in star.spokes)]
    counts = []
    for way in ways:
        name = way.name.lower()
        if name not in names:
            counts.append(way)
            continue
        place = names.index(name)
        counts.append(
            replace(
                way,
                prepare=star.prepare(place, inputs),
                reached=star.reached(place),
                filtered=star.filtered(place),
                lost=star.lost(place, inputs[name].path),
                lost_by=star.lost_by(place),
                losses=way.losses[:1] if place else way.losses,
            )
        )
    return QuickCount(unique=star.unique(), inputs=tuple(counts))


def _asked(columns_of: ColumnsOf) -> Asked:
    known: dict[str, Mapping[str, str] | None] = {}

    def asked(query: str) -> Mapping[str, str]:
        if query not in known:
            known[query] = columns_of(query)
        found = known[query]
        if found is None:
            raise Unprovable("a part that does not stand alone")
        return found

    return asked


def _results(relation: Relation) -> str:
    if relation.flat is None:
        return f"select count(*) from {_CARRIED}"
    return f"select count(*) from ({_text(relation.flat)})" if relation.yields else ""


def _input(name: str, file: CountedFile, relation: Relation) -> InputCount:
    mine = [one for one in relation.carried if one.input == name.lower()]
    if not mine:
        return InputCount(name=name, is_looked_at=True)
    reaching = " union all ".join(_rows_of(one, relation) for one in mine)
    passing = " union all ".join(_passing(one, relation) for one in mine)
    scan = f"read_parquet({literal(file.path)}, file_row_number = true)"
    every = f"select file_row_number as {_ROW} from {scan}"
    return InputCount(
        name=name,
        reached=f"select count({_ROW}), {_distinct(file.rows)} from ({reaching})",
        filtered=""
        if any(one.is_whole for one in mine)
        else f"select count(*) from ({every}) anti join ({passing}) using ({_ROW})",
        lost=f"select distinct {_ROW} from ({passing}) anti join ({reaching}) using ({_ROW})"
        if _may_lose(mine)
        else "",
        is_fanned=relation.is_fanned,
        losses=tuple(_loss(one) for each in mine for one in each.losses),
    )


def _loss(loss: Loss) -> RowLoss:
    missed = "" if loss.missed is None else f"select #1 as {_ROW} from ({_text(loss.missed)})"
    return RowLoss(
        words=loss.words,
        fix=loss.fix,
        keys=loss.keys,
        is_optional=loss.is_optional,
        missed=missed,
    )


def _may_lose(mine: Sequence[Carried]) -> bool:
    return any(one.losses for one in mine)


def _rows_of(one: Carried, relation: Relation) -> str:
    if relation.flat is not None:
        return _unfolded(one.column, f"({_text(relation.flat)})", is_list=False)
    return _unfolded(one.column, _CARRIED, is_list=one.is_list)


def _passing(one: Carried, relation: Relation) -> str:
    if one.is_alone and relation.flat is None:
        return _rows_of(one, relation)
    return _unfolded(one.column, f"({_text(one.passing)})", is_list=one.passes_lists)


def _unfolded(column: str, source: str, *, is_list: bool) -> str:
    value = f"unnest({quoted(column)})" if is_list else quoted(column)
    return f"select {value} as {_ROW} from {source} where {quoted(column)} is not null"


def _distinct(rows: int) -> str:
    if 0 < rows <= _bits_max:
        return f"coalesce(bit_count(bitstring_agg({_ROW}, 0, {rows - 1})), 0)"
    return f"count(distinct {_ROW})"


def _text(tree: exp.Query) -> str:
    return tree.sql(dialect=DIALECT)
