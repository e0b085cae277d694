"""A pipeline's own Python: functions from its bundle, called with Arrow tables.

The bundle's modules are laid out once as files, `bundles/<hash>/…`, so that tracebacks show lines.
A process that has imported one bundle's modules never works for another one, so there is no stale
code and no clash between two projects' `steps.py`.
"""

import importlib
import inspect
import os
import platform
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from adapters.disk import io_translated
from commands.steps.ports import Functions, StepBroken, broken
from domain.pipeline.names import did_you_mean
from domain.run.events import ParamValue

_ROW_GROUP_ROWS = 122_880
"""What DuckDB reads best with several threads."""


class BundleFunctions(Functions):
    """Calls functions of one bundle, which lies in `folder`."""

    def __init__(self, folder: Path, files: Mapping[str, str]) -> None:
        self._folder = folder
        self._files = files

    @property
    def version(self) -> str:
        return f"python {platform.python_version()}, pyarrow {pa.__version__}"

    def call(
        self,
        function: str,
        inputs: Mapping[str, str],
        params: Mapping[str, ParamValue],
        target: str,
    ) -> None:
        self._lay_out()
        try:
            callee = _found(function)
            arguments = _arguments(function, callee, inputs, params)
            result = callee(**arguments)
            _write(function, result, target)
        except StepBroken:
            raise
        except Exception as error:  # whatever the user's code raises is its report
            raise _raised(error, self._folder) from error
        except SystemExit as error:
            raise broken("python_error", f"{function} ended with exit({error.code})") from error
        finally:
            sys.stdout.flush()
            sys.stderr.flush()

    def _lay_out(self) -> None:
        with io_translated(str(self._folder)):
            if not self._folder.is_dir():
                _make_bundle(self._folder, self._files)
        if str(self._folder) not in sys.path:
            sys.path.insert(0, str(self._folder))
            importlib.invalidate_caches()


def _make_bundle(folder: Path, files: Mapping[str, str]) -> None:
    draft = folder.with_name(f".{folder.name}.{uuid4().hex}")
    for path, text in files.items():
        place = (draft / path).resolve()
        if not place.is_relative_to(draft.resolve()):
            raise broken("path_outside", f"{path} leads outside its bundle", where=path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    draft.mkdir(parents=True, exist_ok=True)
    try:
        os.rename(draft, folder)
    except OSError:
        if not folder.is_dir():
            raise


def _found(function: str) -> Callable[..., object]:
    module_name, _, name = function.partition(":")
    module = importlib.import_module(module_name)
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
    arguments: dict[str, object] = {
        name: pq.ParquetFile(path).read() for name, path in inputs.items()
    }
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


def _write(function: str, result: object, target: str) -> None:
    if isinstance(result, pa.Table):
        _hold_columns(function, result.schema)
        pq.write_table(result, target, compression="lz4", row_group_size=_ROW_GROUP_ROWS)
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
    with reader, pq.ParquetWriter(target, reader.schema, compression="lz4") as writer:
        for batch in reader:
            writer.write_batch(batch, row_group_size=_ROW_GROUP_ROWS)


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


def _raised(error: Exception, folder: Path) -> StepBroken:
    """The report of an exception; its traceback, without our own frame, goes to the log."""
    trace = error.__traceback__.tb_next if error.__traceback__ else None
    traceback.print_exception(type(error), error, trace)
    message = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    where = ""
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename.startswith(str(folder)):
            where = f"{os.path.relpath(frame.filename, folder)}:{frame.lineno}"
    return broken(
        "python_error", message[:2000], where=where, hint="the traceback is in the step's log"
    )
