"""Records of a CSV file one by one, each where it stands: the slow way, for files that need it.

A record ends where its quotes are even, as in the count of the whole file. One that is no CSV is
told as such, and the next one is looked for behind it.
"""

import csv
import io
import re
from collections.abc import Iterator

from msgspec import Struct

from adapters.datasets.reading import Reading, bad_row, unpacked
from adapters.datasets.scan import line_bytes_max
from domain.pipeline.sources import CsvSource

_field_chars_max = 16 * 2**20
"""One field; beyond it a quote was left open."""

_shown_chars = 100
"""Of a line that never ends."""

_LOST = re.compile("[\udc80-\udcff]")
"""Bytes that are no text in the file's encoding."""


class Record(Struct, frozen=True):
    """A record where it stands."""

    line: int
    """The physical line on which it begins, from 1."""
    fields: list[str]
    """None of a blank line."""
    text: str
    fault: str = ""
    """Why it has no fields, where it should have."""

    @property
    def is_text(self) -> bool:
        """Whether all of its bytes could be read."""
        return self.text.isascii() or _LOST.search(self.text) is None


def walk(reading: Reading, source: CsvSource) -> Iterator[Record]:
    """Every record with its physical line. Raises `StepBroken` where a quote is never closed, or
    the file is no whole gzip file."""
    csv.field_size_limit(_field_chars_max)
    with unpacked(reading.path) as raw:
        codec = "utf-8-sig" if source.encoding == "utf-8" else source.encoding
        file = io.TextIOWrapper(raw, encoding=codec, errors="surrogateescape", newline="")
        lines = _Lines(file, reading)
        reader = csv.reader(lines, delimiter=source.delimiter, strict=True)
        while True:
            line = lines.count + 1
            try:
                fields, fault = next(reader), ""
            except StopIteration:
                return
            except csv.Error as error:
                fields, fault = [], f"not CSV ({error})"
                if not lines.finish():
                    hint = "quotes inside quotes are doubled"
                    raise bad_row(reading, line, fault, lines.take(), hint) from error
            yield Record(line, fields, lines.take(), fault)


class _Lines:
    """Lines of a file, counted; those of the record at hand are remembered."""

    def __init__(self, file: io.TextIOWrapper, reading: Reading) -> None:
        self.count = 0
        self._reading = reading
        self._file = file
        self._seen: list[str] = []

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._file.readline(line_bytes_max)
        if not line:
            raise StopIteration
        if len(line) >= line_bytes_max:
            hint = "each record has a line; lines end with a line break"
            what = f"a line of more than {line_bytes_max} characters"
            raise bad_row(self._reading, self.count + 1, what, line[:_shown_chars], hint)
        self.count += 1
        self._seen.append(line)
        return line

    def take(self) -> str:
        """The text of the record at hand, which is over."""
        text = self._seen[0] if len(self._seen) == 1 else "".join(self._seen)
        self._seen.clear()
        return text

    def finish(self) -> bool:
        """Go on to where the quotes are even; False where the file ends before."""
        quotes = sum(line.count('"') for line in self._seen)
        while quotes % 2:
            line = next(self, None)
            if line is None:
                return False
            quotes += line.count('"')
        return True
