"""Files that nobody should write: bombs, cut ones, endless lines, some that change meanwhile."""

import gzip
import io
import json
import os
import random
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adapters.datasets.packed import Unpacking
from adapters.engines.binding.sniffing import sniff
from commands.steps.ports import StepBroken
from domain.errors import Malformed
from domain.pipeline.sources import CsvSource, JsonlSource
from domain.run.commands import Failed, Succeeded
from domain.run.events import StepError
from tests.commands.steps.bench import Bench, Walk

Columns = dict[str, str]
N: Columns = {"n": "integer"}
python_bytes_max = 64 * 2**20
"""What the reading may take besides the engine, which has a bound of its own."""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.engines.close()


def walk(bench: Bench, name: str, columns: Columns = N, **words: object) -> Walk:
    kind = "jsonl" if "jsonl" in name else "csv"
    source = {"kind": kind, "path": name, "columns": columns, **words}
    step = {"id": "raw", "kind": "ingest", "source": "s"}
    return Walk(bench, {"sources": {"s": source}, "steps": [step]})


def error_of(bench: Bench, name: str) -> tuple[StepError, int]:
    """How the reading ends, and the most that Python held meanwhile, in bytes."""
    made = walk(bench, name)
    tracemalloc.start()
    try:
        error = made.error("raw")
        return error, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def left_behind(bench: Bench) -> int:
    """Bytes that a failed step left in the data directory."""
    return sum(path.stat().st_size for path in bench.data.rglob("*") if path.is_file())


