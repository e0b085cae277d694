"""Contracts without a service: made from data, and data held against them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from adapters.datasets.files import FileSources
from adapters.datasets.memory import SourceMemory
from adapters.engines.binding.sniffing import sniff
from adapters.engines.duckdb import DuckEngines
from adapters.engines.profiling import profiles_of
from adapters.pipelinefile.contracts import read_contract, write_contract
from adapters.pipelinefile.texts import read_text
from commands.steps.inspection import inspected, misfits
from commands.steps.ports import SourceFiles, StepBroken
from commands.steps.sql import literal
from commands.steps.terms import Relation
from domain.data.contract import Contract
from domain.errors import Malformed, Rejection
from domain.pipeline.contracts import InvalidContract, place_of
from domain.pipeline.inference import inferred
from domain.pipeline.sources import CsvSource, JsonlSource, ParquetSource, Source
from runtime.session import Document


class Data(Struct, frozen=True, kw_only=True):
    """A file of rows, and how it is written."""

    path: Path
    nulls: tuple[str, ...] = ()
    delimiter: str = ""
    """Found from the name where it is not given."""


class _Table(Struct, frozen=True, kw_only=True):
    """Rows where they can be looked at."""

    rows: str
    """A Parquet file."""
    rejects: str = ""
    """Another, with the records that fit no type; none where all do."""
    engines: Any


def infer_contract(data: Data, name: str) -> tuple[Document, str]:
    """A contract that the rows keep, as plain values and as YAML. Raises `Malformed`."""
    with _opened(data, None) as table:
        found = inferred(name, profiles_of(Path(table.rows), table.engines))
    return found, write_contract(found)


def check_contract(named: str, data: Data) -> Document:
    """What each term of a contract comes to on the rows. Raises `Malformed`, and `Rejection` with
    code `invalid_contract` and every mistake in the contract."""
    contract = _contract(named)
    with _opened(data, contract) as table:
        files = [table.rows, *([table.rejects] if table.rejects else [])]
        with table.engines.open({contract.table: table.rows}, files) as engine:
            source = f"read_parquet({literal(table.rows)}, file_row_number = true)"
            columns = engine.columns(f"from read_parquet({literal(table.rows)})")
            found = misfits(engine, table.rejects) if table.rejects else []
            found += inspected(engine, contract, Relation(source=source, columns=columns))
    broken = [one for one in found if not one.passed and one.severity == "error"]
    return {
        "contract": named,
        "table": contract.table,
        "data": str(data.path),
        "ok": not broken,
        "terms": msgspec.to_builtins(found),
        "unchecked": list(contract.unchecked),
    }


def _contract(named: str) -> Contract:
    file, table = place_of(named)
    try:
        return read_contract(file, table, read_text(Path(file)))
    except InvalidContract as error:
        problems = [
            {"path": one.path, "place": one.path, "message": one.message, "hint": one.hint}
            for one in error.problems
        ]
        raise Rejection("invalid_contract", error.message, {"problems": problems}) from error


@contextmanager
def _opened(data: Data, contract: Contract | None) -> Iterator[_Table]:
    """The rows as a Parquet file: as it is, or made of a file of text for the time of the block."""
    source, path = _source(data), data.path.resolve()
    with TemporaryDirectory(prefix="headwater-contract-") as name:
        engines = DuckEngines(name, os.cpu_count() or 1)
        try:
            if isinstance(source, ParquetSource):
                if not path.is_file():
                    sniff(source, path)  # says what is wrong
                yield _Table(rows=str(path), engines=engines)
                return
            yield _read(_typed(source, sniff(source, path), contract), path, name, engines)
        except StepBroken as broken:
            error = broken.error
            where = f"{error.where}: " if error.where else ""
            raise Malformed(f"{where}{error.message}", hint=error.hint) from broken
        finally:
            engines.close()


def _read(source: Source, path: Path, folder: str, engines: DuckEngines) -> _Table:
    rows, rejects = Path(folder, "rows.parquet"), Path(folder, "rejects.parquet")
    memory = SourceMemory(Path(folder, "memory"))
    sources = FileSources(engines, str(path.parent), (str(path.parent),), memory)
    files = SourceFiles(rows=str(rows), rejects=str(rejects), jumps=f"{rows}.jumps")
    sources.read("data", source, path.name, files)
    kept = str(rejects) if rejects.exists() else ""
    return _Table(rows=str(rows), rejects=kept, engines=engines)


def _typed(source: Source, sniffed: dict[str, str], contract: Contract | None) -> Source:
    """With the contract's types where it has some, and those found in the file elsewhere."""
    if contract is None:
        return replace(source, sniffed=sniffed)
    known = {column.name: column.type for column in contract.columns if column.type is not None}
    return replace(
        source, columns={name: known.get(name, type_) for name, type_ in sniffed.items()}
    )


def _source(data: Data) -> Source:
    name = data.path.name.lower().removesuffix(".gz")
    if name.endswith((".csv", ".tsv", ".txt")):
        delimiter = data.delimiter or ("\t" if name.endswith(".tsv") else ",")
        return CsvSource(path=str(data.path), nulls=data.nulls, delimiter=delimiter)
    if name.endswith((".jsonl", ".ndjson")):
        return JsonlSource(path=str(data.path))
    if name.endswith((".parquet", ".pq")):
        return ParquetSource(path=str(data.path))
    raise Malformed(
        f"what kind of file {data.path} is cannot be told from its name",
        hint="CSV ends in .csv or .tsv, JSON lines in .jsonl, either with .gz; Parquet in .parquet",
    )
