"""why."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar

from domain.errors import HeadwaterError
from runtime.cli import words
from runtime.cli.console import Console
from runtime.cli.exits import Exit, Usage
from runtime.cli.latest import LAST, resolve_run
from runtime.cli.output import print_document
from runtime.cli.parsing import Argument, Command
from runtime.cli.sessions import Way
from runtime.cli.table import Column, key, render
from runtime.session import Document, Session


class Why(Command):
    """Tell what led to something, and what it waits for.

    Of a run, a step or a dataset. Each line is an event: what was decided, when, by which command,
    and who sent that.
    """

    examples: ClassVar = (
        ("headwater why", "the newest run"),
        ("headwater why RUN flown", "one step of a run"),
        ("headwater why flights.punctuality", "the step that made a dataset's newest version"),
    )

    thing: Annotated[str, Argument("RUN|DATASET", "the newest run if left out")] = ""
    step: Annotated[str, Argument("STEP", "a step of the run")] = ""

    async def execute(self, console: Console) -> Exit:
        """Find out what is meant, then ask the log."""
        async with Way(self).reading() as session:
            run, step = await self._meant(session)
            asked = {"run": run, "step": step} if step else {"run": run}
            found = await session.query("events.why", asked)
        if self.json:
            print_document(console, found)
        else:
            for line in _lines(console, found):
                console.print(line)
        return Exit.DONE

    async def _meant(self, session: Session) -> tuple[str, str]:
        try:
            return await resolve_run(session, self.thing), self.step
        except Usage as no_run:
            if self.step:
                raise
            try:
                dataset = await session.query("lineage.dataset", {"dataset": self.thing})
            except HeadwaterError as no_dataset:
                raise no_dataset from no_run
        if not dataset.get("step"):
            raise Usage(
                f"{self.thing!r} lies outside, no step made it",
                hint=f"name a run, `{LAST}`, or a dataset that a step makes",
            )
        return str(dataset["run"]), str(dataset["step"])


def _lines(console: Console, found: Document) -> Iterator[str]:
    what = f"step {found['step']} of run {found['run']}" if found["step"] else f"run {found['run']}"
    status = console.styled(found["status"], words.STATUS_STYLES.get(found["status"], "bold"))
    verb = _VERBS.get(found["status"], "is")
    yield f"{found['pipeline']}: {what} {verb} {status}, because"
    yield ""
    yield from render(console, _COLUMNS, found["chain"])
    if found["omitted"]:
        yield f"and {found['omitted']} facts before the last ones"
    if found["waiting_for"]:
        yield ""
        yield "It waits for"
        for one in found["waiting_for"]:
            yield f"  {_wait(one)}"
    traces = {one["traceparent"].split("-")[1] for one in found["chain"] if one["traceparent"]}
    if traces:
        yield ""
        yield f"trace {', '.join(sorted(traces))}"


_VERBS = {"succeeded": "has", "failed": "has", "skipped": "was", "reused": "was"}
_VERBS |= {"cancelled": "was", "completed": "was"}


def _wait(one: Mapping[str, Any]) -> str:
    match one["for"]:
        case "place":
            return f"a place: {one['open']} of at most {one['parallel']} steps of the run are open"
        case "turn":
            return f"its turn: {one['before']} steps of the run wait for a worker before it"
        case "worker":
            return f"a worker that takes attempt {one['attempt']}"
    worker = f", in the hands of {one['worker']} (lease {one['lease']})" if "worker" in one else ""
    return f"{one['step']}: {one['status']}{worker}"


def says(one: Mapping[str, Any]) -> str:
    """An event in words."""
    data, fact = one["data"], one["tag"].split(".")[1]
    step = data.get("step", "")
    match fact:
        case "registered" | "revised":
            draft = " as a draft" if data.get("draft") else ""
            return f"revision {data['revision']} of {data['pipeline']} was {fact}{draft}"
        case "started":
            params = ", ".join(f"{name}={value}" for name, value in data.get("params", {}).items())
            return f"the run was started{f' with {params}' if params else ''}"
        case "step_scheduled":
            due = f", due at {words.moment(data['due'])}" if data.get("due") else ""
            return f"{step} was ready, attempt {data['attempt']}{due}"
        case "step_started":
            return f"{step} was taken by {data['worker']} (lease {data['lease']})"
        case "step_failed":
            message = str(data["error"]["message"]).partition("\n")[0]
            return f"{step} failed, attempt {data['attempt']}: {message}"
        case "step_skipped":
            return f"{step} was skipped, because {data['because']} failed"
        case "step_reused":
            return f"{step} was taken over from run {data['from_run']}"
        case "cancel_requested" | "cancelled":
            reason = f": {data['reason']}" if data.get("reason") else ""
            return ("a stop was asked for" if fact != "cancelled" else "the run stopped") + reason
        case "completed":
            return "every step has succeeded"
        case "failed":
            return f"{data['failed']} steps failed, first {step}; {data['skipped']} were skipped"
    rows = data.get("rows_out")
    return f"{step} succeeded{'' if rows is None else f' with {rows:,} rows'}"


_COLUMNS = (
    Column(title="position", text=key("position"), right=True, spare=3, style="dim"),
    Column(title="when", text=lambda one: words.moment(one["recorded_at"]), spare=2, style="dim"),
    Column(title="what", text=says, gives_way=True),
    Column(title="command", text=key("command_type"), spare=4),
    Column(title="who", text=key("principal"), gives_way=True, spare=1),
)
