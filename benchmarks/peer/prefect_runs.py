"""Prefect: flows of tasks against a server of its own, on a free port and in an empty home."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from importlib.metadata import version
from pathlib import Path

from benchmarks.peer.timing import tell

serving_seconds_max = 120


def _noop(value: int) -> int:
    return value


def _measure() -> None:
    from prefect import flow, task

    noop = task(_noop)

    def chain() -> None:
        value = 1
        for _ in range(5):
            value = noop(value)

    def wide() -> None:
        for done in [noop.submit(number) for number in range(200)]:
            done.result()

    small, large = flow(chain), flow(wide)
    tell(f"Prefect {version('prefect')}", small, large, times=10)


def main() -> None:
    """Print the figures."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    os.environ |= {
        "PREFECT_HOME": str(Path.cwd()),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_LOGGING_LEVEL": "ERROR",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }
    words = ["-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + serving_seconds_max
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health")  # ours
                break
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)
        _measure()
    finally:
        server.terminate()
        server.wait(30)


if __name__ == "__main__":
    main()
