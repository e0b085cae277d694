"""A pipeline's own Python: functions from its bundle, called with Arrow tables.

The bundle's modules are laid out once as files, `bundles/<hash>/…`, so that tracebacks show lines.
A process that has imported one bundle's modules never works for another one, so there is no stale
code and no clash between two projects' `steps.py`; `adapters.engines.bundle` keeps them apart from
our own modules and from libraries of the same names.
"""

import importlib
import inspect
import os
import platform
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType, TracebackType

import pyarrow as pa
import pyarrow.parquet as pq

from adapters.disk import io_translated, write_new
from adapters.engines import bundle
from adapters.engines.distributions import libraries
from commands.steps.ports import Functions, StepBroken, broken
from domain.pipeline.names import did_you_mean
from domain.run.events import ParamValue

_ROW_GROUP_ROWS = 122_880
"""What DuckDB reads best with several threads."""

_small_bytes_max = 1 << 20
"""A file up to this size is read and written in one piece: Arrow does it in a dozen, and has other
threads read for it."""


class BundleFunctions(Functions):
    """Calls functions of one bundle, which lies in `folder`."""

    def __init__(self, folder: Path, files: Mapping[str, str], root: str = "") -> None:
        """`root` is where somebody who looks on has the files: tracebacks on stderr name it."""
        self._folder = folder
        self._files = files
        self._root = root

    @property
    def version(self) -> str:
        own = f"python {platform.python_version()}, pyarrow {pa.__version__}"
        return ", ".join((own, *libraries(self._files)))

    def call(
        self,
        function: str,
        inputs: Mapping[str, str],
        params: Mapping[str, ParamValue],
        target: str,
    ) -> None:
        with io_translated(str(self._folder)):
            bundle.lay_out(self._folder, self._files)
        try:
            module = bundle.load(function.partition(":")[0], self._folder, self._files)
            callee = _found(function, module)
            arguments = _arguments(function, callee, inputs, params)
            result = callee(**arguments)
            _write(function, result, target)
        except StepBroken:
            raise
        except Exception as error:  # whatever the user's code raises is its report
            raise _raised(error, self._folder, self._root) from error
        except SystemExit as error:
            raise broken("python_error", f"{function} ended with exit({error.code})") from error
        finally:
            sys.stdout.flush()
            sys.stderr.flush()


def _found(function: str, module: ModuleType) -> Callable[..., object]:
    module_name, _, name = function.partition(":")
    callee = getattr(module, name, None)
    if not callable(callee):
        known = [each for each, value in vars(module).items() if inspect.isfunction(value)]
        raise broken(
            "python_error",
            f"{module_name} has no function {name!r}",
            where=function,
            hint=did_you_mean(name, known),
        )
    found: Callable[..., object] = callee
    return found


def _arguments(
    function: str,
    callee: Callable[..., object],
    inputs: Mapping[str, str],
    params: Mapping[str, ParamValue],
) -> dict[str, object]:
    signature = inspect.signature(callee)
    arguments: dict[str, object] = {name: _table(path) for name, path in inputs.items()}
    if "params" in signature.parameters and "params" not in arguments:
        arguments["params"] = dict(params)
    try:
        signature.bind(**arguments)
    except TypeError as error:
        raise broken(
            "python_error",
            f"{function} cannot be called: {error}",
            where=function,
            hint=f"its parameters are called like the step's inputs: {', '.join(inputs)}",
        ) from error
    return arguments


def _table(path: str) -> pa.Table:
    with pa.OSFile(path, "rb") as whole:
        is_small = whole.size() <= _small_bytes_max
        file = pq.ParquetFile(pa.BufferReader(whole.read_buffer()) if is_small else whole)
        return file.read(use_threads=file.metadata.num_rows > _ROW_GROUP_ROWS)


def _write(function: str, result: object, target: str) -> None:
    if isinstance(result, pa.Table):
        _hold_columns(function, result.schema)
        with io_translated(target):
            _write_table(result, target)
        return
    if isinstance(result, pa.RecordBatchReader):
        reader = result
    elif hasattr(result, "__arrow_c_stream__"):
        reader = pa.RecordBatchReader.from_stream(result)
    else:
        raise broken(
            "python_result",
            f"{function} returned {_article(type(result).__name__)}",
            where=function,
            hint="return a pyarrow.Table, a RecordBatchReader or anything with an Arrow stream",
        )
    _hold_columns(function, reader.schema)
    with reader:
        _write_batches(reader, target)


def _write_table(table: pa.Table, target: str) -> None:
    if table.nbytes > _small_bytes_max:
        with pa.OSFile(target, "wb") as file:
            pq.write_table(table, file, compression="lz4", row_group_size=_ROW_GROUP_ROWS)
        return
    whole = pa.BufferOutputStream()
    pq.write_table(table, whole, compression="lz4", row_group_size=_ROW_GROUP_ROWS)
    write_new(target, memoryview(whole.getvalue()), synced=False)


def _write_batches(reader: pa.RecordBatchReader, target: str) -> None:
    """What the disk says is told as such, and what the function raises as its own."""
    with io_translated(target):
        writer = pq.ParquetWriter(target, reader.schema, compression="lz4")
    try:
        for batch in reader:
            with io_translated(target):
                writer.write_batch(batch, row_group_size=_ROW_GROUP_ROWS)
    finally:
        with io_translated(target):
            writer.close()


def _hold_columns(function: str, schema: pa.Schema) -> None:
    names = [name.lower() for name in schema.names]
    if not names or len(set(names)) < len(names):
        what = "two columns of one name" if names else "no columns"
        raise broken(
            "python_result",
            f"{function} returned a table with {what}",
            where=function,
            hint="columns are told apart without regard to capital letters",
        )


def _article(type_name: str) -> str:
    if type_name == "NoneType":
        return "nothing"
    return f"an {type_name}" if type_name[:1].lower() in "aeiou" else f"a {type_name}"


def _raised(error: Exception, folder: Path, root: str) -> StepBroken:
    """The report of an exception; its traceback, without our own frames, goes to stderr, which is
    the step's log where nobody looks on."""
    lines = traceback.format_exception(type(error), error, _without_ours(error.__traceback__))
    text = "".join(lines)
    sys.stderr.write(text.replace(str(folder), root) if root else text)
    message = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    where = ""
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename.startswith(str(folder)):
            where = f"{os.path.relpath(frame.filename, folder)}:{frame.lineno}"
    place = "on stderr" if root else "in the step's log"
    return broken("python_error", message[:2000], where=where, hint=f"the traceback is {place}")


_OURS = frozenset({__file__, bundle.__file__, importlib.__file__})


def _without_ours(trace: TracebackType | None) -> TracebackType | None:
    """The frames of the user's code and of what it has called."""
    frames = []
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if file not in _OURS and not file.startswith("<frozen importlib"):
            frames.append(trace)
        trace = trace.tb_next
    for frame, following in zip(frames, [*frames[1:], None], strict=True):
        frame.tb_next = following
    return frames[0] if frames else None
