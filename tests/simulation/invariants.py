"""What must be true of every world, whatever went wrong in it."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any
from uuid import UUID

from commands.ports import Envelope
from commands.reply import is_accepted
from domain.ids import StreamId
from domain.record import from_record
from domain.run.events import (
    CancelRequested,
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunPlanned,
    RunStarted,
    StepFailed,
    StepReused,
    StepScheduled,
    StepSkipped,
    StepStarted,
    StepSucceeded,
)
from tests.simulation.world import Outcome

_LATER = ("unavailable", "storage_full")
"""Answers that mean: ask again."""


def check(outcome: Outcome) -> None:
    """Hold a world against its promises."""
    assert not outcome.defects, outcome.defects
    streams: dict[StreamId, list[Envelope]] = defaultdict(list)
    for record in outcome.records:
        streams[record.stream].append(from_record(record))
    check_order(streams)
    check_commands(outcome, streams)
    for stream, envelopes in streams.items():
        if stream.category == "run":
            check_run(stream.id, [one.data for one in envelopes], outcome)
    started = {stream.id for stream in streams if stream.category == "run"}
    assert started.issuperset(outcome.runs), "an accepted run was lost"
    assert outcome.report.ok, outcome.report
    position = outcome.records[-1].position
    assert all(view.position == position for view in outcome.report.projections), outcome.report


def check_order(streams: dict[StreamId, list[Envelope]]) -> None:
    """Versions without gaps, positions that grow, event ids that are given once."""
    ids: Counter[UUID] = Counter()
    for stream, envelopes in streams.items():
        versions = [one.version for one in envelopes]
        assert versions == list(range(1, len(envelopes) + 1)), stream
        positions = [one.position for one in envelopes]
        assert positions == sorted(set(positions)), stream
        ids.update(one.event_id for one in envelopes)
    assert not ids or max(ids.values()) == 1


def check_commands(outcome: Outcome, streams: dict[StreamId, list[Envelope]]) -> None:
    """Each command took effect at most once, and each accepted one is there as it was told."""
    effects: dict[UUID, tuple[str, list[Envelope]]] = {}
    for stream, envelopes in streams.items():
        for command_id, group in groupby(envelopes, lambda one: one.metadata.command_id):
            assert command_id not in effects, f"command {command_id} took effect twice"
            effects[command_id] = (str(stream), list(group))
    told: dict[UUID, Any] = {}
    for command, payload, reply in outcome.wire.answers:
        code, command_id = reply.get("code"), UUID(str(payload["command_id"]))
        assert code not in ("malformed", "command_id_reused", "run_exists"), (command, reply)
        if not is_accepted(reply):
            assert command_id not in told or code in _LATER, (command, reply, told[command_id])
        if not is_accepted(reply) or not reply["events"]:
            continue
        stream_name, events = effects[command_id]
        assert reply["stream"] == stream_name
        assert reply["events"] == [one.tag for one in events]
        assert (reply["version"], reply["position"]) == (events[-1].version, events[-1].position)
        assert told.setdefault(command_id, reply) == reply, "two answers to one command"


def check_run(run: UUID, events: Sequence[Any], outcome: Outcome) -> None:
    """A run ends, once; every step is done once, in order, by the lease that counts."""
    ends = [one for one in events if isinstance(one, RunCompleted | RunFailed | RunCancelled)]
    assert len(ends) == 1, f"run {run} has {len(ends)} ends: {[type(e).__name__ for e in events]}"
    assert events[-1] is ends[0], f"run {run} went on after its end"
    steps = [step for one in events if isinstance(one, RunPlanned) for step in one.steps]
    inputs = {step.id: step.inputs for step in steps}
    done = check_steps(run, events, inputs)
    started = events[0]
    assert isinstance(started, RunStarted)
    check_parallel(events, started.parallel)
    check_reuse(started, events, outcome)
    if isinstance(ends[0], RunCompleted):
        assert done == set(inputs)
    if isinstance(ends[0], RunCancelled):
        assert any(isinstance(one, CancelRequested) for one in events)
    check_work(run, events, outcome)


def check_steps(run: UUID, events: Sequence[Any], inputs: dict[str, tuple[str, ...]]) -> set[str]:
    """Follow the leases; returns the steps that are done."""
    done: set[str] = set()
    leases: dict[str, int] = {}
    open_leases: dict[str, tuple[int, int]] = {}
    for event in events:
        match event:
            case StepScheduled():
                assert done.issuperset(inputs[event.step]), f"{run} {event.step} came too early"
                assert event.step not in done
            case StepStarted():
                assert event.lease == leases.get(event.step, 0) + 1
                leases[event.step] = event.lease
                open_leases[event.step] = (event.attempt, event.lease)
            case StepFailed():
                assert open_leases.pop(event.step) == (event.attempt, event.lease)
            case StepReused() | StepSkipped():
                assert event.step not in done
                if isinstance(event, StepReused):
                    found = (event.attempt, event.lease) if event.lease else None
                    assert open_leases.pop(event.step, None) == found
                    done.add(event.step)
            case _ if isinstance(event, StepSucceeded):
                assert event.step not in done, f"{run} {event.step} took effect twice"
                assert open_leases.pop(event.step) == (event.attempt, event.lease)
                done.add(event.step)
    assert not open_leases, f"run {run} ended with open leases {open_leases}"
    return done


def check_parallel(events: Iterable[Any], parallel: int) -> None:
    """Never more steps at once than the pipeline allows."""
    active = 0
    for event in events:
        if isinstance(event, StepScheduled):
            active += 1
            assert active <= parallel
        elif isinstance(event, StepFailed | StepSucceeded):
            active -= 1
        elif isinstance(event, StepReused):
            active -= event.lease > 0


def check_reuse(started: RunStarted, events: Iterable[Any], outcome: Outcome) -> None:
    """What is reused was made by the run that is named, and was not asked for anew."""
    for event in events:
        if isinstance(event, StepReused) and event.lease:
            assert not started.no_cache
            assert event.step not in started.fresh
            assert event.outcome in outcome.runner.made[(event.from_run, event.step)]


def check_work(run: UUID, events: Iterable[Any], outcome: Outcome) -> None:
    """Nobody worked without a lease, or twice on one."""
    given = {(run, one.step, one.lease) for one in events if isinstance(one, StepStarted)}
    for key, times in outcome.runner.begun.items():
        if key[0] == run:
            assert key in given, f"work on {key} without a lease"
            assert times == 1, f"work on {key} was done {times} times"
