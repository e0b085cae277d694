"""Words of SQL: names in quotes, literals, types. The only place where they are put together."""

from collections.abc import Mapping, Sequence

_TYPES = {
    "string": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "decimal": "DECIMAL(38, 9)",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "time": "TIME",
    "timestamp": "TIMESTAMP",
    "timestamptz": "TIMESTAMP WITH TIME ZONE",
}
_INTEGERS = frozenset({"BIGINT", "INTEGER", "SMALLINT", "TINYINT", "HUGEINT"})
_FRACTIONS = ("DOUBLE", "FLOAT", "DECIMAL")
_TEMPORAL = ("DATE", "TIME", "TIMESTAMP")


_WRITTEN = {
    "date": "2013-12-31",
    "timestamp": "2013-12-31 23:59:59",
    "timestamptz": "2013-12-31 23:59:59Z",
}
"""Types whose values can be written in many ways, and the way that is read without a format."""


def is_written(type_: str) -> bool:
    """Whether values of a `ColumnType` can be written in many ways."""
    return type_ in _WRITTEN


def said_type(type_: str, format_: str | None = None) -> str:
    """A column's type in words, with how a date or a time is to be written."""
    written = format_ or _WRITTEN.get(type_)
    return f"{type_} such as {written}" if written else type_


def quoted(name: str) -> str:
    """A name as SQL reads it, whatever it holds."""
    return '"' + name.replace('"', '""') + '"'


def listed(names: Sequence[str]) -> str:
    """Names, quoted, with commas between."""
    return ", ".join(quoted(name) for name in names)


def literal(text: str) -> str:
    """Text as a SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def sql_type(type_: str) -> str:
    """The engine's type for a `ColumnType`; what is none is in the engine's words already."""
    return _TYPES.get(type_, type_)


def named_type(engine_type: str) -> str:
    """The `ColumnType` by which people know an engine's type; the engine's own word where none
    fits."""
    if engine_type in _INTEGERS:
        return "integer"
    for name, known in _TYPES.items():
        if engine_type == known:
            return name
    for start, name in (("FLOAT", "number"), ("DECIMAL", "decimal"), ("TIMESTAMP_", "timestamp")):
        if engine_type.startswith(start):
            return name
    return engine_type.lower()


def is_temporal(engine_type: str) -> bool:
    """Whether the engine's type is a date or a time."""
    return engine_type.startswith(_TEMPORAL)


def is_integer(engine_type: str) -> bool:
    """Whether the engine's type is of whole numbers."""
    return engine_type in _INTEGERS


def careful_cast(column: str, have: str, want: str) -> str:
    """`column` as the type `want`, null where that cannot be said without losing a fraction.

    The engine alone would make 2 of '1.5' where an integer is wanted.
    """
    name = quoted(column)
    cast = f"try_cast({name} as {want})"
    if want not in _INTEGERS:
        return cast
    if have == "VARCHAR":
        whole = f"try_cast({name} as double) = {cast}"
        return f"case when not contains({name}, '.') or {whole} then {cast} end"
    if have.startswith(_FRACTIONS):
        return f"case when {name} = trunc({name}) then {cast} end"
    return cast


def text_cast(column: str, type_: str, format_: str | None = None) -> str:
    """A text as the type that was declared for it, null where that cannot be said without loss.

    The engine alone cuts a time off a date, and takes a year of two digits for one of antiquity.
    """
    want, name = sql_type(type_), quoted(column)
    if format_ is not None:
        return f"cast(try_strptime({name}, {literal(format_)}) as {want})"
    if want == "DATE":
        day = f"trim({name})"
        is_whole = f"length({day}) <= 10 and {day}[5] in ('-', '/')"
        return f"case when {is_whole} then try_cast({name} as date) end"
    if want.startswith("TIMESTAMP"):
        return f"case when {name}[5] in ('-', '/') then try_cast({name} as {want}) end"
    return careful_cast(column, "VARCHAR", want)


def fitting_cast(column: str, type_: str, format_: str | None = None) -> str:
    """A text that is known to fit its type, as that type."""
    name = quoted(column)
    text = name if format_ is None else f"strptime({name}, {literal(format_)})"
    return f"cast({text} as {sql_type(type_)})"


def required_cast(column: str, type_: str, format_: str | None = None) -> str:
    """A text as its type; what cannot be said in it is an error that ends the query."""
    name = quoted(column)
    refusal = f"case when {name} is not null then error('misfit') end"
    return f"coalesce({text_cast(column, type_, format_)}, {refusal})"


def misfit(wrong: Mapping[str, str], types: Mapping[str, str]) -> str:
    """SQL: why a row does not fit, told by its first wrong value; null where all of it fits.

    `wrong` has for each column what is true where its value is no `types[column]`.
    """
    if not wrong:
        return "null::varchar"
    cases = [
        f"when {test} then {literal(f'column `{name}`: ')} || {shown_value(name)} "
        f"|| {literal(f' is no {types[name]}')}"
        for name, test in wrong.items()
    ]
    return f"case {' '.join(cases)} end"


def shown_value(name: str) -> str:
    """SQL: a value as a person sees where it begins and ends; a long one is cut."""
    return f"'''' || left(cast({quoted(name)} as varchar), 80) || ''''"
