"""A system on several hosts: three NATS servers that are one, three workers, and all the rest."""

import json
import random
from contextlib import suppress
from pathlib import Path

import anyio
import nats
import nats.errors

from adapters.jetstream.server import find_binary
from runtime.roles import ROLES
from tests.e2e.project import HEADWATER
from tests.faults.campaign.load import Way
from tests.faults.campaign.systems import Cluster
from tests.faults.hosts import Host, Network
from tests.postgres import PostgresServer

leader_seconds_max = 30.0
"""For an election."""


class Spread(Cluster):
    """NATS servers and workers on hosts of their own; the database and the other roles are on this
    machine, which all of them reach."""

    def __init__(self, folder: Path, postgres: PostgresServer, wire: Network) -> None:
        super().__init__(folder, postgres, port=4222)
        self.servers = [wire.host() for _ in range(3)]
        self.workers = [wire.host() for _ in range(3)]
        self.here = wire.address(1)
        postgres.listen(self.here, f"{self.here}/24")
        self._folder = folder / "nats"
        self._folder.mkdir()
        self._urls = [f"nats://{host.address}:4222" for host in self.servers]
        self._chance = random.Random(0)
        self.project.environment |= {
            "HEADWATER_NATS": ",".join(self._urls),
            "HEADWATER_NATS_REPLICAS": "3",
            "HEADWATER_STORE": postgres.url(self.database).replace("127.0.0.1", self.here),
        }

    def start_nats(self) -> None:
        """Three servers that know each other."""
        routes = ", ".join(f'"nats://{host.address}:6222"' for host in self.servers)
        for number, host in enumerate(self.servers):
            settings = self._folder / f"{number}.conf"
            settings.write_text(
                f"server_name: s{number}\nlisten: {host.address}:4222\n"
                f'jetstream {{ store_dir: "{self._folder}/{number}" }}\n'
                f"cluster {{ name: c, listen: {host.address}:6222, routes: [{routes}] }}\n"
            )
            command = [find_binary(), "-c", str(settings)]
            log = self._folder / f"{number}.log"
            host.start(command, log, self.project.environment, self._folder)

    def start(self, *roles: str) -> None:
        """As any cluster does it, with a worker on each of three hosts."""
        for role in roles or ROLES:
            if role != "steps":
                super().start(role)
                continue
            for number, host in enumerate(self.workers):
                command = [str(HEADWATER), "up", "--role", "steps"]
                log = self.project.folder / f"steps{number}.log"
                self.processes[f"steps {number}"] = host.start(
                    command, log, self.project.environment, self.project.folder
                )

    def way(self) -> Way:
        return Way(self._chance.choice(self._urls))

    def leader(self, stream: str = "HEADWATER_EVENTS") -> Host:
        """The server whose copy of a stream is the one that is written to, once there is one."""
        found: list[Host] = []

        def known() -> bool:
            with suppress(nats.errors.Error, OSError, KeyError):
                found.append(self.servers[anyio.run(self._leader, stream)])
            return bool(found)

        self.project.until(known, leader_seconds_max)
        return found[0]

    async def _leader(self, stream: str) -> int:
        client = await nats.connect(self._urls)
        try:
            answer = await client.request(f"$JS.API.STREAM.INFO.{stream}", b"")
            name: str = json.loads(answer.data)["cluster"]["leader"]
        finally:
            await client.close()
        return int(name.removeprefix("s"))
