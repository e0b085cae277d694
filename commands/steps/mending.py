# ruff: noqa: S608  # names and literals go through `commands.steps.sql`
"""Mending: rows of a quarantine beside what somebody made of them, told apart by their line.

A mended row has the same line as the one that it stands for. A value that was not changed stays
exactly as it was, so that a file's way of writing it cannot change it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct

from commands.steps.job import Job
from commands.steps.layers import ROW
from commands.steps.lines import PLACE, Lines
from commands.steps.ports import Engine, Mended, broken
from commands.steps.quarantine import (
    LINE,
    MISFIT,
    REASON,
    RESERVED,
    RULE,
    SOURCE,
    TEXT,
    Apart,
    set_apart,
)
from commands.steps.sql import (
    careful_cast,
    fitting_cast,
    literal,
    misfit,
    named_type,
    quoted,
    said_type,
    sql_type,
    text_cast,
)
from domain.pipeline.sources import CsvSource, Source
from domain.run.events import Redo

_TEXTS, _MISFITS, _FITTING = "texts", "misfits", "fitting"
_columns_at_once = 64
"""Columns whose values are tested in one query, whose plan takes time with the square of them."""


class Mending(Struct, frozen=True, kw_only=True):
    """A quarantine, and what was made of its rows."""

    quarantine: str
    """Its file."""
    file: str = ""
    """The mended rows' file, ours; empty where rows are tried as they are."""
    read: Mended | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """Every file of it."""
        return (self.quarantine, self.file) if self.file else (self.quarantine,)

    @property
    def where(self) -> str:
        """Where the mended rows stand."""
        return self.read.file.name if self.read else ""


@contextmanager
def mending(job: Job, redo: Redo) -> Iterator[Mending]:
    """The quarantine and the mended rows, held against each other; the latters' file is gone
    afterwards. Raises `StepBroken`."""
    artifacts = job.bench.artifacts
    quarantine = artifacts.path_of(redo.quarantine)
    if not redo.rows:
        yield Mending(quarantine=quarantine)
        return
    scratch = artifacts.scratch()
    try:
        read = job.bench.sources.mended(redo.rows, scratch)
        mended = Mending(quarantine=quarantine, file=scratch, read=read)
        with job.bench.engines.open({}, mended.files) as engine:
            hold(engine, mended, read)
        yield mended
    finally:
        artifacts.discard(scratch)


def hold(engine: Engine, mended: Mending, read: Mended) -> None:
    """Raise `StepBroken` where the mended rows are not rows of the quarantine."""
    columns = _own(engine, mended.quarantine)
    for wrong, what in (
        ([one for one in columns if one not in read.columns], "missing_column"),
        ([one for one in read.columns if one not in columns], "extra_column"),
    ):
        if wrong:
            said = "is missing" if what == "missing_column" else "is none of the quarantine's"
            message = f"column {', '.join(wrong)} {said}"
            raise broken(what, message, where=mended.where, hint=f"it has {', '.join(columns)}")
    new, old = (
        f"read_parquet({literal(mended.file)})",
        f"read_parquet({literal(mended.quarantine)})",
    )
    for asked, code, said in (
        (f"group by {LINE} having count(*) > 1", "line_twice", "is there more than once"),
        (
            f"where {LINE} not in (select {LINE} from {old})",
            "not_quarantined",
            "is no line of the quarantine",
        ),
    ):
        if found := engine.rows(f"select {LINE} from {new} {asked} order by {LINE} limit 1"):
            raise broken(
                code,
                f"{LINE} {found[0][0]} {said}",
                where=mended.where,
                hint="each mended row has the line of the quarantined row that it stands for",
            )


def sort_out(engine: Engine, source: Source, mended: Mending, files: tuple[str, str, str]) -> int:
    """Cast the rows of an ingest's quarantine anew: write the rows of the first file and those
    that fit now to the second, and the others to the third. Returns how many these are."""
    good, target, rejects = files
    columns = engine.columns(f"from read_parquet({literal(good)})")
    _hold_types(engine, source, columns, good)
    _make_texts(engine, mended)
    _make_misfits(engine, source)
    texts = f"(select * from {_TEXTS} left join {_MISFITS} using ({LINE}))"
    made = ", ".join(
        f"case when {_is_there(source, name)} then "
        f"{fitting_cast(name, source.types[name], source.formats.get(name))} end as {quoted(name)}"
        for name in columns
    )
    engine.rows(
        f"create temp table {_FITTING} as select {made} from {texts} "
        f"where {RULE} is null and {MISFIT} is null order by {LINE}"
    )
    engine.save(f"from read_parquet({literal(good)}) union all from {_FITTING}", target)
    apart = Apart(
        relation=f"(select * replace (coalesce({RULE}, case when {MISFIT} is not null then 'type' "
        f"end) as {RULE}, coalesce({REASON}, {MISFIT}) as {REASON}) from {texts})",
        columns=_own(engine, mended.quarantine),
        rule=RULE,
        reason=REASON,
        source=SOURCE,
        line=LINE,
        text=TEXT,
    )
    set_apart(engine, apart, rejects)
    found = engine.rows(
        f"select count(*) from {texts} where {RULE} is not null or {MISFIT} is not null"
    )
    return int(str(found[0][0]))


def _hold_types(engine: Engine, source: Source, columns: dict[str, str], good: str) -> None:
    nulls = (
        f"cast(null as {sql_type(type_)}) as {quoted(name)}" for name, type_ in source.types.items()
    )
    wanted = engine.columns(f"select {', '.join(nulls)}")
    if wanted != columns:
        other = sorted(name for name, _ in {*wanted.items()} ^ {*columns.items()})
        raise broken(
            "schema_changed",
            f"the rows that were not set apart have another {', '.join(dict.fromkeys(other))}",
            where=good,
            hint="run the pipeline anew, so that all rows are read in the same way",
        )


