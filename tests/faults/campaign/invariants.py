"""Eight invariants, held against the store after the faults: I1 to I8 of `docs/reliability.md`."""

import csv
import json
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Sequence, Set
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import UUID

from eventsourcing.persistence import Notification

from domain.ids import pipeline_stream
from domain.limits import crashes_max, leases_max
from tests.faults.campaign.ledger import Ledger
from tests.faults.campaign.load import PIPELINES, ROWS
from tests.faults.campaign.systems import System

_ENDS = {
    "run.completed.v1": "completed",
    "run.failed.v1": "failed",
    "run.cancelled.v1": "cancelled",
}
_OUTCOMES = frozenset({"run.data_processed.v1", "run.step_reused.v1"})
checks_max = 100
"""Of one rule that are told at once."""

BROKEN = "broken"
"""How pipelines are called whose runs are meant to fail."""

EXCUSES = frozenset({"worker_lost"})
"""What a run may fail with where processes are killed."""

quiet_seconds_max = 30.0
"""After the last fault no run may be open for longer …"""

seconds_per_run = 0.5
"""… and what has piled up for one worker on a machine shared with others."""


class Fact:
    """A stored event, as a stock reader of the library sees it."""

    def __init__(self, one: Notification) -> None:
        self.position = int(one.id)
        self.stream = UUID(str(one.originator_id))
        self.version = int(one.originator_version)
        self.tag = one.topic
        self.state: dict[str, Any] = json.loads(one.state)
        self.command = str(self.state["command_id"])
        self.data: dict[str, Any] = self.state["data"]


def check(system: System, ledger: Ledger, excuses: Set[str] = EXCUSES) -> dict[str, int]:
    """Hold the system against all invariants; returns what was counted. `excuses` are the errors
    that a run may fail with."""
    check_runs_end(system, ledger)
    facts = [Fact(one) for one in system.stock_reader()]
    streams: dict[UUID, list[Fact]] = defaultdict(list)
    for fact in facts:
        streams[fact.stream].append(fact)
    check_order(facts, streams)
    check_commands(ledger, streams)
    system.verify_chain()
    verified = system.project.json("verify")
    assert verified["ok"] is True, f"I5: a view is not what a fresh fold gives: {verified}"
    runs = {stream: one for stream, one in streams.items() if one[0].tag == "run.started.v1"}
    check_sink(system, runs)
    given_up = check_counters(system, runs, excuses)
    check_lineage(system, runs)
    return {**ledger.count(), "events": len(facts), "runs": len(runs), "given_up": given_up}


def longest_to_an_end(system: System, moments: Sequence[datetime]) -> float:
    """The longest time from one of these to the end of the next run, in seconds."""
    facts = (Fact(one) for one in system.stock_reader())
    ends = sorted(
        datetime.fromisoformat(one.state["recorded_at"]) for one in facts if one.tag in _ENDS
    )
    times = [
        (ends[place] - moment).total_seconds()
        for moment in moments
        if (place := bisect_right(ends, moment)) < len(ends)
    ]
    return max(times, default=0.0)


def check_runs_end(system: System, ledger: Ledger) -> None:
    """I7: nothing is open some time after the faults."""
    runs = sum(told.accepted and told.name == "run.start" for told in ledger)
    limit = quiet_seconds_max + runs * seconds_per_run
    try:
        system.project.until(lambda: _open_runs(system) == [], limit)
    except AssertionError:
        stuck = _open_runs(system)
        raise AssertionError(f"I7: runs without an end: {stuck}") from None


def _open_runs(system: System) -> list[object] | None:
    """None while nobody answers, as right after the last strike."""
    asked = system.project.run("runs", "--status=running", "--limit=1000", "--json")
    return list(json.loads(asked.stdout)["items"]) if asked.returncode == 0 else None


def check_order(facts: Sequence[Fact], streams: dict[UUID, list[Fact]]) -> None:
    """I3: versions without a gap, positions that grow, event ids that are given once."""
    positions = [fact.position for fact in facts]
    assert positions == sorted(set(positions)), "I3: positions do not grow"
    ids = Counter(fact.state["event_id"] for fact in facts)
    assert len(ids) == len(facts), "I3: an event id was given twice"
    for stream, one in streams.items():
        versions = [fact.version for fact in one]
        assert versions == list(range(1, len(one) + 1)), f"I3: {stream} has versions {versions}"


