"""Every command by name: enough to show the help, without importing any of them."""

from typing import NamedTuple


class Entry(NamedTuple):
    """A command, and where it is written."""

    name: str
    place: str
    """Module below `runtime.cli` and class in it."""
    summary: str


class Group(NamedTuple):
    """Commands that belong together."""

    title: str
    entries: tuple[Entry, ...]


GROUPS = (
    Group(
        "Run",
        (
            Entry("run", "running:Run", "Start a run and follow it to its end"),
            Entry("watch", "running:Watch", "Follow a run that goes on"),
            Entry("retry", "running:Retry", "Run again what has not succeeded"),
            Entry("cancel", "running:Cancel", "Stop a run"),
            Entry("up", "hosting:Up", "Start the service and stay"),
        ),
    ),
    Group(
        "Pipelines",
        (
            Entry("init", "starting:Init", "Make a small project to start from"),
            Entry("check", "defining:Check", "Find the mistakes in pipeline files"),
            Entry("test", "testing:Test", "Run the tests that stand in pipeline files"),
            Entry("plan", "planning:Plan", "Show what would change and run, without doing it"),
            Entry("contract", "contracts:Contract", "Make a contract from data, or test data"),
            Entry("apply", "defining:Apply", "Register pipeline files, ready to run by name"),
            Entry("pipelines", "pipelines:Pipelines", "List pipelines"),
            Entry("pause", "pipelines:Pause", "Let no run of a pipeline start"),
            Entry("resume", "pipelines:Resume", "Let runs of a pipeline start again"),
            Entry("retire", "pipelines:Retire", "Take a pipeline out of use"),
            Entry("schema", "defining:Schema", "Print the JSON Schema of pipeline files"),
        ),
    ),
    Group(
        "Look",
        (
            Entry("runs", "runs:Runs", "List runs, newest first"),
            Entry("show", "runs:Show", "Show a run with all its steps"),
            Entry("checks", "checks:Checks", "Show what every rule found, run by run"),
            Entry("why", "why:Why", "Tell what led to something, and what it waits for"),
            Entry("logs", "logs:Logs", "Print what the steps of a run have written"),
            Entry("datasets", "datasets:Datasets", "List datasets with their newest version"),
            Entry("data", "datasets:Data", "Print rows of a dataset"),
            Entry("quarantine", "quarantine:Quarantine", "See rows set apart, put them back"),
            Entry("lineage", "lineage:Lineage", "Show where a dataset comes from and goes to"),
            Entry("events", "events:Events", "Print events, the facts behind everything"),
        ),
    ),
    Group(
        "Prove and operate",
        (
            Entry("verify", "proof:Verify", "Prove that every view is what the events say"),
            Entry("replay", "proof:Replay", "Rebuild a view from the events"),
            Entry("backup", "backups:Backup", "Copy the events into a new folder"),
            Entry("restore", "backups:Restore", "Put a backup into an empty data directory"),
            Entry("retain", "retaining:Retain", "Seal the events of runs that ended long ago"),
            Entry("gc", "collecting:Gc", "Drop datasets that were used longest ago"),
            Entry("services", "operating:Services", "List who is there, and how they are"),
            Entry("send", "operating:Send", "Send a message to any subject, print the answer"),
            Entry("doctor", "doctor:Doctor", "Look for what is wrong with this installation"),
            Entry("version", "operating:Version", "Print versions"),
        ),
    ),
)

ENTRIES = {entry.name: entry for group in GROUPS for entry in group.entries}

EXAMPLES = (
    ("headwater run flights.yaml", "run a file, and see it happen"),
    ("headwater show", "the newest run, step by step"),
    ("headwater data flights.punctuality", "rows of a result"),
    ("headwater lineage flights.punctuality", "what it was made from"),
)
