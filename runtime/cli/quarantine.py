"""quarantine."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from anyio import to_thread
from msgspec import Meta

from domain.errors import NotFound
from domain.pipeline.names import did_you_mean
from runtime.cli import words
from runtime.cli.console import Console
from runtime.cli.exits import Exit, Usage
from runtime.cli.latest import LAST, resolve_run
from runtime.cli.output import print_list
from runtime.cli.parsing import Argument, Listing, Option
from runtime.cli.rows import kept, print_rows
from runtime.cli.running import go_on
from runtime.cli.sessions import Way
from runtime.cli.table import Column, key
from runtime.session import Document, Session


def _became(item: Mapping[str, Any]) -> str:
    if item["settled_by"]:
        return f"{words.count(item['readmitted'])} put back"
    status = "failed" if item["failed"] else "open"
    return status if item["kept"] else f"{status}, rows gone"


COLUMNS = (
    Column(title="run", text=key("run")),
    Column(title="pipeline", text=key("pipeline"), gives_way=True),
    Column(title="step", text=key("step")),
    Column(title="rows", text=lambda item: words.count(item["rows"]), right=True),
    Column(title="of", text=lambda item: words.count(item["rows_in"]), right=True, spare=2),
    Column(title="status", text=_became),
    Column(title="by run", text=lambda item: str(item["settled_by"] or ""), spare=1),
    Column(title="made", text=lambda item: words.moment(item["recorded_at"]), style="dim", spare=3),
)

_TABLE = """
select headwater_line, headwater_reason,
    * exclude (headwater_line, headwater_reason, headwater_rule, headwater_source)
