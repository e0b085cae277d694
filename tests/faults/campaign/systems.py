"""Systems to strike: a service with everything in it, or roles as processes on PostgreSQL."""

import json
import os
import signal
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import psutil
import psycopg
import pyarrow
import pyarrow.parquet
from eventsourcing.persistence import Notification
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteDatastore

from adapters.jetstream.server import find_binary
from domain.chain import links_after, start_of
from runtime.roles import ROLES
from tests.e2e.project import HEADWATER, Project, descendants
from tests.faults.campaign.load import Way
from tests.postgres import PASSWORD, PostgresServer

Process = subprocess.Popen[bytes]

stop_seconds_max = 30
page = 1_000


class System(Protocol):
    """What a trial needs of the system that it strikes."""

    project: Project

    def way(self) -> Way:
        """How clients get there now. Raises `OSError` or `ValueError` where nobody is."""
        ...

    def stock_reader(self) -> Sequence[Notification]:
        """Every event, by readers that are none of ours."""
        ...

    def sealed(self) -> Sequence[Notification]:
        """Those of them that stand in segments."""
        ...

    def verify_chain(self) -> None:
        """I4. Raises `AssertionError`."""
        ...

    def answers(self, query: str, **arguments: object) -> list[dict[str, Any]]:
        """The items of a list that the product gives."""
        ...


