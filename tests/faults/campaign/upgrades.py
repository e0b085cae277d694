"""R26: old and new code beside each other, while a cluster is upgraded under load and put back."""

import json
import random
import re
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from importlib.metadata import version
from uuid import UUID

from runtime.roles import ROLES
from runtime.wiring.readside import PROJECTIONS
from tests.faults.campaign.invariants import Fact
from tests.faults.campaign.kills import struck
from tests.faults.campaign.releases import FIELDS, NEW_TAG, NEXT, OLD_TAG, TAG, Patch, make
from tests.faults.campaign.room import Counted, Room, Session
from tests.faults.campaign.systems import Cluster, cluster, stop_seconds_max

settled_seconds_max = 60.0
"""Until every role tells its version, and what is waited for stands in the store."""

VIEWS = tuple(one.name for one in PROJECTIONS)
"""Each of them meets every event."""

_DOORS = {"lookup": "commands", "queries": "projections"}
"""Services that are called otherwise than the role whose process they are in."""

_RULES = frozenset({"pipeline_paused"})
"""Refusals that the load asks for."""


class Fleet:
    """The roles of a cluster, each of which runs old or new code."""

    def __init__(self, room: Room, system: Cluster, patches: Sequence[Patch]) -> None:
        self.system = system
        self._environment = make(room.folder / "next", patches)
        self._new: set[str] = set()
        self.turns: list[tuple[int, bool]] = [(0, False)]
        """Behind which position events were decided by old code, or by new code (true)."""

    def move(self, role: str, chance: random.Random, *, works: bool = True) -> str:
        """Stop a role, one way or the other, and start it in the other version.

        If `works`, then who decides and who works must get on with each other before this returns,
        and where nothing old is left so must all.
        """
        how = chance.choice(("stopped", "killed"))
        process = self.system.processes[role]
        if how == "killed":
            self.system.kill(role)
        else:
            process.send_signal(signal.SIGTERM)
            code = process.wait(stop_seconds_max)
            assert code == 0, f"R26: {role} ended with {code}"
        self._new ^= {role}
        is_new = role in self._new
        position = self.system.last_position()
        if role == "commands":
            self.turns.append((position, is_new))
        self.system.given[role] = self._environment if is_new else {}
        self.system.start(role)
        if works and role == "commands":
            self.until(lambda: any(map(_is_started, self.facts(position))), "a step begins")
        if works and role in ("commands", "steps"):
            self.until(lambda: any(map(_is_outcome, self.facts(position))), "a step is done")
        if works and self._new >= set(ROLES):
            self.until(lambda: any(map(_is_new_outcome, self.facts(position))), "a new outcome")
        return f"{role} {how}, now {'new' if is_new else 'old'}"

    def move_all(self, roles: Sequence[str], chance: random.Random, *, works: bool = True) -> str:
        """Move some, one after the other; returns when each tells its version."""
        told = [self.move(role, chance, works=works) for role in roles]
        wanted = {role: NEXT if role in self._new else version("headwater") for role in ROLES}
        self.until(lambda: self.versions() == wanted, f"all are {wanted}")
        return "; ".join(told)

    def versions(self) -> dict[str, str]:
        """Version by role, as `services` tells it; all services of a role must tell the same."""
        found: dict[str, str] = {}
        for one in self.services():
            role = _DOORS.get(one["role"], one["role"])
            told = found.setdefault(role, one["version"])
            if told != one["version"]:
                found[role] = "mixed"
        return found

    def services(self) -> list[dict[str, str]]:
        """Who answers."""
        asked = self.system.project.run("services", "--json")
        return list(json.loads(asked.stdout)["items"]) if asked.returncode == 0 else []

    def halts(self) -> dict[str, tuple[int, str]]:
        """Halted views: the last position that each has applied, and why it does not go on."""
        reasons = "; ".join(one["reason"] or "" for one in self.services())
        halted = (
            r"projection (\w+) halted: after position (\d+): (.*?)(?=; projection|; \w+ \w+:|$)"
        )
        return {
            view: (int(position), reason) for view, position, reason in re.findall(halted, reasons)
        }

    def old(self, chance: random.Random) -> list[str]:
        """Roles that run old code, in an order that is drawn."""
        old = [role for role in ROLES if role not in self._new]
        return chance.sample(old, len(old))

    def facts(self, behind: int = 0) -> list[Fact]:
        """Events behind a position."""
        return [Fact(one) for one in self.system.stock_reader() if int(one.id) > behind]

    def until(self, holds: object, what: str) -> None:
        """Ask until it holds. Raises `AssertionError` with the state of the fleet."""
        try:
            self.system.project.until(holds, settled_seconds_max)
        except AssertionError:
            told = f"{self.versions()}, halted {self.halts()}"
            raise AssertionError(f"R26: not in {settled_seconds_max} s: {what}; {told}") from None

    def verify_by(self, role_is_new: bool, chance: random.Random) -> None:
        """What `headwater verify` says where old or new code answers."""
        if ("projections" in self._new) != role_is_new:
            self.move_all(["projections"], chance)
        told = self.system.project.json("verify")
        assert told["ok"] is True, f"R26: new {role_is_new}: {told}"


