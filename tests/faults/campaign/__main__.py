"""Run a campaign: `python -m tests.faults.campaign --minutes 60`; `--help` says the rest.

Each session is one seed against one fault. Its result is a line of JSON as soon as it has ended, so
that a campaign can be stopped at any time and goes on behind what is done. A session that fails
keeps its folder, with the ledger and every log; `--only FAULT --seed N` does it again.
"""

import argparse
import itertools
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import msgspec

from tests.faults.campaign.report import Result, read, write
from tests.faults.campaign.room import Counted, Room, Session
from tests.faults.campaign.sessions import SESSIONS
from tests.postgres import PostgresServer, postgres_server


def main() -> int:
    """Returns 1 where a session has failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.campaign")
    parser.add_argument("--results", type=Path, default=Path("tests/faults/results.jsonl"))
    parser.add_argument("--only", default="", help="faults whose name contains this")
    parser.add_argument("--seed", type=int, help="just this one")
    parser.add_argument("--minutes", type=float, default=75.0, help="begin nothing afterwards")
    parser.add_argument("--strikes", type=int, default=10, help="in one session")
    parser.add_argument("--shard", default="1/1", help="N/M: every M-th seed, from the N-th")
    parser.add_argument("--page", type=Path, help="only write this page from the results")
    asked = parser.parse_args()
    if asked.page:
        write(asked.page, read(asked.results))
        return 0
    chosen = {name: session for name, session in SESSIONS.items() if asked.only in name}
    shard, shards = map(int, asked.shard.split("/"))
    seeds: Iterator[int] = (
        iter([asked.seed]) if asked.seed is not None else itertools.count(shard, shards)
    )
    return _campaign(chosen, seeds, asked)


def _campaign(
    chosen: Mapping[str, Session], seeds: Iterator[int], asked: argparse.Namespace
) -> int:
    end = time.monotonic() + asked.minutes * 60
    known = read(asked.results) if asked.seed is None else []
    done = {(one.fault, one.seed) for one in known}
    failed = False
    with ExitStack() as stack:
        servers: list[PostgresServer] = []

        def postgres() -> PostgresServer:
            if not servers:
                servers.append(stack.enter_context(postgres_server(_free_port())))
            return servers[0]

        for seed, (name, session) in ((s, one) for s in seeds for one in chosen.items()):
            if time.monotonic() > end:
                break
            if (name, seed) in done:
                continue
            result = _session(name, session, seed, asked.strikes, postgres)
            failed |= result.failure != ""
            asked.results.parent.mkdir(parents=True, exist_ok=True)
            with asked.results.open("ab") as file:
                file.write(msgspec.json.encode(result) + b"\n")
            sys.stderr.write(f"{name} seed {seed}: {result.summary()}\n")
    return int(failed)


def _session(name: str, session: Session, seed: int, strikes: int, postgres: object) -> Result:
    folder = Path(tempfile.mkdtemp(prefix="headwater-faults-"))
    begun = time.monotonic()
    counted, failure = Counted(strikes=0), ""
    try:
        room = Room(folder=folder, postgres=postgres, free_port=_free_port)  # type: ignore[arg-type]
        counted = session(room, seed, strikes)
    except Exception as error:  # noqa: BLE001  # whatever it was, it is the result
        (folder / "failure.txt").write_text(traceback.format_exc())
        failure = f"{error!r:.500} (kept: {folder.name})"
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return Result(
        fault=name,
        seed=seed,
        commit=_commit(),
        seconds=round(time.monotonic() - begun, 1),
        counted=counted,
        failure=failure,
    )


def _commit() -> str:
    asked = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


if __name__ == "__main__":
    sys.exit(main())
