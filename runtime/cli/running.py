"""run, watch, retry, cancel."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Protocol

from domain.errors import NotFound, Rejection, Unavailable
from runtime.cli.console import Console
from runtime.cli.exits import Exit, Usage
from runtime.cli.files import is_file_name, read_file, register
from runtime.cli.following import follow_and_tell
from runtime.cli.latest import resolve_run
from runtime.cli.output import print_document
from runtime.cli.parsing import Argument, Command, InEnvironment, Option, did_you_mean
from runtime.cli.sessions import Serving, Way
from runtime.session import Document, Session


class Run(InEnvironment):
    """Start a run and follow it to its end.

    FILE runs as a draft: checked, and pinned to this run, without changing what NAME stands for.
    NAME runs what was last applied under it. A step that was done before, by any run, on the same
    content is not done again: its result is reused.

    Where no service holds the data directory, one is started for as long as the run needs it;
    Ctrl-C then cancels the run. Where one does, the run is its, and Ctrl-C only stops watching.
    """

    examples: ClassVar = (
        ("headwater run flights.yaml", "run a file, and see it happen"),
        ("headwater run flights --param min_month=6", "run what was applied, with a parameter"),
        ("headwater run flights.yaml --json | jq .status", "for scripts: the run as one object"),
        ("headwater run flights.yaml --detach", "start it and come back at once"),
        ("headwater run flights.yaml --fresh raw", "do one step anew, and what that changes"),
    )

    target: Annotated[str, Argument("FILE|NAME", "pipeline file, or name of a pipeline")]
    param: Annotated[tuple[str, ...], Option("value of a parameter", "NAME=VALUE", short="p")] = ()
    no_cache: Annotated[bool, Option("reuse nothing of earlier runs")] = False
    fresh: Annotated[tuple[str, ...], Option("a step to do anew in any case", "STEP")] = ()
    detach: Annotated[bool, Option("come back as soon as the run has started", short="d")] = False
    take_over: Annotated[bool, Option("take a name that belongs to another project")] = False
    nats: Annotated[str, Option("a NATS server to use instead of our own", "URL")] = ""
    store: Annotated[str, Option("sqlite, memory to forget, or a database", "STORE")] = ""

    async def execute(self, console: Console) -> Exit:
        """Register a draft if it is a file, start, follow."""
        params = parameters(self.param)
        named = not is_file_name(self.target)
        way = Way(self, None if named else Path(self.target), nats=self.nats, store=self.store)
        file = None if named else await read_file(Path(self.target), way.sourced)
        way_in = way.detached() if self.detach else way.serving(console)
        async with way_in as serving:
            payload: dict[str, Any] = {"pipeline": self.target, "params": params}
            payload |= {"env": way.project.env} if way.project.env else {}
            payload |= {"no_cache": True} if self.no_cache else {}
            payload |= {"fresh": list(self.fresh)} if self.fresh else {}
            if file is not None:
                more = {"draft": True, **({"take_over": True} if self.take_over else {})}
                reply = await register(serving.session, file, way.project, more)
                for text in reply.get("warnings") or ():
                    console.warn(text)
                payload |= {"pipeline": reply["pipeline"], "revision": reply["revision"]}
            started = await _start(serving.session, payload)
            return await go_on(self, console, serving, started)


class Retry(Command):
    """Run again what has not succeeded.

    A new run takes over the results of the steps that succeeded, and does the others. The old run
    stays as it is.
    """

    examples: ClassVar = (
        ("headwater retry", "retry the newest run"),
        ("headwater retry RUN --from flown", "do flown anew, and what that changes"),
    )

    run: Annotated[str, Argument("RUN", "id of the run; the newest one if left out")] = ""
    from_: Annotated[str, Option("first step to do again", "STEP", name="from")] = ""
    detach: Annotated[bool, Option("come back as soon as the run has started", short="d")] = False

    async def execute(self, console: Console) -> Exit:
        """Start the new run and follow it."""
        way = Way(self)
        way_in = way.detached() if self.detach else way.serving(console)
        async with way_in as serving:
            payload = {"run": await resolve_run(serving.session, self.run)}
            if self.from_:
                payload["from"] = self.from_
            started = await serving.session.command("run.retry", payload)
            return await go_on(self, console, serving, started)


class Watch(Command):
    """Follow a run that goes on. Ctrl-C stops watching and leaves the run alone."""

    examples: ClassVar = (
        ("headwater watch", "the newest run"),
        ("headwater watch RUN --json", "wait for its end, then print it as one object"),
    )

    run: Annotated[str, Argument("RUN", "id of the run; the newest one if left out")] = ""

    async def execute(self, console: Console) -> Exit:
        """Follow it; a run that nobody works on now is shown as it stands."""
        way = Way(self)
        async with way.reading() as session:
            run = await resolve_run(session, self.run)
            shown = await session.query("monitoring.run", {"run": run})
            if shown["status"] == "running" and await way.holder() is None:
                raise Unavailable(
                    f"run {run} is open, but no service is working on it",
                    hint="start one: headwater up",
                )
            return await follow_and_tell(console, Serving(session), run, json=self.json)


class Cancel(Command):
    """Stop a run. Steps in work are ended; what has succeeded stays."""

    examples: ClassVar = (
        ("headwater cancel RUN", "stop it"),
        ('headwater cancel RUN --reason "wrong month"', "and say why"),
    )

    run: Annotated[str, Argument("RUN", "id of the run")]
    reason: Annotated[str, Option("why, for those who look at it later", "TEXT")] = ""

    async def execute(self, console: Console) -> Exit:
        """Ask for it."""
        async with Way(self).reading() as session:
            run = await resolve_run(session, self.run)
            reply = await session.command("run.cancel", {"run": run, "reason": self.reason})
        if self.json:
            print_document(console, reply)
        elif reply["events"]:
            console.note(f"Run {run} is being cancelled.")
        else:
            console.note(f"Run {run} was being cancelled already.")
        return Exit.DONE


def parameters(given: tuple[str, ...]) -> dict[str, str]:
    """`NAME=VALUE` texts as an object; the pipeline's types read the values."""
    params: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise Usage(f"--param {text}: write it as NAME=VALUE")
        if name in params:
            raise Usage(f"--param {name} is given twice")
        params[name] = value
    return params


async def _start(session: Session, payload: Document) -> Document:
    try:
        return await session.command("run.start", payload)
    except Rejection as rejection:
        if rejection.code != "pipeline_not_found":
            raise
    name = str(payload["pipeline"])
    known = await session.query("monitoring.pipelines", {"limit": 100})
    names = [str(item["pipeline"]) for item in known["items"]]
    hint = did_you_mean(name, names) or (
        "`headwater pipelines` lists them" if names else "register one: headwater apply FILE"
    )
    raise NotFound(f"there is no pipeline {name!r}", hint=hint)


class Starting(Protocol):
    """A command that starts a run."""

    detach: bool
    json: bool


async def go_on(command: Starting, console: Console, serving: Serving, started: Document) -> Exit:
    """Follow a run that was just started, or tell its id where nobody wants to follow it."""
    run = str(started["run"])
    if command.detach:
        if command.json:
            print_document(console, started)
        else:
            console.print(run)
            console.note(f"Started. Watch it: headwater watch {run}")
        return Exit.DONE
    since = int(started["position"])
    return await follow_and_tell(console, serving, run, json=command.json, since=since)
