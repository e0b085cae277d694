# ruff: noqa: S608  # names and literals go through `commands.steps.sql`
"""What lost rows have in common: the keys that found no match, and the column that tells most."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from commands.steps.counting import Counting
from commands.steps.sql import listed, literal, quoted
from commands.steps.tally import LOST_ROWS, InputCount, RowLoss
from domain.run.ledger import InputLedger, LostRows, LostValue, lost_text_max, lost_values_max

thorough_rows_max = 2_000_000
"""Rows of an input whose every column is looked at for a mere warning: a second of work."""
columns_tried_max = 64
"""Columns that are asked whether they tell lost rows from others."""
_telling_min = 0.2
"""How far a column's values must lead from what holds of all rows (0) to lost rows alone (1)."""
_NOT_TOLD_BY = ("DOUBLE", "FLOAT", "BLOB", "STRUCT", "MAP", "UNION", "BIT", "JSON", "VARIANT")
_ROW = quoted("headwater row")
_LOST = quoted("headwater lost")
"""Table with the numbers of the rows that were lost."""
_LOST_KEYS = quoted("headwater lost keys")
"""Table with how many rows of which keys were lost."""
_SHOWN = quoted("headwater shown")
_ALL_ROWS = quoted("headwater all rows")
_DISTINCT = quoted("headwater distinct")


@dataclass(frozen=True, slots=True)
class Told:
    """Why rows were lost."""

    words: str
    """To be read behind `N of M rows of INPUT`."""
    rows: int
    """How many of the lost rows that was."""
    fix: str
    is_optional: bool
    """Whether an outer join said that these rows are not the ones it keeps."""
    lost: tuple[LostRows, ...]


def lost(counting: Counting, count: InputCount) -> int:
    """Count the rows that were lost, by their keys where these are all that decides."""
    if count.lost_keys:
        for statement in count.lost_prepare:
            counting.rows(statement)
        counting.rows(f"create or replace temp table {_LOST_KEYS} as {count.lost_keys}")
        return counting.numbers(f"select coalesce(sum({LOST_ROWS}), 0) from {_LOST_KEYS}")[0]
    _number(counting, count)
    return counting.numbers(f"select count(*) from {_LOST}")[0]


def told(counting: Counting, path: str, count: InputCount, entry: InputLedger, fails: bool) -> Told:
    """Say what became of the rows that `lost` counted. `fails`: whether they fail the step."""
    rows_in, unmatched = entry.rows_in or 0, entry.unmatched or 0
    thorough = fails or rows_in <= thorough_rows_max
    if count.lost_keys and (thorough or len(count.losses) > 1):
        _number(counting, count)
    loss, rows = _greatest(counting, count.losses, unmatched)
    found: list[LostRows] = []
    if loss.is_optional and not fails:
        return Told(loss.words, rows, loss.fix, loss.is_optional, ())
    if loss.keys:
        every = LOST_ROWS if not entry.filtered else "null"
        source = f"(select *, {every} as {_ALL_ROWS} from {_LOST_KEYS})" if count.lost_by else ""
        found.append(_by(counting, path, count.lost_by or loss.keys, source))
    if thorough:
        share = unmatched / max(rows_in, 1)
        if (telling := _telling(counting, path, loss.keys, (unmatched, share))) is not None:
            found.append(telling)
    return Told(loss.words, rows, loss.fix, loss.is_optional, tuple(found))


def _number(counting: Counting, count: InputCount) -> None:
    counting.rows(f"create or replace temp table {_LOST} as {count.lost}")


def _greatest(counting: Counting, losses: Sequence[RowLoss], unmatched: int) -> tuple[RowLoss, int]:
    """What took most of the lost rows, as far as each can be asked alone."""
    if len(losses) == 1:
        return losses[0], unmatched
    best = RowLoss(words="did not get into the result", is_optional=_all_optional(losses))
    most = 0
    for loss in losses:
        if not loss.missed:
            continue
        both = f"select count(*) from {_LOST} semi join ({loss.missed}) using ({_ROW})"
        (rows,) = counting.numbers(both)
        if rows > most:
            best, most = loss, rows
    return best, most or unmatched


def _all_optional(losses: Sequence[RowLoss]) -> bool:
    return all(loss.is_optional for loss in losses)


def _by(counting: Counting, path: str, columns: Sequence[str], source: str = "") -> LostRows:
    """Lost rows by the values of columns. `source` has them counted; empty: they are numbered."""
    keys = listed(columns)
    shown = keys if len(columns) == 1 else f"concat_ws(', ', {keys})"
    file = f"read_parquet({literal(path)}, file_row_number = true) as f"
    numbered = (
        f"(select {keys}, count(*) as {LOST_ROWS}, null as {_ALL_ROWS}"
        f" from {file} semi join {_LOST} as l on f.file_row_number = l.{_ROW} group by {keys})"
    )
    names = [quoted(column) for column in columns]
    same = " and ".join(f"f.{name} is not distinct from m.{name}" for name in names)
    rows = counting.rows(
        f"""
        with most as materialized (
            select {keys}, {LOST_ROWS}, {_ALL_ROWS}, count(*) over () as {_DISTINCT},
                left({shown}::varchar, {lost_text_max}) as {_SHOWN}
            from {source or numbered}
            order by {LOST_ROWS} desc, {_SHOWN} limit {lost_values_max}
        ), every as (
            select {", ".join(f"m.{name}" for name in names)}, count(*) as {_ROW}
            from {file} join (from most where {_ALL_ROWS} is null) as m on {same} group by all
        )
        select {_SHOWN}, {LOST_ROWS}, coalesce({_ALL_ROWS}, f.{_ROW}), {_DISTINCT}
        from most as m left join every as f on {same}
        order by {LOST_ROWS} desc, {_SHOWN}
        """
    )
    values = tuple(
        LostValue(value=None if value is None else str(value), rows=_int(lost), of=_int(of))
        for value, lost, of, _ in rows
    )
    return LostRows(columns=tuple(columns), values=values, distinct=_int(rows[0][3]) if rows else 0)


def _telling(
    counting: Counting, path: str, keys: Sequence[str], lost: tuple[int, float]
) -> LostRows | None:
    """The column of which a few values hold most of the lost rows and few others."""
    unmatched, share = lost
    best: LostRows | None = None
    highest = share + (1 - share) * _telling_min
    for column in _candidates(counting, path, keys):
        found = _by(counting, path, [column])
        told_by = sum(one.rows * (one.rows - 1) / max((one.of or 0) - 1, 1) for one in found.values)
        if told_by / unmatched > highest:
            best, highest = found, told_by / unmatched
    return best


def _candidates(counting: Counting, path: str, keys: Sequence[str]) -> Iterator[str]:
    columns = counting.columns(f"from read_parquet({literal(path)})") or {}
    for name, kind in [*columns.items()][:columns_tried_max]:
        if name.lower() in keys:
            continue
        if not kind.startswith(_NOT_TOLD_BY) and not kind.endswith("]"):
            yield name


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0