@pytest.mark.parametrize("name", ["bomb.csv.gz", "bomb.jsonl.gz"])
@pytest.mark.parametrize("line", [b'{"n": 1}\n', b"0"])
def test_ten_gigabytes_in_ten_megabytes_are_refused_at_once(
    bench: Bench, name: str, line: bytes
) -> None:
    member = gzip.compress(line * (20 * 2**20 // len(line)))
    (bench.project / name).write_bytes(member * 512)
    error, held = error_of(bench, name)
    assert (error.code, error.retryable) == ("too_much_packed", False)
    assert "400 to 1" in error.message
    assert "unpack it first" in error.hint
    assert held < python_bytes_max
    assert left_behind(bench) == 0


def test_a_bomb_behind_an_innocent_beginning_is_found(bench: Bench) -> None:
    chance = random.Random(7)  # no secret
    rows = "".join(f"{chance.randrange(10**12)}\n" for _ in range(45_000))
    bomb = gzip.compress((b" " * 9_999 + b"\n") * 25_000)
    (bench.project / "in.csv.gz").write_bytes(gzip.compress(b"n\n" + rows.encode()) + bomb)
    error, held = error_of(bench, "in.csv.gz")
    assert error.code == "too_much_packed"
    assert held < python_bytes_max
    assert left_behind(bench) == 0


def test_pieces_are_all_that_is_packed_whatever_the_blocks() -> None:
    chance = random.Random(7)  # no secret
    parts = [b"a" * 3_000_000, chance.randbytes(100_000), b"", b"b" * 2**20]
    packed = b"".join(gzip.compress(part) for part in parts)
    for size in (1, 1000, len(packed)) if len(packed) < 200_000 else (1000, len(packed)):
        unpacking = Unpacking("x.gz")
        blocks = (packed[at : at + size] for at in range(0, len(packed), size))
        pieces = [piece for block in blocks for piece in unpacking.feed(block)]
        assert b"".join(pieces) == b"".join(parts)
        assert max(map(len, pieces)) <= 2**20


@pytest.mark.parametrize("name", ["in.csv", "in.csv.gz", "in.jsonl"])
def test_a_line_that_never_ends_is_told(bench: Bench, name: str) -> None:
    text = (b'{"n": "' if "json" in name else b"n\n1\n") + os.urandom(10 * 2**20).hex().encode()
    (bench.project / name).write_bytes(gzip.compress(text, 1) if ".gz" in name else text)
    error, _ = error_of(bench, name)
    assert error.code == "bad_row"
    assert "a line of more than" in error.message
    assert error.where.startswith(str(bench.project / name))
    assert left_behind(bench) == 0


def test_a_header_that_never_ends_is_told(bench: Bench) -> None:
    (bench.project / "in.csv").write_bytes(b"n" * (20 * 2**20))
    error, held = error_of(bench, "in.csv")
    assert (error.code, error.where[-2:]) == ("bad_row", ":1")
    assert len(error.message) < 1000
    assert held < 2 * python_bytes_max


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_bomb_is_not_unpacked_to_find_its_columns(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"bomb.{kind}.gz"
    path.write_bytes(gzip.compress(b"0" * (300 * 2**20), 1))
    columns = {"n": "integer"} if kind == "jsonl" else {}
    source = (
        JsonlSource(path=path.name, columns={"n": "integer"})
        if columns
        else CsvSource(path=path.name)
    )
    tracemalloc.start()
    try:
        if kind == "jsonl":
            sniff(source, path)
        else:
            with pytest.raises(Malformed):
                sniff(source, path)
        assert tracemalloc.get_traced_memory()[1] < python_bytes_max
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["in.csv.gz", "in.jsonl.gz"])
@pytest.mark.parametrize("cut", [1, 9, 0.3, 0.7, -9, -1])
def test_a_cut_gzip_file_is_told_and_may_be_tried_again(
    bench: Bench, name: str, cut: float
) -> None:
    lines = [json.dumps({"n": n}) if "json" in name else str(n) for n in range(20_000)]
    head = [] if "json" in name else ["n"]
    whole = gzip.compress("\n".join([*head, *lines]).encode() + b"\n")
    end = int(len(whole) * cut) if isinstance(cut, float) else int(cut) % len(whole)
    bench.write(name, whole[:end])
    error, _ = error_of(bench, name)
    assert (error.code, error.retryable) == ("bad_row", True), error
    assert "gzip" in error.message
    assert left_behind(bench) == 0


def _append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"7\n")


def _shorten(path: Path) -> None:
    os.truncate(path, 4)


def _replace(path: Path) -> None:
    other = path.with_suffix(".new")
    other.write_bytes(path.read_bytes())
    other.rename(path)


@pytest.mark.parametrize("change", [_append, _shorten, _replace, Path.unlink])
def test_a_file_that_changes_between_two_looks_is_worth_another_try(
    bench: Bench, change: Callable[[Path], None]
) -> None:
    path = bench.write("in.csv", "n\n" + "1\n" * 50_000)
    made = walk(bench, "in.csv")
    shared = made.workbench.engines.share

    def share_and_change() -> object:
        """The engine as it is; the file changes as soon as it has been opened and closed."""
        return _Changing(shared(), lambda: change(path))

    object.__setattr__(made.workbench.engines, "share", share_and_change)
    error = made.error("raw")
    object.__delattr__(made.workbench.engines, "share")
    assert error.code in ("source_changed", "source_missing"), error
    assert error.retryable
    assert left_behind(bench) == 0
    if path.exists():
        rows = walk(bench, "in.csv").outcome("raw").rows_out
        assert rows == {"_append": 50_001, "_shorten": 1, "_replace": 50_000}[change.__name__]


class _Changing:
    """A block whose engine changes the file with its first save."""

    def __init__(self, block: object, change: Callable[[], None]) -> None:
        self._block = block
        self._change = change

    def __enter__(self) -> object:
        engine = self._block.__enter__()  # type: ignore[attr-defined]
        save = engine.save

        def save_and_change(*arguments: object, **words: object) -> None:
            try:
                save(*arguments, **words)
            finally:
                self._change()
                object.__setattr__(engine, "save", save)

        object.__setattr__(engine, "save", save_and_change)
        return engine

    def __exit__(self, *error: object) -> object:
        return self._block.__exit__(*error)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ("n\r\n1\r\n2\r\n", 2),
        ("n\r\n1\r\n2", 2),
        ("n\r1\r2\r", 2),
        ("n\n1\r\n2\n", 2),
        ("\ufeffn\r\n1\r\n", 1),
    ],
)
def test_line_ends_of_every_system(bench: Bench, content: str, rows: int) -> None:
    bench.write("in.csv", content)
    outcome = walk(bench, "in.csv").outcome("raw")
    assert [row["n"] for row in bench.rows(outcome.output)] == [1, 2][:rows]
    assert (outcome.rows_in, outcome.rows_out, outcome.ledger) == (rows, rows, "balanced")


