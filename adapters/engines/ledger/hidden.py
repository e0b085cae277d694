"""Hidden columns behind those of a query, put into its own text: what is written down of a query is
what its author wrote, never our rendering of it."""

from collections.abc import Mapping

from msgspec import Struct
from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

from adapters.engines.sql.queries import DIALECT, parsed
from adapters.engines.sql.relations import parsed_expression, parsed_select
from commands.steps.sql import quoted

_OPENING = (TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE)
_CLOSING = (TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE)
_CLAUSES = (
    *(TokenType.SELECT, TokenType.DISTINCT, TokenType.FROM, TokenType.WHERE, TokenType.GROUP_BY),
    *(TokenType.HAVING, TokenType.WINDOW, TokenType.QUALIFY, TokenType.ORDER_BY),
    *(TokenType.LIMIT, TokenType.OFFSET, TokenType.SEMICOLON),
)
_ALWAYS = "count(*) >= 0"
"""Makes a condition on a group's keys one that is worked out for the group, and no key itself."""
_BY_ALL = "group by all"
_GROUPED = f"select 1 from t {_BY_ALL}"  # noqa: S608  # our own words


class _Clause(Struct, frozen=True):
    """A clause's places in the text: of its word, of what comes behind it, and of its end."""

    start: int
    body: int
    end: int


def with_hidden(
    sql: str,
    tree: exp.Query,
    hidden: Mapping[str, str],
    *,
    kept: str = "",
    is_distinct: bool = False,
) -> str:
    """The query, of which `tree` is what it says, with more columns, name → expression, behind its
    own; empty where there is no sure place for them.

    `kept` is the name of one more, which says of each group whether it meets what `having` wants;
    the groups that do not are then in the result as well. `is_distinct`: rows that are alike are
    put together by `group by all` instead of `distinct`.
    """
    if not isinstance(tree, exp.Select) or not hidden:
        return ""
    try:
        clauses = _clauses(sql)
    except SqlglotError:
        return ""
    if clauses is None:
        return ""
    more = dict(hidden)
    at = clauses[TokenType.FROM].start
    cuts = []
    if kept:
        having = clauses[TokenType.HAVING]
        more[kept] = f"(\n{sql[having.body : having.end]}\n) and {_ALWAYS}"
        cuts.append((having.start, having.end, ""))
    if is_distinct:
        distinct, last = clauses[TokenType.DISTINCT], clauses.get(TokenType.WHERE)
        end = (last or clauses[TokenType.FROM]).end
        cuts += [(distinct.start, distinct.body, ""), (end, end, f" {_BY_ALL}")]
    added = ", ".join(f"{text} as {quoted(name)}" for name, text in more.items())
    cuts.append((at, at, f", {added} "))
    made = sql
    for start, end, text in sorted(cuts, reverse=True):
        made = made[:start] + text + made[end:]
    made = made.strip().removesuffix(";")
    return made if parsed(made) == _wanted(tree, more, kept, is_distinct) else ""


def _wanted(tree: exp.Select, more: Mapping[str, str], kept: str, is_distinct: bool) -> exp.Select:
    """What the query with more columns must say."""
    wanted = tree.copy()
    for name, text in more.items():
        value = parsed_expression(text)
        if name == kept:
            value.set("this", exp.Paren(this=tree.args["having"].this.copy()))
            wanted.set("having", None)
        wanted.append("expressions", exp.alias_(value, exp.to_identifier(name, quoted=True)))
    if is_distinct:
        wanted.set("distinct", None)
        wanted.set("group", parsed_select(_GROUPED).args["group"])
    return wanted


def _clauses(sql: str) -> dict[TokenType, _Clause] | None:
    """The clauses of the outermost SELECT; None where it has no list of columns before `from`."""
    found: list[tuple[TokenType, Token, Token]] = []
    depth = 0
    before: Token | None = None
    for token in Dialect.get_or_raise(DIALECT).tokenize(sql):
        kind = token.token_type
        depth += (kind in _OPENING) - (kind in _CLOSING)
        if depth == 0 and kind in _CLAUSES and _begins(kind, before, found):
            found.append((kind, token, token))
        elif found:
            found[-1] = (*found[-1][:2], token)
        before = token
    kinds = [kind for kind, _, _ in found]
    if TokenType.FROM not in kinds or len(set(kinds)) < len(kinds):
        return None
    return {kind: _Clause(first.start, first.end + 1, last.end + 1) for kind, first, last in found}


def _begins(
    kind: TokenType, before: Token | None, found: list[tuple[TokenType, Token, Token]]
) -> bool:
    """Whether a word begins a clause: `is distinct from` holds two that do not, and what comes
    before `select` is none of its."""
    if kind is TokenType.SELECT:
        return not found
    if not found or before is None:
        return False
    if kind is TokenType.DISTINCT:
        return before.token_type is TokenType.SELECT
    if kind is TokenType.FROM:
        return before.token_type not in (TokenType.DISTINCT, TokenType.COMMA)
    return True