def check_commands(ledger: Ledger, streams: dict[UUID, list[Fact]]) -> None:
    """I1: what was acknowledged is there as it was told. I2: and nothing took effect twice."""
    effects: dict[str, tuple[UUID, list[Fact]]] = {}
    for stream, facts in streams.items():
        for command, group in groupby(facts, lambda fact: fact.command):
            assert command not in effects, f"I2: command {command} took effect twice"
            effects[command] = stream, list(group)
    for told in ledger:
        assert told.contradiction is None, f"I2: two answers to one command: {told}"
        effect = effects.get(told.id)
        if not told.accepted:
            assert told.reply is None or effect is None, f"I2: refused, and took effect: {told}"
            continue
        assert told.reply is not None
        if not told.reply["events"]:
            continue
        assert effect is not None, f"I1: an acknowledged command is lost: {told}"
        stream, facts = effect
        assert told.reply["stream"].endswith(str(stream)), f"I1: in another stream: {told}"
        found = [fact.tag for fact in facts], facts[-1].version, facts[-1].position
        said = told.reply["events"], told.reply["version"], told.reply["position"]
        assert found == said, f"I1: stored otherwise than told: {found} {said} {told}"


def check_sink(system: System, runs: dict[UUID, list[Fact]]) -> None:
    """I6: each run that has stored its rows did so once, and nothing else lies there."""
    for number in range(PIPELINES):
        wanted: Counter[tuple[int, int]] = Counter()
        lost: set[int] = set()
        for facts in runs.values():
            started = facts[0].data
            if started["pipeline"] != f"p{number}":
                continue
            if any(fact.tag == "run.data_stored.v1" for fact in facts):
                factor = started["params"]["factor"]
                wanted.update((n * factor, factor) for n in ROWS)
            elif any(fact.tag == "run.failed.v1" for fact in facts):
                lost.add(started["params"]["factor"])  # written or not: nobody could tell
        folder = system.project.folder / f"out/grown{number}"
        found: Counter[tuple[int, int]] = Counter()
        for part in sorted(folder.rglob("*.csv")) if folder.exists() else []:
            with part.open(newline="") as file:
                rows = [(int(row["n"]), int(row["factor"])) for row in csv.DictReader(file)]
            found.update(row for row in rows if row[1] not in lost)
        assert found == wanted, (
            f"I6: p{number}: missing {wanted - found}, too much {found - wanted}"
        )


def _is_excused(facts: Sequence[Fact], excuses: Set[str]) -> bool:
    """Whether a run has failed for a reason that strikes may give: a step is given up when three
    processes or ten workers were lost with it."""
    (failed,) = [fact.data for fact in facts if fact.tag == "run.step_failed.v1"]
    code = failed["error"]["code"]
    if code != "worker_lost":
        return code in excuses
    started = [
        fact.data
        for fact in facts
        if fact.tag == "run.step_started.v1" and fact.data["step"] == failed["step"]
    ]
    return len(started) == leases_max or started[-1].get("crashes", 0) == crashes_max - 1


def check_counters(system: System, runs: dict[UUID, list[Fact]], excuses: Set[str]) -> int:
    """I8: what the service says of runs and pipelines is what the events say. Returns how many runs
    have failed, which they may by an excuse only."""
    wanted = Counter(_ENDS.get(facts[-1].tag, "running") for facts in runs.values())
    found = Counter(run["status"] for run in system.answers("monitoring.runs"))
    assert found == wanted, f"I8: runs by status: {found}, by events {wanted}"
    for facts in runs.values():
        ends = [fact.tag for fact in facts if fact.tag in _ENDS]
        assert len(ends) == 1, f"I8: a run has the ends {ends}"
        if ends != ["run.completed.v1"] and not facts[0].data["pipeline"].startswith(BROKEN):
            told = [fact.data for fact in facts]
            assert _is_excused(facts, excuses), f"I6: work was given up: {told}"
    known = {one["pipeline"] for one in system.answers("monitoring.pipelines")}
    assert {f"p{number}" for number in range(PIPELINES)} <= known
    assert {pipeline_stream(name).id for name in known}.isdisjoint(runs)
    return wanted["failed"]


def check_lineage(system: System, runs: dict[UUID, list[Fact]]) -> None:
    """I8: newest data and checks, and how often something was checked, are what the events say."""
    for number in range(PIPELINES):
        pipeline = f"p{number}"
        outcomes = sorted(
            (fact.position, fact.data["outcome"])
            for facts in runs.values()
            if facts[0].data["pipeline"] == pipeline
            for fact in facts
            if fact.tag in _OUTCOMES and fact.data["step"] == "times"
        )
        if not outcomes:
            continue
        position, newest = outcomes[-1]
        datasets = system.answers("lineage.datasets", pipeline=pipeline)
        found = {one["dataset"]: one["fingerprint"] for one in datasets}.get(f"{pipeline}.times")
        wanted = newest["output"]["fingerprint"]
        assert found == wanted, f"I8: the newest data of {pipeline} is {found}, by events {wanted}"
        checks = system.answers("quality.checks", of=pipeline, runs=checks_max)
        told = [(one["position"], len(one["runs"])) for one in checks]
        known = [(position, min(len(outcomes), checks_max))]
        assert told == known, f"I8: checks of {pipeline}: {told}, by events {known}"
