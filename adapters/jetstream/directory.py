"""The files of an embedded nats-server: its configuration, its log, and what clients need."""

import os
from pathlib import Path

import msgspec
from msgspec import Struct

payload_bytes_max = 1024 * 1024
"""Largest message, headers included; the limits of the domain lie below it."""

storage_bytes_max = 8 * 1024**3
"""All streams together; they are windows and queues, the archive is the event store."""


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
