"""Writing what a function returns: the disk's word is not taken for the function's."""

from pathlib import Path

import pytest

from adapters.engines.python import BundleFunctions
from commands.steps.ports import StepBroken

FILES = {
    "steps.py": """
import pyarrow as pa

def small():
    return pa.table({"n": [1]})

def large():
    return pa.table({"n": list(range(200_000))})

def batches():
    return small().to_reader()

def broken():
    def rows():
        yield from small().to_batches()
        raise OSError("the line is dead")
    return pa.RecordBatchReader.from_batches(small().schema, rows())
"""
}


def code_of(tmp_path: Path, function: str, target: Path) -> tuple[str, bool]:
    with pytest.raises(StepBroken) as stopped:
        BundleFunctions(tmp_path / "bundle", FILES).call(f"steps:{function}", {}, {}, str(target))
    return stopped.value.error.code, stopped.value.error.retryable


@pytest.mark.parametrize("function", ["small", "large", "batches"])
def test_rows_that_cannot_be_written_are_the_disks_fault(tmp_path: Path, function: str) -> None:
    assert code_of(tmp_path, function, tmp_path / "gone/rows.parquet") == ("io_error", True)


def test_what_a_function_raises_while_it_is_read_is_its_own_fault(tmp_path: Path) -> None:
    assert code_of(tmp_path, "broken", tmp_path / "rows.parquet") == ("python_error", False)
