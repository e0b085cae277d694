"""The data directory: what lies where, and who holds it.

One process at a time holds it, by `flock` on a descriptor that every child inherits. So the lock
says the truth after any crash: it is free when the holder and all its children are gone.
"""

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from domain.errors import StorageFull, Unavailable
from runtime.orphans import Identity, Roster, identify, is_alive

HolderRole = Literal["up", "run", "read"]
"""A service that stays, one for the time of a run, or a command that only looks for a moment."""

wait_seconds_max = 10.0
"""For a short holder to go, or for orphans to be gone."""

_POLL_SECONDS = 0.02


class Holder(Struct, frozen=True, kw_only=True):
    """Who holds a data directory, as written in it."""

    role: HolderRole
    process: Identity
    ready: bool = False
    """Whether it answers on the bus."""
    since: float = 0.0
    """Unix time."""


class Busy(Unavailable):
    """Somebody else holds the data directory."""

    def __init__(self, path: Path, holder: Holder | None) -> None:
        who = f"process {holder.process.pid} ({holder.role})" if holder else "another process"
        super().__init__(
            f"{path} is held by {who}", hint="wait for it to end, or name another folder by --data"
        )
        self.holder = holder


class DataDir:
    """Names of the files in a data directory. Nothing is made before it is held."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    @property
    def events(self) -> Path:
        """The event store."""
        return self.path / "events.db"

    @property
    def store(self) -> Path:
        """Says which event store all this belongs to, where that is not in here."""
        return self.path / "store.json"

    @property
    def views(self) -> Path:
        """The read models."""
        return self.path / "views.db"

    @property
    def datasets(self) -> Path:
        """Data under its content hash."""
        return self.path / "datasets"

    @property
    def keys(self) -> Path:
        """Outcomes of steps under their fingerprint."""
        return self.path / "keys"

    @property
    def sources(self) -> Path:
        """What files outside were found to hold."""
        return self.path / "sources"

    @property
    def logs(self) -> Path:
        """What each attempt of a step has written."""
        return self.path / "logs"

    @property
    def bundles(self) -> Path:
        """Files of revisions, unpacked for Python steps."""
        return self.path / "bundles"

    @property
    def nats(self) -> Path:
        """The embedded nats-server's own folder, with `connection.json`."""
        return self.path / "nats"

    @property
    def reports(self) -> Path:
        """What is known about defects."""
        return self.path / "reports"

    @property
    def lock(self) -> Path:
        """The file that is locked."""
        return self.path / "lock"

    @property
    def roster(self) -> Roster:
        """Children of the holder, on record."""
        return Roster(self.path / "children" / socket.gethostname())

    def exists(self) -> bool:
        """Whether anybody has ever held it."""
        return self.lock.exists()

    def dataset(self, fingerprint: str) -> Path:
        """The file of a dataset version."""
        return self.datasets / fingerprint[:2] / f"{fingerprint}.parquet"

    def holder(self) -> Holder | None:
        """Who holds it now; None where nobody does, or nobody has said so yet."""
        try:
            holder = msgspec.json.decode((self.path / "holder.json").read_bytes(), type=Holder)
        except (OSError, msgspec.MsgspecError):
            return None
        return holder if is_alive(holder.process) else None

    @contextmanager
    def hold(self, role: HolderRole) -> Iterator["Held"]:
        """Hold it until the block ends; see `take`."""
        held = self.take(role)
        try:
            yield held
        finally:
            held.close()

    def take(self, role: HolderRole) -> "Held":
        """Hold it until it is released.

        Children that outlived a dead holder are ended first. Waits for a holder that only reads.
        Raises `Busy` where a service holds it, `Unavailable` where the folder cannot be used.
        """
        self.make()
        end = time.monotonic() + wait_seconds_max
        while True:
            descriptor = _try_lock(self.lock)
            if descriptor is not None:
                return Held(self, descriptor, role)
            holder = self.holder()
            if holder is not None and holder.role != "read":
                raise Busy(self.path, holder)
            if holder is None:
                self.roster.end_orphans()
            if time.monotonic() > end:
                raise Busy(self.path, holder)
            time.sleep(_POLL_SECONDS)

    def share(self) -> "Held":
        """Hold it beside others that share it, such as roles of one service, until it is released.

        Raises `Busy` where somebody holds it alone, `Unavailable` where it cannot be used.
        """
        self.make()
        self.roster.end_orphans()
        descriptor = _try_lock(self.lock, fcntl.LOCK_SH)
        if descriptor is None:
            raise Busy(self.path, self.holder())
        return Held(self, descriptor, None)

    def make(self) -> None:
        """Make the folder, if it is not there yet. Raises `Unavailable`."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not (self.path / ".gitignore").exists():
                (self.path / ".gitignore").write_text("*\n")
            self.lock.touch(mode=0o600)
        except OSError as error:
            raise unusable(self.path, error) from error


class Held:
    """A data directory that this process holds, alone where it says as what."""

    def __init__(self, directory: DataDir, descriptor: int, role: HolderRole | None) -> None:
        self.directory = directory
        self.descriptor = descriptor
        """Hand it to every child by `pass_fds`: the lock lasts as long as anybody has it open."""
        self.role = role
        self._since = time.time()
        self.say(ready=False)

    def say(self, *, ready: bool) -> None:
        """Tell who asks whether this process answers on the bus by now. Of those that share a
        directory nobody is the one to ask."""
        if self.role is None:
            return
        me = Holder(role=self.role, process=identify(os.getpid()), ready=ready, since=self._since)
        beside = self.directory.path / ".holder.json.new"
        try:
            beside.write_bytes(msgspec.json.encode(me))
            beside.replace(self.directory.path / "holder.json")
        except OSError as error:
            raise unusable(self.directory.path, error) from error

    def record(self, pid: int, what: str) -> None:
        """Put a child on record, so that it is ended should this process die before it."""
        self.directory.roster.add(pid, what)

    def forget(self, pid: int) -> None:
        """A child has ended."""
        self.directory.roster.remove(pid)

    def close(self) -> None:
        """Let go. Children that still have the descriptor keep the lock."""
        if self.descriptor < 0:
            return
        if self.role is not None:
            with suppress(OSError):
                (self.directory.path / "holder.json").unlink(missing_ok=True)
        os.close(self.descriptor)
        self.descriptor = -1


def unusable(path: Path, error: OSError) -> Unavailable:
    """An error of the file system, in our words."""
    if error.errno in (28, 122):  # ENOSPC, EDQUOT
        return StorageFull(f"no space left for {path}", hint="free some space, then try again")
    return Unavailable(
        f"{path} cannot be used: {error.strerror or error}",
        hint="name a folder that you may write to by --data or HEADWATER_DATA",
    )


def _try_lock(path: Path, how: int = fcntl.LOCK_EX) -> int | None:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise unusable(path, error) from error
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError as error:
        os.close(descriptor)
        raise unusable(path, error) from error
    return descriptor
