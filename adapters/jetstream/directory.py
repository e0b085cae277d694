"""The files of an embedded nats-server: its configuration, its log, and what clients need."""

import os
from pathlib import Path

import msgspec
from msgspec import Struct

payload_bytes_max = 1024 * 1024
"""Largest message, headers included; the limits of the domain lie below it."""

storage_bytes_max = 8 * 1024**3
"""All streams together; they are windows and queues, the archive is the event store."""


full_bytes_max = 1024 * 1024
"""Free space with which a disk counts as full."""

room_bytes_min = 16 * 1024 * 1024
"""Free space with which it does not any more."""

_GIVEN_UP = b"critical write error"
"""What the server's log says of a stream that stores nothing any more until the server is started
again, whatever becomes of the disk."""


class ConnectionFile(Struct, frozen=True):
    """What a client needs: `connection.json`, readable by its owner only."""

    url: str
    token: str


class _Ports(Struct):
    nats: list[str]


def read_connection_file(directory: Path) -> ConnectionFile | None:
    """What the server of this directory wrote for its clients; None where there is nothing."""
    try:
        content = (directory / "connection.json").read_bytes()
        return msgspec.json.decode(content, type=ConnectionFile)
    except (OSError, msgspec.MsgspecError):
        return None


class ServerDirectory:
    """The directory of one server; every function here touches the disk."""

    def __init__(self, directory: Path) -> None:
        self._path = directory.absolute()
        self._log_read = 0
        self._was_full = False

    @property
    def log(self) -> Path:
        """Where the server writes what it has to say."""
        return self._path / "server.log"

    def configure(self, port: int, token: str) -> str:
        """Write the configuration for `port` (-1: any free one); returns the file's name."""
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lines = (
            f'listen: "127.0.0.1:{port}"',
            f"ports_file_dir: {_quoted(self._path)}",
            f'authorization {{ token: "{token}" }}',
            f"max_payload: {payload_bytes_max}",
            f"log_file: {_quoted(self.log)}",
            "logfile_size_limit: 4MB",
            "logfile_max_num: 2",
            "jetstream {",
            f"  store_dir: {_quoted(self._path)}",
            f"  max_file_store: {storage_bytes_max}",
            "  max_memory_store: 64MB",
            "}",
            "",
        )
        return str(self._write("server.conf", "\n".join(lines)))

    def record(self, pid: int) -> None:
        """Write down which process has this directory, for whoever has to end an orphan."""
        self._write("server.pid", str(pid))

    def take_port(self, binary: str, pid: int) -> int | None:
        """The port that the process has told in its file, which is then removed; else None."""
        ports = self._path / f"{Path(binary).name}_{pid}.ports"
        try:
            found = msgspec.json.decode(ports.read_bytes(), type=_Ports)
        except (OSError, msgspec.MsgspecError):
            return None
        ports.unlink(missing_ok=True)
        return int(found.nats[0].rpartition(":")[2])

    def publish(self, url: str, token: str) -> None:
        """Tell clients how to connect."""
        content = msgspec.json.encode(ConnectionFile(url=url, token=token))
        self._write("connection.json", content.decode())

    def folders(self) -> frozenset[Path]:
        """The folders of JetStream and of its streams that are there now."""
        store = self._path / "jetstream"
        return frozenset(one for one in (store, *store.glob("*/streams/*")) if one.is_dir())

    def begin_watch(self) -> None:
        """A server is being started: what was before is none of its doing."""
        self._log_read = self.log.stat().st_size if self.log.exists() else 0
        self._was_full = False

    def has_given_up(self) -> bool:
        """Whether the server may have stopped to store anything, since its last write had failed:
        by its log, or since the disk was full, where it could not even say so."""
        room = os.statvfs(self._path)
        free = room.f_bavail * room.f_frsize
        if free < full_bytes_max:
            self._was_full = True
            return False
        return self._log_tells() or (self._was_full and free > room_bytes_min)

    def _log_tells(self) -> bool:
        try:
            with self.log.open("rb") as log:
                size = log.seek(0, os.SEEK_END)
                log.seek(self._log_read if self._log_read <= size else 0)  # it may be a new one
                told, self._log_read = log.read(), size
        except OSError:
            return False
        return _GIVEN_UP in told.lower()

    def clear(self) -> None:
        """Remove what is true only while a server runs."""
        for name in ("connection.json", "server.pid"):
            (self._path / name).unlink(missing_ok=True)

    def _write(self, name: str, content: str) -> Path:
        """Put a file, readable by its owner only, in its place at once."""
        beside = self._path / f".{name}.new"
        beside.unlink(missing_ok=True)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(content)
        return beside.replace(self._path / name)


def _quoted(path: Path) -> str:
    return msgspec.json.encode(str(path)).decode()
