"""DBOS: workflows of steps in one process, on SQLite or, with PEER_DATABASE, on PostgreSQL."""

import os
from importlib.metadata import version
from urllib.parse import quote

from dbos import DBOS

from benchmarks.peer.timing import tell


def _noop(value: int) -> int:
    return value


def _database() -> str:
    given = os.environ.get("PEER_DATABASE")
    if given is None:
        return "sqlite:///peer.sqlite"
    user, _, place = given.removeprefix("postgresql://").partition("@")
    return f"postgresql://{user}:{quote(os.environ['PGPASSWORD'], safe='')}@{place}"


def main() -> None:
    """Print the figures."""
    DBOS(config={"name": "peer", "system_database_url": _database(), "log_level": "ERROR"})
    noop = DBOS.step()(_noop)

    def steps(count: int) -> int:
        value = 1
        for _ in range(count):
            value = noop(value)
        return value

    workflow = DBOS.workflow()(steps)
    DBOS.launch()
    try:
        tell(f"DBOS {version('dbos')}", lambda: workflow(5), lambda: workflow(200), times=50)
    finally:
        DBOS.destroy()


if __name__ == "__main__":
    main()
