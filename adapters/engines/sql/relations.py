"""Parts of a query that yield rows, and the tree nodes that they are written with."""

import sqlglot
from msgspec import Struct
from sqlglot import exp

from adapters.engines.sql.conditions import Loss, Seen
from adapters.engines.sql.queries import DIALECT


class Carried(Seen, frozen=True, kw_only=True):
    """One input's rows on their way through a part of a query."""

    column: str
    """Hidden column with the row's number, or the list of them."""
    is_list: bool = False
    passing: exp.Query
    """What conditions on this input alone leave: `column`, and what is made from it alone."""
    passes_lists: bool = False
    """Whether `column` holds lists there."""
    is_alone: bool = False
    """Whether nothing but this input decides: what passes is what comes out."""
    losses: tuple[Loss, ...] = ()
    """What else can take rows away."""
    is_whole: bool = True
    """Whether every row passes."""
    removed: str = ""
    """Gives how many do not, without their numbers; empty where that cannot be asked so."""


class Relation(Struct, frozen=True, kw_only=True):
    """A part of a query that yields rows."""

    carrying: exp.Query
    """The same rows in the same columns, and the hidden columns behind them."""
    carried: tuple[Carried, ...]
    flat: exp.Query | None
    """Only the hidden columns, a row for each way in which rows reach the result; None where that
    takes more than leaving out what comes after."""
    yields: bool
    """Whether `flat` has as many rows as the part itself."""


def aliased(relation: Relation, alias: str) -> exp.Subquery:
    """A relation with its hidden columns, in brackets, under a name."""
    return exp.Subquery(this=relation.carrying.copy(), alias=alias_of(alias))


def alias_of(name: str) -> exp.TableAlias | None:
    """A name for a source; None for an empty one."""
    return exp.TableAlias(this=exp.to_identifier(name, quoted=True)) if name else None


def column_of(name: str) -> exp.Column:
    """A column by its name, whatever that holds."""
    return exp.column(exp.to_identifier(name, quoted=True))


def parsed_select(text: str) -> exp.Select:
    """A SELECT of ours as a tree."""
    tree = sqlglot.parse_one(text, dialect=DIALECT)
    if not isinstance(tree, exp.Select):
        raise ValueError(text)
    return tree


def parsed_expression(text: str) -> exp.Expr:
    """An expression of ours as a tree."""
    return sqlglot.parse_one(text, dialect=DIALECT)


def only_table(tree: exp.Select) -> exp.Expr:
    """The place of a SELECT's only source."""
    return next(iter(tree.find_all(exp.Table)))
