# ruff: noqa: S608  # names and literals go through `commands.steps.sql`
"""Lines: where the rows of a step's input stand in the file that they come from.

Only who sets rows apart asks, and only for these rows. A file keeps its jumps and a step that
leaves rows out their numbers (`domain.data.rowmap`); the line of a row is found by joining it with
what stands next before it, one map after the other.
"""

from msgspec import Struct

from commands.steps.job import Job
from commands.steps.layers import ROW
from commands.steps.quarantine import LINE
from commands.steps.sql import literal, quoted
from domain.data.dataset import DatasetVersion
from domain.data.rowmap import RowMap

PLACE = quoted("headwater place")
"""The line of a row, from 1; where its input comes from no file, its own number in it."""


class Lines(Struct, frozen=True, kw_only=True):
    """The lines of one input's rows."""

    source: str
    """The file, or the input itself where it comes from none."""
    maps: tuple[RowMap, ...] = (RowMap(),)
    """From the input back to the file."""
    paths: dict[str, str] = {}
    """Fingerprint of what these are kept in → its file."""

    @property
    def files(self) -> tuple[str, ...]:
        """What an engine must be allowed to read."""
        return tuple(self.paths.values())

    def of(self, rows: str) -> str:
        """SQL: `ROW` of each row of the relation `rows`, and its `PLACE`."""
        found = f"select {ROW}, {ROW} as nth from {rows}"
        for one in self.maps:
            if one.gaps is not None:
                found = f"""
                    select r.{ROW}, r.nth + coalesce(g.before, 0) as nth from ({found}) r
                    asof left join (
                        select number - before + 1 as nth, max(before) as before
                        from ({self._gaps(one.gaps)}) group by 1
                    ) g on r.nth >= g.nth
                """
        return f"""
            select r.{ROW}, r.nth + j.line - j.number as {PLACE} from ({found}) r
            asof join ({self._jumps}) j on r.nth >= j.number
        """

    def rows(self, places: str) -> str:
        """SQL: `PLACE` of each row of the relation `places`, and the `ROW` that stands there."""
        found = f"""
            select r.{PLACE}, r.{PLACE} + j.number - j.line as nth from {places} r
            asof join ({self._jumps}) j on r.{PLACE} >= j.line
        """
        for one in reversed(self.maps):
            if one.gaps is not None:
                found = f"""
                    select r.{PLACE}, r.nth - coalesce(g.before, 0) as nth from ({found}) r
                    asof left join (
                        select number + 1 as nth, before from ({self._gaps(one.gaps)})
                    ) g on r.nth >= g.nth
                """
        return f"select {PLACE}, nth as {ROW} from ({found})"

    def stretches(self, count: int) -> str:
        """SQL: `number` and `line` of the rows of a file's own dataset at which lines do not follow
        each other, as far as they are below `count`; the first row is one of them."""
        jumps = f"(select line as {PLACE} from ({self._jumps}))"
        starts = f"select 0::bigint as {ROW} union select {ROW} from ({self.rows(jumps)})"
        if (gaps := self.maps[-1].gaps) is not None:
            starts += f" union select number + 1 - before from ({self._gaps(gaps)})"
        found = self.of(f"({starts})")
        return f"select {ROW} as number, {PLACE} as line from ({found}) where {ROW} < {count}"

    @property
    def _jumps(self) -> str:
        last = self.maps[-1]
        begin = f"select 0::bigint as number, {last.first}::bigint as line"
        return f"{begin} union all from {self._scan(last.jumps)}" if last.jumps else begin

    def _gaps(self, version: DatasetVersion) -> str:
        """Numbers of rows that were left out, and how many those up to each are."""
        counted = "row_number() over (order by number) as before"
        return f"select number, {counted} from {self._scan(version)}"

    def _scan(self, version: DatasetVersion) -> str:
        return f"read_parquet({literal(self.paths[version.fingerprint])})"


def lines_of(job: Job) -> Lines:
    """The lines of the rows of a step's only input. Raises `StepBroken` where the data is gone."""
    given = job.only_input()
    if given.origin is None:
        return Lines(source=given.version.dataset)
    return known_lines(job, given.origin.source, given.origin.maps)


def known_lines(job: Job, source: str, maps: tuple[RowMap, ...]) -> Lines:
    """The same for rows whose way from a file is known."""
    versions = (version for one in maps for version in one.versions)
    paths = {one.fingerprint: job.bench.artifacts.lend(one) for one in versions}
    return Lines(source=source, maps=maps, paths=paths)


def gaps_of(job: Job, source: str, row_map: RowMap, rejects: str) -> DatasetVersion:
    """The numbers of the records that were set apart, which are known by their lines."""
    artifacts, lines = job.bench.artifacts, known_lines(job, source, (row_map,))
    scratch = artifacts.scratch()
    try:
        with job.bench.engines.share() as engine:
            places = f"(select {LINE} as {PLACE} from read_parquet({literal(rejects)}))"
            engine.save(
                f"select {ROW} as number from ({lines.rows(places)}) order by {ROW}", scratch
            )
        return job.output(artifacts.admit(scratch), "gaps")
    finally:
        artifacts.discard(scratch)
