# ruff: noqa: S608  # names and literals go through `commands.steps.sql`
"""What lost rows have in common: the keys that found no match, and the column that tells most."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from commands.steps.counting import Counting
from commands.steps.job import JobInput
from commands.steps.sql import literal, quoted
from commands.steps.tally import InputCount, RowLoss
from domain.run.ledger import LostRows, LostValue, lost_text_max, lost_values_max

LOST = quoted("headwater lost")
"""Table with the numbers of the rows that were lost."""

thorough_rows_max = 2_000_000
"""Rows of an input whose every column is looked at for a mere warning: a second of work."""
columns_tried_max = 64
"""Columns that are asked whether they tell lost rows from others."""
_telling_min = 0.2
"""How far a column's values must lead from what holds of all rows (0) to lost rows alone (1)."""
_NOT_TOLD_BY = ("DOUBLE", "FLOAT", "BLOB", "STRUCT", "MAP", "UNION", "BIT", "JSON", "VARIANT")
_ROW = quoted("headwater row")
_MOST = quoted("headwater most lost")
_SHOWN = quoted("headwater shown")
_LOST_ROWS = quoted("headwater lost rows")
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


def told(counting: Counting, one: JobInput, count: InputCount, unmatched: int, fails: bool) -> Told:
    """Say what became of the rows in the table `LOST`. `fails`: whether they fail the step."""
    loss, rows = _greatest(counting, count.losses, unmatched)
    found: list[LostRows] = []
    if loss.is_optional and not fails:
        return Told(loss.words, rows, loss.fix, loss.is_optional, ())
    path = one.path
    thorough = fails or one.version.rows <= thorough_rows_max
    if loss.keys:
        keys = count.lost_by or loss.keys
        found.append(_by(counting, path, keys, is_at_hand=bool(count.lost_by)))
    if thorough:
        share = unmatched / max(one.version.rows, 1)
        if (telling := _telling(counting, path, loss.keys, (unmatched, share))) is not None:
            found.append(telling)
    return Told(loss.words, rows, loss.fix, loss.is_optional, tuple(found))


def _greatest(counting: Counting, losses: Sequence[RowLoss], unmatched: int) -> tuple[RowLoss, int]:
    """What took most of the lost rows, as far as each can be asked alone."""
    if len(losses) == 1:
        return losses[0], unmatched
    best = RowLoss(words="did not get into the result", is_optional=_all_optional(losses))
    most = 0
    for loss in losses:
        if not loss.missed:
            continue
        both = f"select count(*) from {LOST} semi join ({loss.missed}) using ({_ROW})"
        (rows,) = counting.numbers(both)
        if rows > most:
            best, most = loss, rows
    return best, most or unmatched


def _all_optional(losses: Sequence[RowLoss]) -> bool:
    return all(loss.is_optional for loss in losses)


def _by(
    counting: Counting, path: str, columns: Sequence[str], *, is_at_hand: bool = False
) -> LostRows:
    """Lost rows by the values of columns. `is_at_hand`: the table `LOST` holds these as well."""
    names = [quoted(column) for column in columns]
    shown = names[0] if len(names) == 1 else f"concat_ws(', ', {', '.join(names)})"
    keys = ", ".join(names)
    file = f"read_parquet({literal(path)}, file_row_number = true)"
    source = f"{file} as f semi join {LOST} as l on f.file_row_number = l.{_ROW}"
    if is_at_hand:
        source = LOST
    counting.rows(
        f"""create or replace temp table {_MOST} as select
            *, left({shown}::varchar, {lost_text_max}) as {_SHOWN}, count(*) over () as {_DISTINCT}
        from (
            select {keys}, count(*) as {_LOST_ROWS}
            from {source}
            group by {keys}
        )
        order by {_LOST_ROWS} desc, {_SHOWN} limit {lost_values_max}
        """
    )
    same = " and ".join(f"f.{name} is not distinct from m.{name}" for name in names)
    rows = counting.rows(
        f"""
        select any_value(m.{_SHOWN}), any_value(m.{_LOST_ROWS}), count(*), any_value(m.{_DISTINCT})
        from {file} as f join {_MOST} as m on {same} group by {", ".join(f"m.{n}" for n in names)}
        order by 2 desc, 1
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
