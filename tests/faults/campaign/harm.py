"""Files harmed while nobody runs: what is wrong is told, or does no harm, and is never believed."""

import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.faults.campaign import invariants
from tests.faults.campaign.ledger import Ledger
from tests.faults.campaign.load import Load
from tests.faults.campaign.room import Counted, Room
from tests.faults.campaign.systems import Embedded, embedded

page_bytes = 4096


def flip(path: Path, chance: random.Random) -> str:
    """One bit of a file."""
    place = chance.randrange(path.stat().st_size)
    with path.open("r+b") as file:
        file.seek(place)
        (byte,) = file.read(1)
        file.seek(place)
        file.write(bytes((byte ^ 1 << chance.randrange(8),)))
    return f"one bit of byte {place} of {path.name}"


def clear(path: Path, chance: random.Random) -> str:
    """A page of zeros, as a lost write leaves it."""
    first = chance.randrange(path.stat().st_size // page_bytes or 1) * page_bytes
    with path.open("r+b") as file:
        file.seek(first)
        file.write(bytes(min(page_bytes, path.stat().st_size - first)))
    return f"zeros from byte {first} of {path.name}"


def cut(path: Path, chance: random.Random) -> str:
    """The end of a file is missing."""
    size = chance.randrange(path.stat().st_size)
    with path.open("r+b") as file:
        file.truncate(size)
    return f"{path.name} ends at byte {size}"


HARMS = (flip, clear, cut)


def store(room: Room, seed: int, strikes: int) -> Counted:
    """R9: `events.db`, after which `verify --chain` tells it, or the events are the same."""
    chance = random.Random(f"harm {seed}")
    with embedded(room.folder) as system:
        ledger = filled(system, seed)
    intact = room.folder / "intact.db"
    with closing(sqlite3.connect(system.data / "events.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(system.data / "events.db", intact)
    before = rows(intact)
    told = 0
    for _ in range(strikes):
        shutil.copy(intact, system.data / "events.db")
        what = chance.choice(HARMS)(system.data / "events.db", chance)
        ledger.struck(what)
        proof = system.project.run("verify", "--chain", "--json")
        if proof.returncode == 0:
            assert rows(system.data / "events.db") == before, f"R9: not told: {what}"
        else:
            assert "mistake of its own" not in proof.stderr, f"R9: {what}: {proof.stderr}"
            assert proof.returncode != 70, f"R9: {what}: {proof.stdout}{proof.stderr}"
            told += 1
    ledger.close()
    counts = {**ledger.count(), "events": len(before), "told": told, "harmless": strikes - told}
    return Counted(strikes=strikes, counts=counts)


def bus(room: Room, seed: int, strikes: int) -> Counted:
    """R9: a file of JetStream, after which the bus is filled again from the store."""
    chance = random.Random(f"harm {seed}")
    with embedded(room.folder) as system:
        ledger = filled(system, seed)
        counts: dict[str, int] = {}
        for _ in range(strikes):
            system.kill(everything=True)
            files = [p for p in (system.data / "nats/jetstream").rglob("*") if p.is_file()]
            chosen = chance.choice(sorted(path for path in files if path.stat().st_size))
            ledger.struck(chance.choice(HARMS)(chosen, chance))
            system.start()
            system.project.until(
                lambda: system.project.run("services", "--json").returncode == 0, 30
            )
            again = Load(system.way, str(system.project.folder), ledger, chance.randrange(2**32))
            again.begin_at(len(ledger.commands) + 1)
            with again.running(2):
                again.wait(30)
            counts = invariants.check(system, ledger)
        ledger.close()
    return Counted(strikes=strikes, counts=counts)


def filled(system: Embedded, seed: int) -> Ledger:
    """Some work, come to rest."""
    ledger = Ledger(system.project.folder / "ledger.jsonl")
    load = Load(system.way, str(system.project.folder), ledger, seed)
    with load.running(2):
        for _ in range(40):
            load.wait(30)
    invariants.check(system, ledger)
    return ledger


def rows(path: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        connection.text_factory = bytes
        return connection.execute("SELECT * FROM stored_events ORDER BY rowid").fetchall()
