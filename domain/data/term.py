"""Terms: what a contract demands of each row, and of all rows together."""

from typing import Literal

from msgspec import Struct

from domain.data.quality import Severity

Bound = int | float | str
Value = str | int | float | bool


class _Term(Struct, frozen=True, kw_only=True):
    line: int = 0
    """Line of the contract's file."""
    name: str = ""
    """What the contract calls it, if anything."""
    severity: Severity = "error"


class Required(_Term, frozen=True, kw_only=True):
    """The column has a value in every row; `missing` are texts that mean none."""

    column: str
    missing: tuple[str, ...] = ()


class Unique(_Term, frozen=True, kw_only=True):
    """No two rows agree in all of these columns. A row with a missing value in one of them agrees
    with no other. Of rows that agree it is the first that keeps the term."""

    columns: tuple[str, ...]


class OneOf(_Term, frozen=True, kw_only=True):
    """The column holds one of these values, or none."""

    column: str
    values: tuple[Value, ...]


class Limit(_Term, frozen=True, kw_only=True):
    """The column's value stands so to a bound; a missing one passes."""

    column: str
    operator: Literal[">=", ">", "<=", "<"]
    bound: Bound


class Length(_Term, frozen=True, kw_only=True):
    """The column's text has at least, or at most, so many characters; a missing one passes."""

    column: str
    operator: Literal[">=", "<="]
    characters: int


class Matches(_Term, frozen=True, kw_only=True):
    """A regular expression is found in the column's text; a missing one passes."""

    column: str
    pattern: str


class MultipleOf(_Term, frozen=True, kw_only=True):
    """The column's value is a whole multiple of a number; a missing one passes."""

    column: str
    factor: int | float


RowTerm = Required | Unique | OneOf | Limit | Length | Matches | MultipleOf


class Comparison(Struct, frozen=True):
    """What a measured number must be: `between` takes both ends in, `not between` neither."""

    operator: Literal["=", "<>", ">", ">=", "<", "<=", "between", "not between"]
    numbers: tuple[int | float, ...]

    def holds(self, measured: float) -> bool:
        """Whether `measured` is as it must be."""
        first, last = self.numbers[0], self.numbers[-1]
        match self.operator:
            case "=":
                return measured == first
            case "<>":
                return measured != first
            case ">":
                return measured > first
            case ">=":
                return measured >= first
            case "<":
                return measured < first
            case "<=":
                return measured <= first
            case "between":
                return first <= measured <= last
            case "not between":
                return not first <= measured <= last

    @property
    def is_none_at_all(self) -> bool:
        """Whether only 0 is as it must be, for a number that is whole and never below 0."""
        first = self.numbers[0]
        match self.operator:
            case "=" | "<=":
                return 0 <= first < 1 if self.operator == "<=" else first == 0
            case "<":
                return 0 < first <= 1
            case "between":
                return first <= 0 <= self.numbers[-1] < 1
            case _:
                return False

    def __str__(self) -> str:
        return f"{self.operator} {' and '.join(str(one) for one in self.numbers)}"


class Metric(_Term, frozen=True, kw_only=True):
    """A number of rows, or its share of all rows in percent, compared."""

    metric: Literal["nullValues", "missingValues", "invalidValues", "duplicateValues", "rowCount"]
    columns: tuple[str, ...] = ()
    values: tuple[Value, ...] = ()
    """Texts that mean a missing value, or the values that are valid."""
    pattern: str = ""
    is_percent: bool = False
    comparison: Comparison


class Query(_Term, frozen=True, kw_only=True):
    """The one number that a query gives, compared."""

    query: str
    column: str = ""
    """The column that it stands on; none for a rule of the table."""
    comparison: Comparison


WholeTerm = Metric | Query
Term = RowTerm | WholeTerm


def columns_of(term: Term) -> tuple[str, ...]:
    """The columns that a term is about."""
    match term:
        case Unique(columns=columns) | Metric(columns=columns):
            return columns
        case Query():
            return ()
        case _:
            return (term.column,)


def describe(term: Term) -> str:
    """The term in one line, such as `minimum(amount: 0)`."""
    match term:
        case Required(column=column, missing=missing):
            return f"required({column}{': not ' + _listed(missing) if missing else ''})"
        case Unique(columns=columns):
            return f"unique({', '.join(columns)})"
        case OneOf(column=column, values=values):
            return f"one_of({column}: {_listed(values)})"
        case Limit(column=column, operator=operator, bound=bound):
            return f"limit({column} {operator} {bound})"
        case Length(column=column, operator=operator, characters=characters):
            return f"length({column} {operator} {characters})"
        case Matches(column=column, pattern=pattern):
            return _cut(f"pattern({column}: {pattern})")
        case MultipleOf(column=column, factor=factor):
            return f"multiple_of({column}: {factor})"
        case Metric(metric=metric, columns=columns, comparison=comparison, is_percent=percent):
            about = f"({', '.join(columns)})" if columns else ""
            return _cut(f"{metric}{about} {comparison}{' %' if percent else ''}")
        case Query(query=query, comparison=comparison):
            return f"{_cut('sql(' + ' '.join(query.split()) + ')')} {comparison}"


_values_shown = 6
_text_chars_max = 120
"""One line of a list."""


def _listed(values: tuple[Value, ...]) -> str:
    shown = ", ".join(_cut(str(one), 30) for one in values[:_values_shown])
    return shown + (", …" if len(values) > _values_shown else "")


def _cut(text: str, chars: int = _text_chars_max) -> str:
    return text if len(text) <= chars else text[: chars - 1] + "…"
