"""events."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from domain.errors import TimedOut
from runtime.cli import words
from runtime.cli.console import Console
from runtime.cli.exits import Exit, Usage
from runtime.cli.latest import resolve_run
from runtime.cli.output import print_csv, print_line
from runtime.cli.parsing import Listing, Option
from runtime.cli.sessions import Way
from runtime.cli.table import Column, key, render
from runtime.session import Document, Session, follow_seconds

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_PAGE = 1000
_NAMED = ("pipeline", "step", "worker", "because", "reason")
_MANY = (("steps", "step"), ("edges", "column edge"))


def _about(item: Mapping[str, Any]) -> str:
    data: Mapping[str, Any] = item["data"] or {}
    told = [str(data[name]) for name in _NAMED if data.get(name)]
    told += [words.plural(_number(data[name]), noun) for name, noun in _MANY if data.get(name)]
    outcome = data.get("outcome")
    if isinstance(outcome, dict) and outcome.get("rows_out") is not None:
        told.append(words.plural(outcome["rows_out"], "row"))
    error = data.get("error")
    if isinstance(error, dict):
        told.append(str(error.get("message", "")).partition("\n")[0])
    return "  ".join(told) or str(item.get("problem") or "")


def _number(value: Any) -> int:
    return value if isinstance(value, int) else len(value)


_CSV = (
    "position",
    "event_id",
    "stream",
    "version",
    "tag",
    "recorded_at",
    "principal",
    "command_id",
    "command_type",
    "correlation_id",
    "causation_id",
    "traceparent",
    "data",
)

COLUMNS = (
    Column(title="position", text=lambda item: str(item["position"]), right=True, style="dim"),
    Column(title="time", text=lambda item: words.moment(item["recorded_at"])[5:], style="dim"),
    Column(title="event", text=lambda item: str(item["tag"]).rpartition(".")[0]),
    Column(title="about", text=_about, gives_way=True),
    Column(title="by", text=key("principal"), gives_way=True, style="dim"),
)


class Events(Listing):
    """Print events, the facts behind everything, oldest first.

    As JSON they are one object a line: {"position", "event_id", "stream", "version", "tag",
    "recorded_at", "principal", "command_id", "correlation_id", "causation_id", "traceparent",
    "data"}.
    """

    examples: ClassVar = (
        ("headwater events --run RUN", "everything that happened in a run"),
        ("headwater events --tag run.failed --since 24h", "what failed today"),
        ("headwater events --follow --json", "from now on, as they happen"),
    )

    run: Annotated[str, Option('only of this run ("last": the newest one)', "RUN")] = ""
    pipeline: Annotated[str, Option("only of this pipeline, its runs included", "NAME")] = ""
    tag: Annotated[str, Option("only of this kind, such as run.failed", "TAG")] = ""
    since: Annotated[
        str, Option("only from this moment on: ISO 8601, or 90s 15m 2h 7d", "TIME")
    ] = ""
    after: Annotated[int | None, Option("only behind this position", "POSITION")] = None
    limit: Annotated[Annotated[int, Meta(ge=1)] | None, Option("at most so many", "N")] = None
    follow: Annotated[bool, Option("go on with new ones as they happen", short="f")] = False

    async def execute(self, console: Console) -> Exit:
        """Read page by page, and then, if asked, wait for more."""
        first = True
        async with Way(self).reading() as session:
            async for items in self.pages(session):
                self._print(console, items, first=first)
                first = first and not items
        return Exit.DONE

    async def pages(self, session: Session) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
        """The events that were asked for, as they come."""
        asked = await self._filters(session)
        left = self.limit
        if self.follow and not any((self.run, self.after is not None, self.since)):
            asked["after"] = await _head(session)
        while left != 0:
            page = await _page(session, asked, min(_PAGE, left or _PAGE))
            yield page["items"]
            left = None if left is None else left - len(page["items"])
            if not (page["next"] or self.follow):
                return
            asked["after"] = _place(page, asked)
            if not page["next"]:
                news = max(int(page["position"]), asked["after"]) + 1
                asked |= {"min_position": news, "timeout": follow_seconds}

    async def _filters(self, session: Session) -> Document:
        asked: Document = {}
        if self.run:
            asked["run"] = await resolve_run(session, self.run)
        if self.pipeline:
            asked["pipeline"] = self.pipeline
        if self.tag:
            asked["tag"] = self.tag
        if self.since:
            asked["since"] = moment_of(self.since, datetime.now(UTC))
        if self.after is not None:
            asked["after"] = self.after
        return asked

    def _print(self, console: Console, items: Sequence[Mapping[str, Any]], *, first: bool) -> None:
        match self.form:
            case "json" | "jsonl":
                for item in items:
                    print_line(console, item)
            case "csv":
                print_csv(console, items, _CSV, heads=first)
            case _:
                lines = render(console, COLUMNS, items) if items else []
                for line in lines if first else lines[1:]:
                    console.print(line)
                console.out.flush()


def moment_of(text: str, now: datetime, option: str = "--since") -> str:
    """`2h` ago, or a moment, as ISO 8601 in UTC. Raises `Usage`."""
    ago = re.fullmatch(r"(\d+)([smhd])", text)
    if ago is not None:
        return (now - timedelta(seconds=int(ago[1]) * _UNITS[ago[2]])).isoformat()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Usage(
            f"{option} cannot be {text!r}", hint="write it as 15m, 2h, 7d or 2026-01-31T08:00"
        ) from None
    return moment.astimezone(UTC).isoformat()


async def _page(session: Session, asked: Document, limit: int) -> Document:
    try:
        return await session.query("events.list", {**asked, "limit": limit})
    except TimedOut:
        quiet = {k: v for k, v in asked.items() if k not in ("min_position", "timeout")}
        return await session.query("events.list", {**quiet, "limit": limit})


async def _head(session: Session) -> int:
    page = await session.query("monitoring.runs", {"limit": 1})
    return int(page["position"])


def _place(page: Document, asked: Document) -> int:
    """Behind which position the next page begins: everything up to there was looked at."""
    if page["next"]:
        return int(page["next"])
    seen = [int(item["position"]) for item in page["items"][-1:]]
    return max(int(asked.get("after", 0)), int(page["position"]), *seen)
