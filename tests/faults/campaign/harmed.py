"""R9 beyond store and bus: views, datasets and write-ahead logs, harmed while nobody runs."""

import csv
import json
import random
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

from tests.faults.campaign import invariants
from tests.faults.campaign.harm import HARMS, filled, rows
from tests.faults.campaign.ledger import Ledger
from tests.faults.campaign.load import ROWS, Load
from tests.faults.campaign.room import Counted, Room, Session
from tests.faults.campaign.systems import Embedded, embedded

there_seconds_max = 60.0


def views(room: Room, seed: int, strikes: int) -> Counted:
    """A file of the views: `verify` tells it, or they are what a fresh fold gives; and where it is
    told, views that are taken away come back as they should be."""
    chance = random.Random(f"harm {seed}")
    told = 0
    with embedded(room.folder) as system:
        ledger = filled(system, seed)
        counts: dict[str, int] = {}
        for _ in range(strikes):
            system.kill(everything=True)
            if chance.random() < 0.7:
                with closing(sqlite3.connect(system.data / "views.db")) as connection:
                    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            files = sorted(one for one in system.data.glob("views.db*") if one.stat().st_size)
            ledger.struck(chance.choice(HARMS)(chance.choice(files), chance))
            if not _is_verified(system):
                told += 1
                system.kill(everything=True)
                for one in system.data.glob("views.db*"):
                    one.unlink()
                system.start()
            counts = _worked(system, ledger, chance)
        ledger.close()
    return Counted(strikes=strikes, counts={**counts, "told": told, "harmless": strikes - told})


def _start(system: Embedded, file: str) -> tuple[bool, str]:
    """Whether it comes up, and what it says; where it leaves again it must name the file."""
    log = system.project.folder / "up.log"
    before = log.stat().st_size
    system.start()
    assert system.process is not None
    process = system.process
    system.project.until(lambda: process.poll() is not None or _is_there(system), there_seconds_max)
    said = log.read_bytes()[before:].decode()
    has_left = process.poll() is not None
    assert not has_left or file in said, f"R9: the service has left without a word: {said}"
    return not has_left, said


def _is_verified(system: Embedded) -> bool:
    """What `verify` says once it is there."""
    if not _start(system, "views.db")[0]:
        return False
    proof = system.project.run("verify", "--json")
    assert proof.returncode != 70, f"R9: {proof.stdout}{proof.stderr}"
    return proof.returncode == 0


def _worked(system: Embedded, ledger: Ledger, chance: random.Random) -> dict[str, int]:
    """Some more work, and all invariants."""
    again = Load(system.way, str(system.project.folder), ledger, chance.randrange(2**32))
    again.begin_at(len(ledger.commands) + 1)
    with again.running(2):
        again.wait(there_seconds_max)
    return invariants.check(system, ledger)


def write_ahead_log(room: Room, seed: int, strikes: int) -> Counted:
    """What is not in the store's file yet, behind a service that was killed: where events are lost
    with it, somebody who has seen them says so."""
    chance = random.Random(f"harm {seed}")
    counts: Counter[str] = Counter()
    with embedded(room.folder) as system:
        for number in range(strikes):
            ledger = Ledger(room.folder / f"ledger-{number}.jsonl")
            load = Load(system.way, str(system.project.folder), ledger, chance.randrange(2**32))
            load.begin_at(1 + number * 1_000)
            with load.running(2):
                for _ in range(20):
                    load.wait(there_seconds_max)
                system.project.until(lambda: _is_there(system), there_seconds_max)
                system.kill(everything=True)
                intact = _copied(system, room.folder / f"intact-{number}")
                ledger.struck(chance.choice(HARMS)(system.data / "events.db-wal", chance))
                counts[_found(system, intact)] += 1
                load.wait(there_seconds_max)
            counts.update(ledger.count())
            ledger.close()
        proof = system.project.json("verify", "--chain")
        assert proof["ok"] is True, f"R9: {proof}"
    return Counted(strikes=strikes, counts=dict(counts))


def _copied(system: Embedded, folder: Path) -> Path:
    folder.mkdir()
    for one in system.data.glob("events.db*"):
        shutil.copy(one, folder)
    return folder


def _found(system: Embedded, intact: Path) -> str:
    """Start it, and see what has become of the events: all are there, or it is told that some are
    not. A store that cannot be read at all is put back."""
    is_there, said = _start(system, "events.db")
    if not is_there:
        for one in intact.iterdir():
            shutil.copy(one, system.data)
        system.start()
        return "refused"
    whole = rows(intact / "events.db")
    if rows(system.data / "events.db")[: len(whole)] == whole:
        return "harmless"
    assert "does not hold what view" in said, f"R9: events were lost without a word: {said}"
    return "told"


def datasets(room: Room, seed: int, strikes: int) -> Counted:
    """Data that another run would take over: it is made again, and what is written is right."""
    chance = random.Random(f"harm {seed}")
    counts: Counter[str] = Counter()
    with embedded(room.folder) as system:
        (system.project.folder / "again.json").write_text(json.dumps(AGAIN))
        system.project.until(lambda: _is_there(system), there_seconds_max)
        for number in range(strikes):
            _runs_right(system, number)
            system.kill(everything=True)
            every = (system.data / "datasets").rglob("*.parquet")
            files = sorted(one for one in every if one.stat().st_size)
            for one in files:
                chance.choice(HARMS)(one, chance)
            system.start()
            system.project.until(lambda: _is_there(system), there_seconds_max)
            counts["events"] = _runs_right(system, number)
            counts["files"] += len(files)
    return Counted(strikes=strikes, counts=dict(counts))


AGAIN = {
    "pipeline": "again",
    "params": {"factor": {"type": "integer"}},
    "sources": {"numbers": {"kind": "csv", "path": "numbers.csv", "columns": {"n": "integer"}}},
    "steps": [
        {"id": "raw", "kind": "ingest", "source": "numbers"},
        {"id": "times", "kind": "transform", "sql": "select n * $factor as n from raw"},
        {
            "id": "kept",
            "kind": "store",
            "input": "times",
            "order_by": ["n"],
            "sink": {"kind": "csv", "path": "out/again.csv"},
        },
    ],
}


def _runs_right(system: Embedded, factor: int) -> int:
    """Run it without its destination: the rows are those of the source. Returns the position."""
    path = system.project.folder / "out/again.csv"
    path.unlink(missing_ok=True)
    told = system.project.json("run", "again.json", f"--param=factor={factor}")
    assert told["status"] == "completed", f"R9: {told}"
    with path.open(newline="") as file:
        found = [int(row["n"]) for row in csv.DictReader(file)]
    assert found == [n * factor for n in ROWS], f"R9: factor {factor} gives {found}"
    return int(told["position"])


def _is_there(system: Embedded) -> bool:
    return system.project.run("services", "--json").returncode == 0


SESSIONS: dict[str, Session] = {
    "R9 harmed datasets": datasets,
    "R9 harmed views": views,
    "R9 harmed write-ahead log": write_ahead_log,
}