def _is_started(fact: Fact) -> bool:
    return fact.tag == "run.step_started.v1"


def _is_outcome(fact: Fact) -> bool:
    return "outcome" in fact.data


def _is_new_outcome(fact: Fact) -> bool:
    return "made_by" in (fact.data.get("outcome") or {})


def rolling(room: Room, seed: int, strikes: int) -> Counted:
    """All roles to the next version and back, in orders that the seed draws, ten moves a round."""
    with cluster(room.folder, room.postgres(), room.free_port()) as system:
        fleet = Fleet(room, system, FIELDS)
        moves = iter(_shares(random.Random(f"upgrades {seed}"), strikes))
        counted = struck(system, partial(_move, fleet, moves), seed, strikes, frozenset())
        check_answers(system)
        turns = check_writers(fleet)
        chance = random.Random(f"verify {seed}")
        fleet.verify_by(False, chance)
        fleet.verify_by(True, chance)
    counted.counts |= turns
    return counted


def _shares(chance: random.Random, strikes: int) -> Iterator[Sequence[str]]:
    """The roles of each strike: whole rounds in the end, each to the new version and back."""
    rounds = -(-strikes // (2 * len(ROLES)))
    moves = [role for _ in range(rounds) for role in _round(chance)]
    for number in range(strikes):
        first, last = (len(moves) * n // strikes for n in (number, number + 1))
        yield moves[first:last]


def _round(chance: random.Random) -> list[str]:
    """There and back again; who works is once newer and once older than who decides."""
    there, back = (chance.sample(ROLES, len(ROLES)) for _ in range(2))
    first = [one.index("steps") < one.index("commands") for one in (there, back)]
    swapped = {"steps": "commands", "commands": "steps"} if first[0] != first[1] else {}
    return [*there, *(swapped.get(role, role) for role in back)]


def _move(fleet: Fleet, moves: Iterator[Sequence[str]], chance: random.Random) -> str:
    return fleet.move_all(next(moves), chance)


def check_answers(system: Cluster) -> None:
    """Every command got its answer, and none was refused but by the rules."""
    ledger = system.project.folder / "ledger.jsonl"
    replies = [line["reply"] for line in map(json.loads, ledger.open()) if "reply" in line]
    refused = [one for one in replies if one["status"] != "accepted" and one["code"] not in _RULES]
    assert not refused, f"R26: commands have failed: {refused[:3]}"


def check_writers(fleet: Fleet) -> dict[str, int]:
    """In each turn events were written by the code whose turn it was. Returns how many."""
    facts = [fact for fact in fleet.facts() if _is_started(fact)]
    counts = {"by_old": 0, "by_new": 0}
    ends = [position for position, _ in fleet.turns[1:]] + [fleet.system.last_position()]
    for (begin, is_new), end in zip(fleet.turns, ends, strict=True):
        told = {f.data.get("release", "") for f in facts if begin < f.position <= end}
        assert told == {NEXT if is_new else ""}, f"R26: {begin} to {end}, new {is_new}: {told}"
        counts["by_new" if is_new else "by_old"] += 1
    return counts


def newer_event(room: Room, seed: int, strikes: int) -> Counted:
    """Events under a tag that old code does not know: it halts and refuses, and skips nothing."""
    with cluster(room.folder, room.postgres(), room.free_port()) as system:
        fleet = Fleet(room, system, TAG)
        counted = struck(system, partial(_put_back_too_far, fleet), seed, strikes, frozenset())
        check_answers(system)
        chance = random.Random(f"verify {seed}")
        fleet.verify_by(True, chance)
        tags = Counter(fact.tag for fact in fleet.facts())
    assert {OLD_TAG, NEW_TAG} <= tags.keys(), f"R26: only one of them was written: {tags}"
    counted.counts |= {"by_old": tags[OLD_TAG], "by_new": tags[NEW_TAG]}
    return counted


def _put_back_too_far(fleet: Fleet, chance: random.Random) -> str:
    """All to the new version; then back those who cannot go back, views first; then all to new."""
    told = [fleet.move_all(fleet.old(chance), chance)]
    fleet.until(lambda: any(fact.tag == NEW_TAG for fact in fleet.facts()), NEW_TAG)
    told.append(fleet.move_all(chance.sample(("projections", "policies"), 2), chance))
    fleet.until(lambda: fleet.halts().keys() == set(VIEWS), "every view of old code halts")
    check_halts(fleet)
    told.append(fleet.move_all(["commands"], chance, works=False))
    check_refusal(fleet)
    told.append(fleet.move_all(fleet.old(chance), chance, works=False))
    position = fleet.system.last_position()
    fleet.until(lambda: any(map(_is_new_outcome, fleet.facts(position))), "work goes on")
    fleet.until(lambda: not fleet.halts(), "no view is halted")
    return "; ".join(told)


def check_halts(fleet: Fleet) -> None:
    """Each view halted right before an event of the newer version, and says what to do."""
    tags = {fact.position: fact.tag for fact in fleet.facts()}
    for view, (position, reason) in fleet.halts().items():
        following = min(one for one in tags if one > position)
        assert tags[following] == NEW_TAG, f"R26: {view} halts after {position}: {reason}"
        assert NEW_TAG in reason, f"R26: {view} does not name what it cannot read: {reason}"
        assert "update Headwater" in reason, f"R26: {view} does not say what to do: {reason}"
    told = fleet.system.project.run("verify")
    assert told.returncode != 0, f"R26: verified without knowing all: {told.stdout}"
    assert NEW_TAG in told.stderr, f"R26: it does not say why it cannot be verified: {told}"


def check_refusal(fleet: Fleet) -> None:
    """Old code decides nothing about a stream that it cannot read, and says why."""
    run = next(fact.stream for fact in reversed(fleet.facts()) if fact.tag == NEW_TAG)
    asked = {"run": str(run), "reason": "R26", "command_id": str(UUID(int=run.int ^ 1))}
    subject = "headwater.command.run.cancel"
    sent = fleet.system.project.run("send", subject, json.dumps(asked), "--json")
    told = json.loads(sent.stdout)
    assert told["status"] == "rejected", f"R26: decided without knowing all: {told}"
    assert NEW_TAG in told["message"], f"R26: it does not say what it cannot read: {told}"
    assert told["details"]["hint"] == "update Headwater", f"R26: nor what to do: {told}"
    assert told["code"] == "unavailable", f"R26: nobody would send it again: {told}"
    found = [fact for fact in fleet.facts() if fact.command == asked["command_id"]]
    assert not found, f"R26: it was refused, and took effect: {told}"


SESSIONS: dict[str, Session] = {
    "R26 rolling upgrade (cluster)": rolling,
    "R26 event of a newer version": newer_event,
}
