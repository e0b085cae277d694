"""Which events are asked for, and where the next page begins."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.errors import TimedOut, Unavailable
from runtime.cli.events import Events, moment_of
from runtime.cli.exits import Usage
from runtime.session import Document, Session

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90s", "2026-11-23T11:58:30+00:00"),
        ("2h", "2026-11-23T10:00:00+00:00"),
        ("7d", "2026-11-16T12:00:00+00:00"),
        ("2026-11-23T08:00:00+01:00", "2026-11-23T07:00:00+00:00"),
    ],
)
def test_since(text: str, moment: str) -> None:
    assert moment_of(text, NOW) == moment


@pytest.mark.parametrize("text", ["yesterday", "2 h", "-2h", ""])
def test_since_that_cannot_be_read(text: str) -> None:
    with pytest.raises(Usage, match="--since cannot be"):
        moment_of(text, NOW)


def _event(position: int) -> Document:
    return {"position": position, "recorded_at": None, "tag": "run.started.v1", "data": {}}


class PagedSession(Session):
    """A session that has these pages of events, and then nothing more."""

    def __init__(self, *pages: Document | None) -> None:
        self._pages = list(pages)
        self.asked: list[Mapping[str, Any]] = []

    async def query(self, name: str, arguments: Mapping[str, Any]) -> Document:
        self.asked.append(dict(arguments))
        if not self._pages:
            raise Unavailable("the service has ended")
        page = self._pages.pop(0)
        if page is None:
            raise TimedOut("nothing new")
        return page

    async def command(self, command: str, payload: Mapping[str, Any]) -> Document:
        raise Unavailable("not here")

    async def definition(self, pipeline: str, revision: int) -> Document:
        raise NotImplementedError

    async def request(self, subject: str, payload: bytes) -> bytes:
        raise Unavailable("not here")

    async def services(self) -> Document:
        raise Unavailable("not here")

    async def verify(self, *, repair: bool) -> Document:
        raise Unavailable("not here")

    async def replay(self, view: str) -> Document:
        raise Unavailable("not here")


def _page(*positions: int, head: int, more: str | None = None) -> Document:
    return {"items": [_event(one) for one in positions], "next": more, "position": head}


async def _positions(command: Events, session: Session) -> list[int]:
    found: list[int] = []
    try:
        async for items in command.pages(session):
            found += [item["position"] for item in items]
    except Unavailable:
        assert command.follow
    return found


@pytest.mark.anyio
async def test_page_by_page_to_the_end() -> None:
    session = PagedSession(_page(1, 2, head=9, more="2"), _page(5, head=9))
    assert await _positions(Events(tag="run.started"), session) == [1, 2, 5]
    assert [asked.get("after") for asked in session.asked] == [None, 2]
    assert all(asked["tag"] == "run.started" for asked in session.asked)


@pytest.mark.anyio
async def test_no_more_than_the_limit() -> None:
    session = PagedSession(_page(1, 2, head=9, more="2"), _page(3, head=9, more="3"))
    assert await _positions(Events(limit=3), session) == [1, 2, 3]
    assert [asked["limit"] for asked in session.asked] == [3, 1]


@pytest.mark.anyio
async def test_following_begins_behind_what_was_looked_at() -> None:
    session = PagedSession(
        _page(1, head=9), None, _page(head=9), _page(12, head=11), _page(head=14)
    )
    assert await _positions(Events(follow=True, after=0), session) == [1, 12]
    waited = [asked.get("min_position") for asked in session.asked]
    assert waited == [None, 10, None, 10, 13, 15]
    assert [asked["after"] for asked in session.asked] == [0, 9, 9, 9, 12, 14]


@pytest.mark.anyio
async def test_following_from_now_on() -> None:
    session = PagedSession(_page(head=7), _page(8, head=8))
    assert await _positions(Events(follow=True), session) == [8]
    assert session.asked[1]["after"] == 7