class Embedded:
    """`headwater up` with an event store in a file."""

    def __init__(self, folder: Path, data: Path | None = None, program: Sequence[str] = ()) -> None:
        self.data = data or folder / ".headwater"
        self.project = Project(
            folder,
            HEADWATER_DATA=str(self.data),
            HEADWATER_WORKERS="2",
            HEADWATER_TASK_TIMEOUT="3s",
            HEADWATER_HEARTBEAT="1s",
        )
        self._program = [*(program or [str(HEADWATER)]), "up"]
        self.process: Process | None = None

    def start(self, **given: str) -> None:
        """Start it; who wants to know whether it is there sends a command. `given` joins its
        environment."""
        with (self.project.folder / "up.log").open("ab") as log:
            self.process = subprocess.Popen(
                self._program,
                cwd=self.project.folder,
                env={**self.project.environment, **given},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def kill(self, *, everything: bool) -> None:
        """kill -9 of the service, and of all below it if asked."""
        assert self.process is not None
        below = descendants(self.process.pid) if everything else []
        self.process.kill()
        for one in below:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        self.process.wait()
        psutil.wait_procs(below, stop_seconds_max)

    def below(self, word: str) -> list[psutil.Process]:
        """Processes under the service whose command line holds a word."""
        assert self.process is not None
        found = []
        for one in descendants(self.process.pid):
            with suppress(psutil.NoSuchProcess):
                if word in " ".join(one.cmdline()):
                    found.append(one)
        return found

    def stop(self) -> None:
        """A graceful stop, which must come to its end with code 0."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            code = self.process.wait(stop_seconds_max)
            assert code == 0, f"the service ended with {code}"

    def way(self) -> Way:
        known = json.loads((self.data / "nats/connection.json").read_text())
        return Way(known["url"], known["token"])

    def stock_reader(self) -> Sequence[Notification]:
        datastore = SQLiteDatastore(str(self.data / "events.db"))
        try:
            recorder = SQLiteApplicationRecorder(datastore)
            found: list[Notification] = []
            while rows := recorder.select_notifications(
                found[-1].id if found else 0, page, inclusive_of_start=False
            ):
                found.extend(rows)
        finally:
            datastore.close()
        return in_order(found, self.sealed())

    def sealed(self) -> Sequence[Notification]:
        with closing(sqlite3.connect(self.data / "events.db")) as connection:
            names = connection.execute("SELECT name FROM sealed_segments").fetchall()
        folder = self.data / "segments"
        return [one for (name,) in names for one in events_in((folder / name).read_bytes())]

    def verify_chain(self) -> None:
        proof = self.project.json("verify", "--chain")
        assert proof["ok"] is True, f"I4: {proof}"

    def answers(self, query: str, **arguments: object) -> list[dict[str, Any]]:
        return _answers(self.project, query, arguments)


class Cluster:
    """Each role in a process of its own, with one nats-server and one database."""

    def __init__(
        self, folder: Path, postgres: PostgresServer, port: int, behind: int | None = None
    ) -> None:
        """Everybody asks at `port`; `behind` is the server's own where something lies between."""
        self._postgres = postgres
        self.database = postgres.take()
        self._port = port
        self._bus_port = behind or port
        self._bus = folder / "js"
        place = folder / "project"
        place.mkdir(exist_ok=True)
        self.project = Project(
            place,
            HEADWATER_NATS=f"nats://127.0.0.1:{port}",
            HEADWATER_STORE=postgres.url(self.database),
            HEADWATER_STORE_PASSWORD=PASSWORD,
            HEADWATER_WORKERS="1",
            HEADWATER_TASK_TIMEOUT="3s",
            HEADWATER_HEARTBEAT="1s",
        )
        self.processes: dict[str, Process] = {}
        self.given: dict[str, dict[str, str]] = {}
        """What joins the environment of a role's next process."""
        self.nats: Process | None = None

    def start_nats(self) -> None:
        """Start the nats-server on its own files."""
        command = [find_binary(), "-js", "-sd", str(self._bus), "-a", "127.0.0.1"]
        self.nats = subprocess.Popen(
            [*command, "-p", str(self._bus_port)], stderr=subprocess.DEVNULL, cwd=self._bus.parent
        )

    def start(self, *roles: str) -> None:
        """Start a process of each of these roles, or of all."""
        for role in roles or ROLES:
            with (self.project.folder / f"{role}.log").open("ab") as log:
                self.processes[role] = subprocess.Popen(
                    [HEADWATER, "up", "--role", role],
                    cwd=self.project.folder,
                    env={**self.project.environment, **self.given.get(role, {})},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )

    def kill(self, role: str) -> None:
        """kill -9 of one role's process, and of nothing else."""
        self.processes[role].kill()
        self.processes[role].wait()

    def kill_all(self) -> None:
        """kill -9 of every role, whatever is below it, and the bus."""
        assert self.nats is not None
        below = [one for process in self.processes.values() for one in descendants(process.pid)]
        for process in (*self.processes.values(), self.nats):
            process.kill()
        for one in below:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        for process in (*self.processes.values(), self.nats):
            process.wait()
        psutil.wait_procs(below, stop_seconds_max)

    def revive(self) -> None:
        """Start again what has ended: a service manager's work."""
        for role, process in list(self.processes.items()):
            if process.poll() is not None:
                self.start(role)

    def stop(self) -> None:
        """A graceful stop of all roles, then of the bus."""
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        codes = {role: one.wait(stop_seconds_max) for role, one in self.processes.items()}
        if self.nats is not None:
            self.nats.terminate()
            self.nats.wait()
        assert set(codes.values()) == {0}, f"roles ended with {codes}"

    def way(self) -> Way:
        return Way(f"nats://127.0.0.1:{self._port}")

    def stock_reader(self) -> Sequence[Notification]:
        live = [
            Notification(
                originator_id=row[0],
                originator_version=row[1],
                topic=row[2],
                state=row[3],
                id=row[4],
            )
            for row in self._rows(
                "SELECT originator_id, originator_version, topic, state, notification_id"
                " FROM stored_events ORDER BY notification_id"
            )
        ]
        return in_order(live, self.sealed())

    def sealed(self) -> Sequence[Notification]:
        segments = self._rows("SELECT content FROM sealed_segments")
        return [one for (content,) in segments for one in events_in(content)]

    def last_position(self) -> int:
        """Of the events that are stored now."""
        ((position,),) = self._rows("SELECT coalesce(max(notification_id), 0) FROM stored_events")
        return int(position)

    def verify_chain(self) -> None:
        ((store,),) = self._rows("SELECT store_id FROM store_identity")
        kept = b"".join(
            row[0] for row in self._rows("SELECT links FROM event_links ORDER BY first_position")
        )
        rows = (
            (one.id, UUID(str(one.originator_id)).hex, one.originator_version, one.topic, one.state)
            for one in self.stock_reader()
        )
        assert b"".join(links_after(start_of(store), rows)) == kept, "I4: a link does not fit"

    def answers(self, query: str, **arguments: object) -> list[dict[str, Any]]:
        return _answers(self.project, query, arguments)

    def backends(self) -> list[int]:
        """Processes of the database that serve sessions of ours."""
        rows = self._postgres.execute(
            "SELECT pid FROM pg_stat_activity WHERE usename = 'headwater' ORDER BY pid"
        )
        return [int(str(pid)) for (pid,) in rows]

    def _rows(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(
            self._postgres.url(self.database), password=PASSWORD, autocommit=True
        ) as connection:
            return connection.execute(statement.encode()).fetchall()


def events_in(segment: bytes) -> list[Notification]:
    """The events of a segment, by what its format says and nothing of ours."""
    return [
        Notification(
            originator_id=UUID(row["originator_id"]),
            originator_version=row["originator_version"],
            topic=row["topic"],
            state=row["state"],
            id=row["position"],
        )
        for row in pyarrow.parquet.read_table(pyarrow.BufferReader(segment)).to_pylist()
    ]


def in_order(
    live: Sequence[Notification], sealed: Sequence[Notification]
) -> Sequence[Notification]:
    """Both by position; one that stands in both is there twice."""
    return sorted([*live, *sealed], key=lambda one: one.id) if sealed else live


def _answers(project: Project, query: str, arguments: Mapping[str, object]) -> list[dict[str, Any]]:
    """All items of a list; a page ends by its bytes, too."""
    found: list[dict[str, Any]] = []
    asked = {**arguments, "limit": page}
    while True:
        answer = project.json("send", f"headwater.query.{query}", json.dumps(asked))
        found += answer["items"]
        if answer["next"] is None:
            return found
        asked["cursor"] = answer["next"]


@contextmanager
def embedded(folder: Path) -> Iterator[Embedded]:
    """A service that runs, and is gone at the end whatever happened."""
    system = Embedded(folder)
    system.start()
    try:
        yield system
        system.stop()
    finally:
        if system.process is not None and system.process.poll() is None:
            system.kill(everything=True)


@contextmanager
def cluster(
    folder: Path, postgres: PostgresServer, port: int, behind: int | None = None
) -> Iterator[Cluster]:
    """Roles that run, and are gone at the end whatever happened."""
    system = Cluster(folder, postgres, port, behind)
    with working(system):
        yield system


@contextmanager
def working(system: Cluster) -> Iterator[None]:
    """The same of one that was made already."""
    system.start_nats()
    system.start()
    try:
        yield
        system.stop()
    finally:
        for process in [*system.processes.values(), *([system.nats] if system.nats else [])]:
            if process.poll() is None:
                for one in descendants(process.pid):
                    with suppress(psutil.NoSuchProcess):
                        one.kill()
                process.kill()
                process.wait()


def strike(pid: int, how: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to a process that may be gone by now."""
    with suppress(ProcessLookupError):
        os.kill(pid, how)
