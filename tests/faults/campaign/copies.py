"""R24 and R25: copies of what there is, made under load: backups, and views made anew."""

import json
import random
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

from tests.faults.campaign.harm import cut
from tests.faults.campaign.kills import struck
from tests.faults.campaign.room import Counted, Room, Session
from tests.faults.campaign.systems import Embedded, embedded

VIEWS = ("dispatch", "lineage", "monitoring", "quality")
ahead_seconds_max = 60.0


def backups(room: Room, seed: int, strikes: int) -> Counted:
    """R24: each backup is what the store was, and is refused where it is harmed."""
    with embedded(_project(room)) as system:
        return struck(system, partial(_backup, system, room.folder), seed, strikes)


def _project(room: Room) -> Path:
    """Below the session's folder, so that copies lie beside it."""
    (room.folder / "project").mkdir()
    return room.folder / "project"


def _backup(system: Embedded, folder: Path, chance: random.Random) -> str:
    number = len(list(folder.glob("backup-*")))
    backup, other = folder / f"backup-{number}", folder / f"other-{number}"
    position = system.project.json("backup", str(backup))["manifest"]["position"]
    system.project.json("restore", str(backup), f"--data={other}")
    live, copied = _events(system.data, position), _events(other)
    assert copied == live, f"R24: the backup has {len(copied)} events, the store {len(live)}"
    assert system.project.json("verify", "--chain", f"--data={other}")["ok"] is True
    files = [one for one in backup.rglob("*") if one.is_file() and one.stat().st_size]
    what = cut(chance.choice(sorted(files)), chance)
    refused = system.project.run("restore", str(backup), f"--data={folder / 'never'}")
    assert refused.returncode != 0, f"R24: put back although {what}"
    assert "mistake of its own" not in refused.stderr, f"R24: {what}: {refused.stderr}"
    return f"backup up to {position}, then {what}"


def _events(data: Path, position: int | None = None) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(data / "events.db")) as connection:
        return connection.execute(
            "SELECT * FROM stored_events WHERE rowid <= ? ORDER BY rowid",
            (2**62 if position is None else position,),
        ).fetchall()


def rewound(room: Room, seed: int, strikes: int) -> Counted:
    """R24: a store is put back to a backup, behind its own views: they are made anew."""
    chance = random.Random(f"rewind {seed}")
    with embedded(_project(room)) as system:
        counted = struck(system, lambda _chance: "nothing", seed, 1)
        events = 0
        for number in range(strikes):
            backup = str(room.folder / f"backup-{number}")
            position = system.project.json("backup", backup)["manifest"]["position"]
            system.project.run("send", "headwater.command.pipeline.resume", '{"pipeline": "p0"}')
            for factor in range(chance.randint(1, 5)):
                payload = {"pipeline": "p0", "params": {"factor": 10**6 + 10 * number + factor}}
                system.project.run("send", "headwater.command.run.start", json.dumps(payload))
            system.kill(everything=True)
            system.project.json("restore", backup, "--replace")
            assert len(_events(system.data)) == position
            system.start()
            for asked in ("services", "verify"):  # the service first: `verify` needs none
                system.project.until(
                    lambda asked=asked: system.project.run(asked, "--json").returncode == 0,
                    ahead_seconds_max,
                )
            events = position
        return Counted(strikes=strikes, counts={**counted.counts, "events": events})


def replays(room: Room, seed: int, strikes: int) -> Counted:
    """R25: views are made anew while they grow, and twice; or taken away from a dead service."""
    with embedded(room.folder) as system:
        return struck(system, partial(_replay, system), seed, strikes)


def _replay(system: Embedded, chance: random.Random) -> str:
    view = chance.choice(VIEWS)
    if chance.random() < 0.5:
        for _ in range(2):
            told = system.project.json("replay", view)
            assert told["differences"] == [], f"R25: {view} was not what it is now: {told}"
        return f"{view} twice"
    system.kill(everything=True)
    for file in system.data.glob("views.db*"):
        file.unlink()
    system.start()
    return "all views are gone"


SESSIONS: dict[str, Session] = {
    "R24 backup": backups,
    "R24 views ahead of a restored store": rewound,
    "R25 replay": replays,
}
