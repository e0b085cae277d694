"""Jumps: records that do not begin on the line behind that of the record before.

In most files there are none, and nothing is written. Where there are, they go to a Parquet file in
batches, however many they are.
"""

from array import array
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from adapters.disk import io_translated

_SCHEMA = pa.schema([("number", pa.int64()), ("line", pa.int64())])
_batch_jumps = 65_536
"""Jumps that are held in memory at once."""


class Jumps:
    """The jumps of one file, told in the order of its records. Leaving the block closes it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._writer: pq.ParquetWriter | None = None
        self._numbers, self._lines = array("q"), array("q")
        self.begin()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def begin(self, head: int = 0) -> None:
        """Forget what was told; `head` records stand in front of the data, such as the header."""
        self.close()
        self._head = head
        self._ahead = 1
        self.first = 1
        """The line on which the data's first record begins."""
        self.count = 0

    def stretch(self, record: int, line: int) -> None:
        """This record, counted from 0, begins on this line, and those behind it on the next ones,
        until another stretch is told; of the same record the last one counts."""
        number = record - self._head
        ahead = line - number
        if number <= 0:
            self.first = self._ahead = ahead
        elif ahead != self._ahead:
            self._ahead = ahead
            if self._numbers and self._numbers[-1] == number:
                self._lines[-1] = line
                return
            if len(self._numbers) == _batch_jumps:
                self._flush()
            self._numbers.append(number)
            self._lines.append(line)
            self.count += 1

    def end(self, records: int) -> None:
        """There are no more records than these: what was told of one behind them is not so."""
        if self._numbers and self._numbers[-1] >= records:
            self._numbers.pop()
            self._lines.pop()
            self.count -= 1

    def close(self) -> None:
        """Write what is left, if there is anything."""
        if self._numbers:
            self._flush()
        if self._writer is not None:
            with io_translated(self._path):
                self._writer.close()
            self._writer = None

    def _flush(self) -> None:
        with io_translated(self._path):
            if self._writer is None:
                self._writer = pq.ParquetWriter(self._path, _SCHEMA, compression="lz4")
            columns = [pa.array(one, pa.int64()) for one in (self._numbers, self._lines)]
            self._writer.write_table(pa.Table.from_arrays(columns, schema=_SCHEMA))
        self._numbers, self._lines = array("q"), array("q")
