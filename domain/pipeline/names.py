"""Names that people give: pipelines, steps, params, sources."""

import re
from difflib import get_close_matches

NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")

_words = """
    all analyse analyze and anti any array as asc asof asymmetric at authorization binary both by
    case cast check collate collation column concurrently constraint create cross default
    deferrable desc describe distinct do else end except false fetch for foreign freeze from full
    glob group having ilike in initially inner intersect into is isnull join lambda lateral leading
    left like limit natural not notnull null offset on only or order outer overlaps pivot
    pivot_longer pivot_wider placing positional primary qualify recursive references returning
    right select semi set show similar some summarize symmetric table tablesample then to trailing
    true union unique unpack unpivot update using values variadic verbose when where window with
"""
RESERVED = frozenset(_words.split())
"""Words of SQL that cannot stand as a table's name without quotes."""


def name_problem(name: str) -> tuple[str, str] | None:
    """What is wrong with `name`, and what to do; None for a good one."""
    if name in RESERVED:
        return f"{name!r} is a reserved word of SQL", f"take another name, such as `{name}_rows`"
    if NAME.fullmatch(name) is None:
        return (
            f"{name!r} is no name",
            "a name is a small letter, then small letters, digits and _ (63 at most)",
        )
    return None


def did_you_mean(word: str, known: list[str] | tuple[str, ...]) -> str:
    """The known words nearest to `word`, as a hint; what is known where none is near."""
    near = get_close_matches(word, known, n=3, cutoff=0.6)
    if near:
        return "did you mean " + " or ".join(f"`{one}`" for one in near) + "?"
    if not known:
        return ""
    shown = ", ".join(known[:20]) + (", …" if len(known) > 20 else "")
    return f"known here: {shown}"
