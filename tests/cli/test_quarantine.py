"""What the command `quarantine` asks for before it looks at anything."""

from pathlib import Path

import msgspec
import pytest

from adapters.eventstore.sqlite import SqliteEventStore
from domain.errors import NotFound
from domain.record import from_record
from runtime.cli.console import Console
from runtime.cli.exits import Usage
from runtime.cli.parsing import Command, parse
from runtime.cli.quarantine import Quarantine, find
from runtime.cli.sessions import Way
from runtime.datadir import DataDir
from runtime.session import Document
from tests.cli.consoles import plain_console, printed
from tests.projections.desk import EVENTS

pytestmark = pytest.mark.anyio


@pytest.fixture
async def data(tmp_path: Path) -> Path:
    """A data directory whose newest run has set nothing apart, and older ones have."""
    directory = DataDir(tmp_path)
    directory.make()
    async with SqliteEventStore.open(directory.events) as store:
        for record in EVENTS:
            await store.append(record.stream, record.version - 1, [from_record(record)])
    return tmp_path


async def _done(data: Path, *words: str) -> Console:
    console = plain_console()
    await parse(Quarantine, [*words, "--data", str(data)]).execute(console)
    return console


async def _open(data: Path) -> list[Document]:
    found = msgspec.json.decode(printed(await _done(data, "list", "--json")))
    return list(found["items"])


def _keep(data: Path, *quarantines: Document) -> None:
    for one in quarantines:
        path = DataDir(data).dataset(one["fingerprint"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


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


@pytest.mark.parametrize("run", ["", "last"])
async def test_last_is_the_newest_run_with_an_open_quarantine(data: Path, run: str) -> None:
    newest = (await _open(data))[0]
    async with Way(Command(data=str(data))).reading() as session:
        assert (await find(session, run, "raw"))["run"] == newest["run"]
        runs = await session.query("monitoring.runs", {"limit": 1})
        assert runs["items"][0]["run"] != newest["run"]


async def test_a_step_that_set_nothing_apart_is_told_with_its_run_and_those_that_did(
    data: Path,
) -> None:
    newest = (await _open(data))[0]["run"]
    async with Way(Command(data=str(data))).reading() as session:
        with pytest.raises(NotFound) as told:
            await find(session, newest, "rwa")
        assert told.value.message == f"step rwa of run {newest} has set nothing apart"
        assert told.value.hint == "did you mean `raw`?"
        with pytest.raises(NotFound) as told:
            await find(session, "last", "rwa")
        assert "last" not in told.value.message
        assert told.value.hint == "did you mean `raw`?"


async def test_a_pipeline_that_does_not_exist_is_told(data: Path) -> None:
    with pytest.raises(NotFound, match="there is no pipeline 'flihgts'") as told:
        await _done(data, "list", "--pipeline", "flihgts")
    assert told.value.hint == "did you mean flights?"


async def test_rows_that_are_gone_are_told_as_gone(data: Path) -> None:
    newest, older = await _open(data)
    assert (newest["kept"], older["kept"]) == (False, False)
    _keep(data, newest)
    assert [one["kept"] for one in await _open(data)] == [True, False]
    listed = printed(await _done(data, "list")).splitlines()
    assert ["rows gone" in line for line in listed[1:]] == [False, True]
    gone = rf"the rows that step raw of run {older['run']} has set apart are gone from {data}"
    with pytest.raises(NotFound, match=gone) as told:
        await _done(data, "show", older["run"], "raw")
    assert told.value.hint == "a new run sets its own apart: headwater run orders"