@pytest.mark.parametrize("name", ["in.csv", "in.csv.gz", "in.jsonl", "in.jsonl.gz"])
def test_nothing_at_all(bench: Bench, name: str) -> None:
    content = gzip.compress(b"") if name.endswith(".gz") else b""
    bench.write(name, content)
    expected = {"empty_source"} if "csv" in name else {"empty_source", "missing_column", "no_rows"}
    error = walk(bench, name).error("raw")
    assert error.code in expected, error
    bench.write(name, b"")
    assert walk(bench, name).error("raw").code


def test_a_header_alone_needs_leave(bench: Bench) -> None:
    bench.write("in.csv", "n\r\n")
    assert walk(bench, "in.csv").error("raw").code
    source = {"kind": "csv", "path": "in.csv", "columns": N}
    step = {"id": "raw", "kind": "ingest", "source": "s", "allow_empty": True}
    outcome = Walk(bench, {"sources": {"s": source}, "steps": [step]}).outcome("raw")
    assert (outcome.rows_in, outcome.rows_out) == (0, 0)


@pytest.mark.parametrize("what", ["folder", "fifo", "loop", "device"])
def test_what_is_no_file_is_told_and_nobody_waits_for_it(bench: Bench, what: str) -> None:
    path = bench.project / "in.csv"
    match what:
        case "folder":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "loop":
            path.symlink_to(path)
        case _:
            path.symlink_to("/dev/zero")
    error = walk(bench, "in.csv").error("raw")
    assert error.code in ("source_missing", "path_outside"), error
    assert error.where
    assert left_behind(bench) == 0


def test_a_bomb_raises_before_it_is_handed_on() -> None:
    bomb = gzip.compress(b"0" * (200 * 2**20))
    pieces = Unpacking("bomb.gz").feed(bomb)
    assert sum(len(next(pieces)) for _ in range(99)) == 99 * 2**20
    with pytest.raises(StepBroken, match="unpack to more than"):
        list(pieces)


def _harmed(data: bytes, chance: random.Random) -> bytes:
    """The same bytes with a few of them changed, lost, doubled or cut off."""
    made = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 5))):
        at = chance.randrange(len(made) + 1)
        match chance.randrange(5):
            case 0:
                made[at : at + 1] = chance.randbytes(1)
            case 1:
                del made[at : at + chance.randrange(1, 60)]
            case 2:
                made[at:at] = chance.choice((b'"', b"\n", b"\r", b"\0", b",", b"\xff", b"1e999"))
            case 3:
                made[at:at] = made[: chance.randrange(40)]
            case _:
                made = made[:at]
    return bytes(made)


def _whole(name: str) -> bytes:
    rows = [(n, f"x, {n}") for n in range(60)]
    if name.endswith(".parquet"):
        file = io.BytesIO()
        table = pa.table({"n": [n for n, _ in rows], "g": [g for _, g in rows]})
        pq.write_table(table, file, row_group_size=20)
        return file.getvalue()
    lines = [json.dumps({"n": n, "g": g}) if "json" in name else f'{n},"{g}"' for n, g in rows]
    text = "\n".join([*([] if "json" in name else ["n,g"]), *lines, ""]).encode()
    return gzip.compress(text) if name.endswith(".gz") else text


@pytest.mark.parametrize("name", ["in.parquet", "in.csv", "in.csv.gz", "in.jsonl", "in.jsonl.gz"])
def test_harmed_files_are_read_in_full_or_told(bench: Bench, name: str) -> None:
    chance = random.Random(name)  # no secret
    source = {"kind": name.split(".")[1], "path": name, "columns": {**N, "g": "string"}}
    step = {"id": "raw", "kind": "ingest", "source": "s", "limits": {"max_quarantined": "100%"}}
    for _ in range(8):
        bench.write(name, _harmed(_whole(name), chance))
        result = Walk(bench, {"sources": {"s": source}, "steps": [step]}).step("raw")
        if isinstance(result, Failed):
            assert result.error.code.startswith(("bad_", "missing_", "extra_", "empty_"))
            assert str(bench.project / name) in result.error.where
        else:
            outcome = cast("Succeeded", result).outcome
            assert outcome.rows_in == (outcome.rows_out or 0) + (outcome.rows_quarantined or 0)
