"""An object store for tests: moto's S3 server, in memory, in a process of its own.

    python -m tests.s3 PORT BUCKET

It answers one request at a time, so that its conditional puts are what they are at S3: atomic.
"""

import subprocess
import sys
from contextlib import suppress
from uuid import uuid4

from domain.errors import Defect

BUCKET = "headwater-tests"

_seconds_max = 30.0


class S3Server:
    """A server on loopback with one empty bucket, forgotten when it stops."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which a client finds it."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "tests",
            "AWS_SECRET_ACCESS_KEY": "open-sesame",
        }

    def place(self) -> str:
        """A setting `datasets` that nobody else has."""
        return f"s3://{BUCKET}/{uuid4()}"

    def begin(self) -> None:
        """Start it, without waiting until it serves."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.s3", str(self.port), BUCKET],
            stdin=subprocess.PIPE,  # it ends with us
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def wait(self) -> None:
        """Until it serves."""
        if self._process is None or self._process.stdout is None:
            raise Defect("a server is begun before it is waited for")
        if not self._process.stdout.readline():
            raise Defect("the object store of the tests does not start")

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            with self._process:
                self._process = None


def main() -> None:
    """Serve until the process that started this is gone."""
    import threading

    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from moto.s3.models import s3_backends
    from werkzeug.serving import make_server

    port, bucket = int(sys.argv[1]), sys.argv[2]
    s3_backends["123456789012"]["aws"].create_bucket(bucket, "us-east-1")
    server = make_server("127.0.0.1", port, DomainDispatcherApplication(create_backend_app))

    def end_with_parent() -> None:
        with suppress(OSError):
            sys.stdin.read()
        server.shutdown()

    threading.Thread(target=end_with_parent, daemon=True).start()
    print("ready", flush=True)  # noqa: T201  # it listens from here on, and somebody waits for it
    server.serve_forever()


if __name__ == "__main__":
    main()
