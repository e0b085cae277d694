"""How the rows of a query's inputs are counted: the statements, and who writes them."""

from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from msgspec import Struct

from commands.steps.sql import quoted

ColumnsOf = Callable[[str], Mapping[str, str] | None]
"""Name → type of a query's columns; None where the engine refuses it."""


MADE = quoted("headwater made")
"""Table in which a query's rows stand before they are written, with hidden columns that count; or,
where it needs none, what was written."""
LOST_ROWS = quoted("headwater lost rows")
"""Column: how many rows with a key were lost."""


class CountedFile(Struct, frozen=True, kw_only=True):
    """A file of a step's input, and how many rows are recorded of it."""

    path: str
    rows: int


class RowLoss(Struct, frozen=True, kw_only=True):
    """Something in a query that can take rows of an input away for want of another's."""

    words: str
    """What becomes of the rows, to be read behind their number."""
    fix: str = ""
    keys: tuple[str, ...] = ()
    """Columns of the input that a join compares."""
    is_optional: bool = False
    """Whether an outer join says that these rows are not what it keeps."""
    missed: str = ""
    """Gives the numbers of the rows that this alone takes; empty where it cannot be asked alone."""


class InputCount(Struct, frozen=True, kw_only=True):
    """Statements that count what becomes of one input's rows, each for itself."""

    name: str
    prepare: tuple[str, ...] = ()
    """Statements that come first, in order."""
    prepare_by_keys: tuple[str, ...] = ()
    """Instead of these, where the `lost_prepare` of an input before it was executed."""
    reached: str = ""
    """Gives how often rows reach the result, null where that is not counted, and how many different
    rows do."""
    filtered: str = ""
    """Gives how many rows conditions on this input alone remove; empty where there are none."""
    lost: str = ""
    """Gives the numbers of the rows that something else removed; empty where nothing else can."""
    lost_prepare: tuple[str, ...] = ()
    """Statements that come before `lost_keys`."""
    lost_keys: str = ""
    """Gives the keys of these rows and `LOST_ROWS`: all rows with such a key that no condition on
    the input alone removes. Empty where several things take rows away."""
    lost_by: tuple[str, ...] = ()
    """The columns that are these keys; none where no key decides."""
    losses: tuple[RowLoss, ...] = ()
    is_looked_at: bool = False
    """Whether its rows only decide about others', so that none of them goes into the result."""


class QueryCount(Struct, frozen=True, kw_only=True):
    """How to count what becomes of the rows of a query's inputs."""

    unproven: str = ""
    """The construct that makes it impossible; the rest is empty then."""
    prepare: tuple[str, ...] = ()
    """Statements that come first, in order."""
    results: str = ""
    """Gives how many rows the query makes; empty where that is not counted."""
    carried: str = ""
    """A table of the query's own rows with hidden columns behind them; empty without one."""
    is_steady: bool = True
    """Whether the same data always gives as many rows, whatever the order of its ties."""
    inputs: tuple[InputCount, ...] = ()
    made: str = ""
    """The query with hidden columns behind its own, to be made as the table `MADE` before its own
    are written; empty where it is written as it stands."""
    hidden: tuple[str, ...] = ()
    """Names of these columns."""
    kept: str = ""
    """The one of them that says which rows of the table are the query's; empty: all are."""
    is_quick: bool = False
    """Whether the query is not done again: what was written is `MADE` where it was not made."""
    unique: str = ""
    """Gives 0 if the statements hold; empty where they do in any case."""


class Accountant(Protocol):
    """Tells how the rows of a query's inputs can be counted."""

    def counts(
        self,
        sql: str,
        inputs: Mapping[str, CountedFile],
        columns: ColumnsOf,
        promised: Collection[str] = (),
        *,
        is_quick: bool = False,
    ) -> QueryCount:
        """Statements for an engine in which each input stands under its name. `promised` are inputs
        about whose rows the step promises something. `is_quick`: such as need not do the query
        again, where there are any; they hold only if `unique` says so."""
        ...
