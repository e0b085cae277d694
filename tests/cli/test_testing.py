"""What `test` tells of a test that could not be run."""

from pathlib import Path

import pytest

from runtime.cli.exits import Exit
from runtime.cli.parsing import parse
from runtime.cli.testing import Test
from tests.cli.consoles import plain_console, printed

pytestmark = pytest.mark.anyio

PIPELINE = """
pipeline: sums
sources: {numbers: {kind: csv, path: numbers.csv, columns: {id: integer}}}
steps:
  - {id: raw, kind: ingest, source: numbers}
  - {id: made, kind: transform, input: raw, python: "steps:made"}
tests:
  - name: one
    given: {raw: [{id: 1}]}
    expect: {made: [{id: 1}]}
"""


async def test_a_python_error_names_the_users_file_and_a_traceback_that_is_there(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sums.yaml").write_text(PIPELINE)
    (tmp_path / "numbers.csv").write_text("id\n1\n")
    (tmp_path / "steps.py").write_text("def made(raw):\n    raise KeyError('no such plane')\n")
    console = plain_console()
    ended = await parse(Test, [str(tmp_path / "sums.yaml")]).execute(console)
    assert ended is Exit.FAILED
    told = printed(console)
    assert "made: KeyError: 'no such plane' (steps.py:2)" in told
    assert "→ the traceback is on stderr" in told
    traceback = capfd.readouterr().err
    assert f'File "{tmp_path / "steps.py"}", line 2, in made' in traceback
    assert "headwater-test-" not in traceback
