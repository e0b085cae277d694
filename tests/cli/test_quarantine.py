"""What the command `quarantine` asks for before it looks at anything."""

from pathlib import Path

import pytest

from domain.errors import NotFound
from runtime.cli.exits import Usage
from runtime.cli.parsing import parse
from runtime.cli.quarantine import Quarantine
from tests.cli.consoles import plain_console

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["redo", "last", "raw"], "needs --with FILE or --revision NUMBER"),
        (["list", "last", "raw"], "quarantine list takes no 'raw'"),
        (["drop"], "one of list, show, redo"),
        ([], "list|show|redo"),
    ],
)
async def test_what_it_cannot_do_is_a_mistake_of_usage(words: list[str], said: str) -> None:
    with pytest.raises(Usage) as refused:
        await parse(Quarantine, words).execute(plain_console())
    assert said in refused.value.message


async def test_a_file_of_mended_rows_has_to_be_there(tmp_path: Path) -> None:
    words = ["redo", "last", "raw", "--with", str(tmp_path / "nothing.csv")]
    with pytest.raises(NotFound, match=r"there is no file .*nothing\.csv"):
        await parse(Quarantine, words).execute(plain_console())
