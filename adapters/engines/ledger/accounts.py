# ruff: noqa: S608  # names and literals go through `commands.steps.sql`
"""How the rows of a query's inputs are counted: statements for the step's own engine."""

from collections.abc import Collection, Mapping, Sequence

from sqlglot import exp
from sqlglot.errors import SqlglotError

from adapters.engines.ledger.hidden import with_hidden
from adapters.engines.ledger.lookups import lookup_in
from adapters.engines.ledger.provenance import Weaver
from adapters.engines.ledger.stars import KEPT, ROWS, Star
from adapters.engines.ledger.steadiness import is_count_steady
from adapters.engines.sql.blocks import Asked
from adapters.engines.sql.conditions import Loss
from adapters.engines.sql.flattening import Unprovable, flattened
from adapters.engines.sql.queries import DIALECT, parsed
from adapters.engines.sql.relations import Carried, Relation
from adapters.engines.sql.vocabulary import volatile_in
from commands.steps.sql import literal, quoted
from commands.steps.tally import (
    ColumnsOf,
    CountedFile,
    InputCount,
    QueryCount,
    RowLoss,
)

_CARRIED = quoted("headwater carried")
_ROW = quoted("headwater row")
_bits_max = 1 << 31
"""Rows of an input whose numbers are gathered in a bitmap, which then takes 256 MiB."""
_NOT_UNDERSTOOD = (SqlglotError, RecursionError, KeyError, IndexError, ValueError, AttributeError)


def counted(
    sql: str,
    inputs: Mapping[str, CountedFile],
    columns_of: ColumnsOf,
    promised: Collection[str] = (),
    *,
    is_quick: bool = False,
) -> QueryCount:
    """How to count what becomes of the rows of a query's inputs. `promised` are inputs about whose
    rows the step promises something. `is_quick`: without doing the query again, where that can be
    done; the statements then hold only if `unique` says so."""
    tree = parsed(sql)
    try:
        if tree is None:
            raise Unprovable("text that cannot be taken apart")
        if word := volatile_in(tree):
            raise Unprovable(f"`{word}()`, which answers anew each time")
        query = _Query(sql, tree, inputs, columns_of)
        quick = query.quick({name.lower() for name in promised}) if is_quick else None
        return quick or query.thorough()
    except Unprovable as reason:
        return QueryCount(unproven=str(reason))
    except _NOT_UNDERSTOOD:
        return QueryCount(unproven="a construct that is not understood")


class _Query:
    """A query that is taken apart, and its inputs by their names in small letters."""

    def __init__(
        self, sql: str, tree: exp.Query, inputs: Mapping[str, CountedFile], columns_of: ColumnsOf
    ) -> None:
        self._sql = sql
        self._tree = tree
        self._flat = flattened(tree)
        self._names = {name.lower(): name for name in inputs}
        self._inputs = {name.lower(): file for name, file in inputs.items()}
        self._columns_of = columns_of
        self._asked = _asked(columns_of)

    def quick(self, promised: Collection[str]) -> QueryCount | None:
        """Counting without doing it again; None where that cannot be done."""
        paths = {name: file.path for name, file in self._inputs.items()}
        found = lookup_in(self._flat, paths, self._asked, frozenset(promised))
        if found is None:
            return None
        star, losses = found
        kept = KEPT if star.drops else ""
        made = ""
        if star.is_grouped:
            is_distinct = self._tree.args.get("distinct") is not None
            made = self._made(star.hidden, kept=kept, is_distinct=is_distinct)
            if not made:
                return None
        counted_ones = star.inputs
        ways = [self._looked_up(star, place, losses[n]) for place, n in enumerate(counted_ones)]
        ways += [
            InputCount(name=self._names[name], is_looked_at=True)
            for name in self._inputs
            if name not in counted_ones
        ]
        hidden = (*star.hidden, *([kept] if kept else []))
        return QueryCount(
            is_quick=True,
            unique=star.unique(),
            inputs=tuple(ways),
            made=made,
            hidden=hidden,
            kept=kept,
        )

    def thorough(self) -> QueryCount:
        """Counting by the numbers of the rows, whatever the query does with them."""
        paths = {name: file.path for name, file in self._inputs.items()}
        weaver = Weaver(paths, self._asked)
        relation = weaver.woven(self._flat, is_root=True)
        fixed = [(quoted(name), part) for name, part in weaver.fixed]
        if relation.flat is None:
            fixed.append((_CARRIED, relation.carrying))
        hidden = {ROWS: "count(*)"}
        made = self._made(hidden) if relation.flat is not None and not relation.yields else ""
        return QueryCount(
            prepare=tuple(
                f"create or replace temp table {name} as {_text(part)}" for name, part in fixed
            ),
            results=_results(relation),
            carried=_CARRIED if relation.flat is None else "",
            is_steady=is_count_steady(self._tree),
            inputs=tuple(
                _input(self._names[name], file, relation) for name, file in self._inputs.items()
            ),
            made=made,
            hidden=tuple(hidden) if made else (),
        )

    def _made(self, hidden: Mapping[str, str], *, kept: str = "", is_distinct: bool = False) -> str:
        """The query with hidden columns; empty where columns are not the same in a table as in a
        file."""
        columns = self._columns_of(self._sql)
        if columns is None or len({one.lower() for one in columns}) < len(self._tree.named_selects):
            return ""
        if any("NULL" in type_ for type_ in columns.values()):
            return ""
        return with_hidden(self._sql, self._tree, hidden, kept=kept, is_distinct=is_distinct)

    def _looked_up(self, star: Star, place: int, losses: Sequence[Loss]) -> InputCount:
        name = star.inputs[place]
        path = self._inputs[name].path
        keys = "" if place else star.lost_keys(self._inputs)
        return InputCount(
            name=self._names[name],
            prepare=star.prepare(place, self._inputs),
            prepare_by_keys=star.prepare_by_keys(place, self._inputs),
            reached=star.reached(place),
            filtered=star.filtered(place),
            lost=star.lost(place, path),
            lost_prepare=() if place else star.gather_keys(self._inputs),
            lost_keys=keys,
            lost_by=star.lost_by() if keys else (),
            losses=tuple(_loss(one) for one in losses),
        )


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
    return InputCount(
        name=name,
        reached=f"select count({_ROW}), {_distinct(file.rows)} from ({reaching})",
        filtered=_filtered(mine, file, passing),
        lost=f"select distinct {_ROW} from ({passing}) anti join ({reaching}) using ({_ROW})"
        if _may_lose(mine)
        else "",
        losses=tuple(_loss(one) for each in mine for one in each.losses),
    )


def _filtered(mine: Sequence[Carried], file: CountedFile, passing: str) -> str:
    if any(one.is_whole for one in mine):
        return ""
    if len(mine) == 1 and mine[0].removed:
        return mine[0].removed
    scan = f"read_parquet({literal(file.path)}, file_row_number = true)"
    every = f"select file_row_number as {_ROW} from {scan}"
    return f"select count(*) from ({every}) anti join ({passing}) using ({_ROW})"


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
