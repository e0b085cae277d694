"""Hidden columns behind those of a query, put into its own text: what is written down of a query is
what its author wrote, never our rendering of it."""

from collections.abc import Mapping

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

from adapters.engines.sql.queries import DIALECT, parsed
from adapters.engines.sql.relations import parsed_expression
from commands.steps.sql import quoted


def with_hidden(sql: str, hidden: Mapping[str, str]) -> str:
    """The query with more columns, name → expression, behind its own; empty where there is no
    sure place for them."""
    tree = parsed(sql)
    if not isinstance(tree, exp.Select) or not hidden:
        return ""
    try:
        at = _end_of_list(sql)
    except SqlglotError:
        return ""
    if at is None:
        return ""
    more = ", ".join(f"{text} as {quoted(name)}" for name, text in hidden.items())
    made = f"{sql[:at]}, {more} {sql[at:]}".strip().removesuffix(";")
    wanted = tree.copy()
    for name, text in hidden.items():
        value = parsed_expression(text)
        wanted.append("expressions", exp.alias_(value, exp.to_identifier(name, quoted=True)))
    return made if parsed(made) == wanted else ""


def _end_of_list(sql: str) -> int | None:
    """The place in the text of the `from` behind the outermost select list."""
    depth, found = 0, None
    before: Token | None = None
    is_selected = False
    for token in Dialect.get_or_raise(DIALECT).tokenize(sql):
        match token.token_type:
            case TokenType.L_PAREN | TokenType.L_BRACKET | TokenType.L_BRACE:
                depth += 1
            case TokenType.R_PAREN | TokenType.R_BRACKET | TokenType.R_BRACE:
                depth -= 1
            case TokenType.SELECT if depth == 0:
                is_selected = True
            case TokenType.FROM if depth == 0 and is_selected and found is None:
                if before is None or before.token_type in (TokenType.DISTINCT, TokenType.COMMA):
                    before = token
                    continue
                found = token.start
            case _:
                pass
        before = token
    return found
