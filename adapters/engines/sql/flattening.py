"""A query with its `with` clauses written out in place, so that each part of it stands alone."""

from collections.abc import Mapping

from sqlglot import exp


class Unprovable(Exception):
    """What became of a query's rows cannot be told; its words say which construct stands there."""


def flattened(query: exp.Query) -> exp.Query:
    """A copy of the query without any `with`. Raises `Unprovable`."""
    root = exp.Subquery(this=query.copy())
    _write_out(root, {})
    found = root.this
    if not isinstance(found, exp.Query):
        raise Unprovable(f"a {found.key}")
    return found


def _write_out(node: exp.Expr, named: Mapping[str, exp.Query]) -> None:
    clause = node.args.get("with_")
    if isinstance(clause, exp.With):
        named = _with_names(clause, named)
        node.set("with_", None)
    for child in list(node.iter_expressions()):
        _write_out(child, named)
    if isinstance(node, exp.Select):
        _lift_joins(node)
    if isinstance(node, exp.Table) and not node.args.get("db"):
        body = named.get(node.name.lower())
        if body is not None:
            alias = node.args.get("alias") or exp.TableAlias(this=node.this.copy())
            node.replace(exp.Subquery(this=body.copy(), alias=alias.copy()))


def _with_names(clause: exp.With, named: Mapping[str, exp.Query]) -> dict[str, exp.Query]:
    if clause.args.get("recursive"):
        raise Unprovable("`with recursive`")
    found = dict(named)
    for entry in clause.expressions:
        body = entry.this
        if not isinstance(body, exp.Query):
            raise Unprovable("a `with` that holds no query")
        if entry.args["alias"].columns:
            raise Unprovable("columns renamed behind the name of a `with`")
        holder = exp.Subquery(this=body)
        _write_out(holder, found)
        found[entry.alias_or_name.lower()] = holder.this
    return found


def _lift_joins(select: exp.Select) -> None:
    """`from a join b` without a `select` keeps its joins inside the table; the others beside it."""
    source = select.args.get("from_")
    table = source.this if source is not None else None
    if isinstance(table, exp.Table) and table.args.get("joins"):
        inner = table.args["joins"]
        table.set("joins", None)
        select.set("joins", [*inner, *(select.args.get("joins") or [])])
