"""Hosts on one machine: network namespaces on a bridge of their own, whose cables can be pulled."""

import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

Process = subprocess.Popen[bytes]


class Host:
    """A network namespace with one address."""

    def __init__(self, network: "Network", number: int) -> None:
        self.address = network.address(number)
        self._name = f"{network.name}h{number}"
        self._cable = f"{network.name}c{number}"
        self.processes: list[Process] = []
        _ip("netns", "add", self._name)
        _ip("link", "add", self._cable, "type", "veth", "peer", "eth0", "netns", self._name)
        _ip("link", "set", self._cable, "master", network.name, "up")
        _ip("-n", self._name, "address", "add", f"{self.address}/24", "dev", "eth0")
        _ip("-n", self._name, "link", "set", "eth0", "up")
        _ip("-n", self._name, "link", "set", "lo", "up")

    def start(
        self, command: Sequence[str], log: Path, environment: Mapping[str, str], folder: Path
    ) -> Process:
        """Run something on this host."""
        with log.open("ab") as output:
            process = subprocess.Popen(
                ["ip", "netns", "exec", self._name, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                cwd=folder,
            )
        self.processes.append(process)
        return process

    def pull(self) -> None:
        """Pull its cable: nobody reaches it any more, and it reaches nobody."""
        _ip("link", "set", self._cable, "down")

    def plug(self) -> None:
        """Put it back."""
        _ip("link", "set", self._cable, "up")

    def lose(self, address: str) -> None:
        """Lose whatever it sends there; what comes from there still arrives."""
        _ip("-n", self._name, "route", "add", "blackhole", f"{address}/32")

    def find(self, address: str) -> None:
        """Lose it no longer."""
        _ip("-n", self._name, "route", "delete", "blackhole", f"{address}/32")

    def remove(self) -> None:
        """End what runs there, then the host: one that still has processes would not go."""
        for process in self.processes:
            process.kill()
            process.wait()
        while left := _ip("netns", "pids", self._name).split():
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
        _ip("link", "delete", self._cable)
        _ip("netns", "delete", self._name)


class Network:
    """A bridge with hosts on it; the machine itself has the first address."""

    def __init__(self) -> None:
        self.name = f"hw{secrets.token_hex(2)}"
        self._third = secrets.randbelow(200) + 20
        self._hosts: list[Host] = []
        _ip("link", "add", self.name, "type", "bridge")
        _ip("address", "add", f"{self.address(1)}/24", "dev", self.name)
        _ip("link", "set", self.name, "up")

    def address(self, number: int) -> str:
        """The address of a host."""
        return f"10.213.{self._third}.{number}"

    def host(self) -> Host:
        """One more."""
        made = Host(self, len(self._hosts) + 2)
        self._hosts.append(made)
        return made

    def remove(self) -> None:
        """Take it all down."""
        for host in self._hosts:
            with suppress(subprocess.CalledProcessError):
                host.remove()
        _ip("link", "delete", self.name)


def why_not() -> str:
    """Why no network can be made here, or nothing."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return "hosts of our own need root and iproute2"
    try:
        Network().remove()
    except subprocess.CalledProcessError as error:
        return f"no network of our own can be made here: {error.stderr}"
    return ""


@contextmanager
def network() -> Iterator[Network]:
    """A network until the block ends; `why_not` says where none can be made."""
    made = Network()
    try:
        yield made
    finally:
        made.remove()


def _ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout
