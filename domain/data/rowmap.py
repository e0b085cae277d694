"""Row maps: where the rows of a dataset stand in the file that they come from."""

from msgspec import Struct

from domain.data.dataset import DatasetVersion


class RowMap(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where the rows of a step's output stand in what it read. Numbers count from 0.

    A row is the next one of the input that is not among the gaps; a record of a file begins on the
    line behind that of the record before, but for the jumps.
    """

    first: int = 1
    """Of a file: the line, from 1, on which its first record begins."""
    jumps: DatasetVersion | None = None
    """Of a file: records in front of which lines lie that are none of their own, as `number` and
    `line`."""
    gaps: DatasetVersion | None = None
    """The `number` of each row of the input that is not in the output."""

    @property
    def versions(self) -> tuple[DatasetVersion, ...]:
        """What it is kept in."""
        return tuple(one for one in (self.jumps, self.gaps) if one is not None)


class Origin(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file that all rows of a dataset come from, one by one."""

    source: str
    """Its absolute path."""
    maps: tuple[RowMap, ...]
    """From the dataset back to the file: the last one is that of the file's records."""