from data
"""
"""What matters first, for eyes."""

_AT_ONCE = 20


class Quarantine(Listing):
    """See rows set apart, put them back.

    `list` shows what steps have set apart and nobody has put back. `show` prints the rows of one
    of them, each with the rule it breaks, the reason, the file and the line. `redo` starts a new
    run, in which the step yields its other rows and those that keep its rules now; what follows
    sees all of them, and the old run stays as it is.

    Rows are mended in a file that `show` has written (-o csv or -o jsonl): change values, leave
    headwater_line as it is; rows that are left out stay set apart. RUN is the newest run with an
    open quarantine (of STEP) where it is left out or `last`, STEP the only step that has one.
    """

    examples: ClassVar = (
        ("headwater quarantine list", "what is set apart, newest first"),
        ("headwater quarantine show", "the newest rows, and why"),
        ("headwater quarantine show RUN raw -o csv > mended.csv", "to mend them"),
        ("headwater quarantine redo RUN raw --with mended.csv", "put them back"),
        ("headwater quarantine redo RUN raw --revision 4", "rules have changed: try them again"),
    )

    action: Annotated[Literal["list", "show", "redo"], Argument("list|show|redo", "what to do")]
    run: Annotated[str, Argument("RUN", "the run; the newest that fits if left out")] = ""
    step: Annotated[str, Argument("STEP", "its step; the only one that fits if left out")] = ""
    with_: Annotated[str, Option("mended rows: a CSV file, or JSON lines", "FILE", name="with")] = (
        ""
    )
    revision: Annotated[int | None, Option("try the rows with this revision", "NUMBER")] = None
    detach: Annotated[bool, Option("come back as soon as the run has started", short="d")] = False
    pipeline: Annotated[str, Option("list those of one pipeline", "NAME")] = ""
    all: Annotated[bool, Option("list those that were put back, too")] = False
    limit: Annotated[
        Annotated[int, Meta(ge=1, le=1_000_000)] | None,
        Option("at most so many rows, or lines of a list", "N"),
    ] = None

    async def execute(self, console: Console) -> Exit:
        """Do what was asked."""
        if self.action == "list" and self.step:
            raise Usage(f"quarantine list takes no {self.step!r}")
        match self.action:
            case "list":
                return await self._list(console)
            case "show":
                return await self._show(console)
            case "redo":
                return await self._redo(console)

    async def _list(self, console: Console) -> Exit:
        asked: dict[str, Any] = {"limit": min(self.limit or 100, 1000)}
        asked |= {} if self.all else {"status": "open"}
        asked |= {"pipeline": self.pipeline} if self.pipeline else {}
        way = Way(self)
        async with way.reading() as session:
            if self.run:
                asked |= {"run": await resolve_run(session, self.run)}
            found = await session.query("lineage.quarantines", asked)
            if self.pipeline and not found["items"]:
                await session.query("monitoring.pipeline", {"pipeline": self.pipeline})
        there = await _kept_among(way, found["items"])
        found["items"] = [{**one, "kept": one["fingerprint"] in there} for one in found["items"]]
        nothing = "Nothing is set apart." if not self.all else "Nothing was ever set apart."
        print_list(console, self.form, found, COLUMNS, nothing=nothing)
        return Exit.DONE

    async def _show(self, console: Console) -> Exit:
        from runtime.wiring.files import read_rows  # the engine is slow to import

        way, is_table = Way(self), self.form == "table"
        async with way.reading() as session:
            one = await find(session, self.run, self.step)
        await _hold_kept(way, one)
        limit = self.limit or (_AT_ONCE if is_table else 1_000_000)
        sql = _TABLE if is_table else ""
        path = await kept(way, one)
        rows = await to_thread.run_sync(read_rows, path, sql, limit)
        print_rows(console, self.form, rows, one, whole=True)
        if is_table and not one["settled_by"]:
            put = f"headwater quarantine redo {one['run']} {one['step']} --with FILE"
            console.note(f"Write them to a file with -o csv, mend it, then: {put}")
        return Exit.DONE

    async def _redo(self, console: Console) -> Exit:
        if not self.with_ and self.revision is None:
            raise Usage(
                "quarantine redo needs --with FILE or --revision NUMBER",
                hint="`headwater quarantine show RUN STEP -o csv` writes a file to mend",
            )
        rows = _whole(self.with_) if self.with_ else ""
        way = Way(self)
        way_in = way.detached() if self.detach else way.serving(console)
        async with way_in as serving:
            one = await find(serving.session, self.run, self.step)
            await _hold_kept(way, one)
            if rows:
                await to_thread.run_sync(_hold_rows, rows, await kept(way, one))
            payload: dict[str, Any] = {"run": one["run"], "step": one["step"]}
            payload |= {"rows": rows} if rows else {}
            payload |= {"revision": self.revision} if self.revision is not None else {}
            await _warn_of_newer(console, serving.session, one)
            started = await serving.session.command("run.redo", payload)
            return await go_on(self, console, serving, started)


async def find(session: Session, run: str, step: str) -> Document:
    """The quarantine of `step` of `run`: of the newest run with an open one where `run` is empty or
    `last`, and of the only step that has one where `step` is empty. Raises `NotFound`, `Usage`."""
    is_named = run not in ("", LAST)
    asked = {"run": await resolve_run(session, run)} if is_named else {"status": "open"}
    found = await session.query("lineage.quarantines", {"limit": 1000, **asked})
    there = found["items"]
    items = [one for one in there if not step or one["step"] == step]
    if not items:
        of = f"step {step} of " if step else ""
        if is_named:
            message = f"{of}run {asked['run']} has set nothing apart"
        else:
            message = f"{of}no run has rows set apart that nobody put back"
        near = did_you_mean(step, sorted({str(one["step"]) for one in there})) if step else ""
        raise NotFound(message, hint=near or "headwater quarantine list --all")
    items = [one for one in items if one["run"] == items[0]["run"]]
    if len(items) > 1:
        steps = ", ".join(sorted(str(one["step"]) for one in items))
        raise Usage(
            f"several steps of run {items[0]['run']} have set rows apart: say which of {steps}"
        )
    return {**items[0], "position": found["position"]}


async def _kept_among(way: Way, items: Sequence[Document]) -> frozenset[str]:
    """Fingerprints of those whose rows are here, or in the bucket."""
    names = frozenset(str(one["fingerprint"]) for one in items)
    here = frozenset(name for name in names if way.datadir.dataset(name).is_file())
    if not way.settings.datasets or here == names:
        return here
    from runtime.wiring.datasets import kept_among  # most have none

    return here | await to_thread.run_sync(kept_among, way.settings, names - here)


async def _hold_kept(way: Way, one: Document) -> None:
    """Raise `NotFound` where its rows are not there any more."""
    if one["fingerprint"] not in await _kept_among(way, [one]):
        raise NotFound(
            f"the rows that step {one['step']} of run {one['run']} has set apart are gone from "
            f"{way.datadir.path}",
            hint=f"a new run sets its own apart: headwater run {one['pipeline']}",
        )


def _hold_rows(rows: str, quarantine: Path) -> None:
    """Raise `Malformed` where the mended rows are none of those that were set apart."""
    from runtime.wiring.mended import hold_mended  # the engine is slow to import

    hold_mended(rows, quarantine)


async def _warn_of_newer(console: Console, session: Session, one: Document) -> None:
    """What a newer run has written is replaced by the rows of the older one."""
    newest = await session.query("monitoring.runs", {"pipeline": one["pipeline"], "limit": 1})
    run = str(newest["items"][0]["run"])
    if run != one["run"]:
        console.warn(
            f"run {run} of {one['pipeline']} is newer: where both write to one place, these rows "
            f"replace its"
        )


def _whole(path: str) -> str:
    """The absolute path of a file. Raises `NotFound`."""
    if not Path(path).is_file():
        raise NotFound(f"there is no file {path}")
    return str(Path(path).resolve())
