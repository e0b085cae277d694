# ruff: noqa: S608  # names and literals go through `commands.steps.sql`
"""Mending: rows of a quarantine beside what somebody made of them, told apart by their line.

A mended row has the same line as the one that it stands for. A value that was not changed stays
exactly as it was, so that a file's way of writing it cannot change it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct

from commands.steps.job import Job
from commands.steps.ports import Engine, Mended, StepBroken, broken
from commands.steps.quarantine import LINE, REASON, RESERVED, RULE, SOURCE, TEXT, Apart, set_apart
from commands.steps.sql import (
    careful_cast,
    fitting_cast,
    listed,
    literal,
    misfit,
    quoted,
    said_type,
    sql_type,
    text_cast,
)
from domain.pipeline.sources import CsvSource, Source
from domain.run.events import Redo

_PART, _PLACE = quoted("headwater part"), quoted("headwater place")


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
            _hold(engine, mended, read)
        yield mended
    finally:
        artifacts.discard(scratch)


def _hold(engine: Engine, mended: Mending, read: Mended) -> None:
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
    _hold_types(source, columns, good)
    texts = _sifted(source, _texts(engine, mended))
    made = ", ".join(
        f"case when {_is_there(source, name)} then "
        f"{fitting_cast(name, source.types[name], source.formats.get(name))} end as {quoted(name)}"
        for name in columns
    )
    names = listed([*columns])
    engine.save(
        f"select {names} from ("
        f"select {names}, 0 as {_PART}, file_row_number as {_PLACE} "
        f"from read_parquet({literal(good)}, file_row_number = true) union all "
        f"select {made}, 1, {LINE} from {texts} where {RULE} is null"
        f") order by {_PART}, {_PLACE}",
        target,
    )
    apart = Apart(
        relation=texts,
        columns=_own(engine, mended.quarantine),
        rule=RULE,
        reason=REASON,
        source=SOURCE,
        line=LINE,
        text=TEXT,
    )
    set_apart(engine, apart, rejects)
    found = engine.rows(f"select count(*) from {texts} where {RULE} is not null")
    return int(str(found[0][0]))


def _hold_types(source: Source, columns: dict[str, str], good: str) -> None:
    wanted = {name: sql_type(type_) for name, type_ in source.types.items()}
    if wanted != columns:
        other = sorted(name for name, _ in {*wanted.items()} ^ {*columns.items()})
        raise broken(
            "schema_changed",
            f"the rows that were not set apart have another {', '.join(dict.fromkeys(other))}",
            where=good,
            hint="run the pipeline anew, so that all rows are read in the same way",
        )


def _texts(engine: Engine, mended: Mending) -> str:
    """The quarantine's rows as text, mended where they were; a row that could not be taken apart
    and was not mended keeps its rule."""
    old = f"read_parquet({literal(mended.quarantine)})"
    untouched = f"{TEXT} is not null"
    if mended.read is None:
        shown = f"select * replace (case when {untouched} then {RULE} end as {RULE}, "
        return f"({shown}case when {untouched} then {REASON} end as {REASON}) from {old})"
    names = _own(engine, mended.quarantine)
    changed = {name: _differs(f"o.{quoted(name)}", name, mended.read) for name in names}
    is_mended = f"n.{LINE} is not null and ({' or '.join(changed.values())})"
    shown = ", ".join(
        f"case when n.{LINE} is not null and {changed[name]} then n.{quoted(name)} "
        f"else o.{quoted(name)} end as {quoted(name)}"
        for name in names
    )
    kept = f"o.{untouched} and not coalesce({is_mended}, false)"
    return (
        f"(select {shown}, o.{LINE} as {LINE}, o.{SOURCE} as {SOURCE}, "
        f"case when {kept} then o.{RULE} end as {RULE}, "
        f"case when {kept} then o.{REASON} end as {REASON}, "
        f"case when {kept} then o.{TEXT} end as {TEXT} "
        f"from {old} o left join read_parquet({literal(mended.file)}) n on n.{LINE} = o.{LINE})"
    )


def _differs(before: str, name: str, read: Mended) -> str:
    """SQL: whether somebody changed a value. CSV cannot tell an empty text from no value."""
    after = f"n.{quoted(name)}"
    if read.has_nulls:
        return f"{after} is distinct from {before}"
    return f"coalesce({after}, '') <> coalesce({before}, '')"


def _sifted(source: Source, texts: str) -> str:
    """The same rows, where those that do not fit have a rule and a reason."""
    wrong = {
        name: f"{_is_there(source, name)} and "
        f"{text_cast(name, type_, source.formats.get(name))} is null"
        for name, type_ in source.types.items()
        if sql_type(type_) != "VARCHAR"
    }
    said = {
        name: said_type(type_, source.formats.get(name)) for name, type_ in source.types.items()
    }
    why = quoted("headwater misfit")
    rule = f"coalesce({RULE}, case when {why} is not null then 'type' end)"
    return (
        f"(select * exclude ({why}) replace ({rule} as {RULE}, coalesce({REASON}, {why}) "
        f"as {REASON}) from (select *, case when {RULE} is null then {misfit(wrong, said)} end "
        f"as {why} from {texts}))"
    )


def _is_there(source: Source, name: str) -> str:
    if isinstance(source, CsvSource):
        missing = ", ".join(literal(text) for text in source.null_texts)
        return f"{quoted(name)} not in ({missing})"
    return f"{quoted(name)} is not null"


def patch(engine: Engine, path: str, mended: Mending, target: str) -> None:
    """Write the rows of the file `path`, in their order, with the mended ones in their places.
    Raises `StepBroken` where a mended value is none of its column."""
    assert mended.read is not None  # noqa: S101  # who patches has mended rows
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
        f"left join {new} n on n.{LINE} = o.file_row_number + 1 "
        f"left join (select {LINE}, {typed} from {new}) t on t.{LINE} = n.{LINE} "
        f"order by o.file_row_number",
        target,
    )


def _hold_values(engine: Engine, new: str, columns: dict[str, str], mended: Mending) -> None:
    for name, type_ in columns.items():
        if type_ == "VARCHAR":
            continue
        cast = careful_cast(name, "VARCHAR", type_)
        wrong = engine.rows(
            f"select {LINE}, {quoted(name)} from {new} "
            f"where {quoted(name)} is not null and {cast} is null order by {LINE} limit 1"
        )
        if wrong:
            line, value = wrong[0]
            raise _bad_value(mended, name, type_, f"line {line}: {str(value)[:80]!r}")


def _bad_value(mended: Mending, name: str, type_: str, what: str) -> StepBroken:
    return broken(
        "bad_value",
        f"column `{name}`, {what} is no {type_.lower()}",
        where=mended.where,
        hint="a mended row keeps the types of the step's input",
    )


def _own(engine: Engine, path: str) -> list[str]:
    found = engine.columns(f"from read_parquet({literal(path)})")
    return [name for name in found if name not in RESERVED]