def _make_texts(engine: Engine, mended: Mending) -> None:
    """The quarantine's rows as text, mended where they were; a row that could not be taken apart
    and was not mended keeps its rule."""
    old = f"read_parquet({literal(mended.quarantine)})"
    if mended.read is None:
        kept = f"{TEXT} is not null"
        engine.rows(
            f"create temp table {_TEXTS} as select * replace (case when {kept} then {RULE} end "
            f"as {RULE}, case when {kept} then {REASON} end as {REASON}) from {old}"
        )
        return
    names = _own(engine, mended.quarantine)
    shown = ", ".join(
        f"case when n.{LINE} is not null and {_differs(f'o.{quoted(name)}', name, mended.read)} "
        f"then n.{quoted(name)} else o.{quoted(name)} end as {quoted(name)}"
        for name in names
    )
    values = ", ".join(f"n.{quoted(name)}" for name in names)
    kept = f"o.{TEXT} is not null and coalesce({values}, null) is null"
    told = ", ".join(
        f"case when {kept} then o.{name} end as {name}" for name in (RULE, REASON, TEXT)
    )
    engine.rows(
        f"create temp table {_TEXTS} as select {shown}, o.{LINE} as {LINE}, "
        f"o.{SOURCE} as {SOURCE}, {told} from {old} o "
        f"left join read_parquet({literal(mended.file)}) n on n.{LINE} = o.{LINE}"
    )


def _differs(before: str, name: str, read: Mended) -> str:
    """SQL: whether somebody changed a value. CSV cannot tell an empty text from no value."""
    after = f"n.{quoted(name)}"
    if read.has_nulls:
        return f"{after} is distinct from {before}"
    return f"coalesce({after}, '') <> coalesce({before}, '')"


def _make_misfits(engine: Engine, source: Source) -> None:
    """The lines of rows that do not fit, and why."""
    wrong = {
        name: f"{_is_there(source, name)} and "
        f"{text_cast(name, type_, source.formats.get(name))} is null"
        for name, type_ in source.types.items()
        if sql_type(type_) != "VARCHAR"
    }
    said = {
        name: said_type(type_, source.formats.get(name)) for name, type_ in source.types.items()
    }
    engine.rows(f"create temp table parts (part integer, {LINE} bigint, {MISFIT} varchar)")
    for start in range(0, len(wrong), _columns_at_once):
        some = {name: wrong[name] for name in [*wrong][start : start + _columns_at_once]}
        engine.rows(
            f"insert into parts select {start}, {LINE}, {MISFIT} from (select {LINE}, "
            f"{misfit(some, said)} as {MISFIT} from {_TEXTS} where {RULE} is null) "
            f"where {MISFIT} is not null"
        )
    engine.rows(
        f"create temp table {_MISFITS} as select {LINE}, arg_min({MISFIT}, part) as {MISFIT} "
        f"from parts group by {LINE}"
    )


def _is_there(source: Source, name: str) -> str:
    if isinstance(source, CsvSource):
        missing = ", ".join(literal(text) for text in source.null_texts)
        return f"{quoted(name)} not in ({missing})"
    return f"{quoted(name)} is not null"


def patch(engine: Engine, files: tuple[str, str], mended: Mending, lines: Lines) -> None:
    """Write the rows of the first file, in their order, to the second one, with the mended ones in
    their places. Raises `StepBroken` where a mended value is none of its column."""
    assert mended.read is not None  # noqa: S101  # who patches has mended rows
    path, target = files
    columns = engine.columns(f"from read_parquet({literal(path)})")
    new = f"read_parquet({literal(mended.file)})"
    cast = {name: careful_cast(name, "VARCHAR", type_) for name, type_ in columns.items()}
    _hold_values(engine, new, columns, mended)
    typed = ", ".join(f"{made} as {quoted(name)}" for name, made in cast.items())
    shown = ", ".join(
        f"case when n.{LINE} is not null and "
        f"{_differs(f'cast(o.{quoted(name)} as varchar)', name, mended.read)} "
        f"then t.{quoted(name)} else o.{quoted(name)} end as {quoted(name)}"
        for name in columns
    )
    engine.save(
        f"select {shown} from read_parquet({literal(path)}, file_row_number = true) o "
        f"left join ({lines.rows(f'(select {LINE} as {PLACE} from {new})')}) p using ({ROW}) "
        f"left join {new} n on n.{LINE} = p.{PLACE} "
        f"left join (select {LINE}, {typed} from {new}) t on t.{LINE} = n.{LINE} "
        f"order by o.file_row_number",
        target,
    )


def _hold_values(engine: Engine, new: str, columns: dict[str, str], mended: Mending) -> None:
    wrong = {
        name: f"{quoted(name)} is not null and {careful_cast(name, 'VARCHAR', type_)} is null"
        for name, type_ in columns.items()
        if type_ != "VARCHAR"
    }
    said = {name: named_type(type_) for name, type_ in columns.items()}
    for start in range(0, len(wrong), _columns_at_once):
        some = {name: wrong[name] for name in [*wrong][start : start + _columns_at_once]}
        found = engine.rows(
            f"select {LINE}, {MISFIT} from (select {LINE}, {misfit(some, said)} as {MISFIT} "
            f"from {new}) where {MISFIT} is not null order by {LINE} limit 1"
        )
        if found:
            raise broken(
                "bad_value",
                f"line {found[0][0]}, {found[0][1]}",
                where=mended.where,
                hint="a mended row keeps the types of the step's input",
            )


def _own(engine: Engine, path: str) -> list[str]:
    found = engine.columns(f"from read_parquet({literal(path)})")
    return [name for name in found if name not in RESERVED]
