"""What can go wrong with a bucket, on a real server: nothing is lost, doubled, taken for right."""

import hashlib
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adapters.datasets.bucket import Bucket, part_bytes
from adapters.datasets.cached import CachedArtifacts, dataset_name, key_name, open_artifacts
from commands.steps.ports import Artifacts, Kept, StepBroken
from domain.data.dataset import DatasetVersion
from domain.run.events import StepError, StepOutcome
from tests.s3 import BUCKET, S3Server


@pytest.fixture
def place(s3: S3Server) -> str:
    return s3.place()


def opened(folder: Path, place: str) -> CachedArtifacts:
    artifacts = open_artifacts(folder, folder / "datasets" / "tmp" / "1", place)
    assert isinstance(artifacts, CachedArtifacts)
    return artifacts


def admitted(artifacts: Artifacts, rows: int = 5) -> DatasetVersion:
    scratch = artifacts.scratch()
    pq.write_table(pa.table({"n": list(range(rows))}), scratch)
    written = artifacts.admit(scratch)
    return DatasetVersion(
        dataset="p.s", fingerprint=written.fingerprint, rows=written.rows, bytes=written.bytes
    )


def kept(version: DatasetVersion) -> Kept:
    return Kept(run=uuid4(), step="s", outcome=StepOutcome(key="k", output=version))


def refused(call: Callable[[], object]) -> StepError:
    with pytest.raises(StepBroken) as stopped:
        call()
    return stopped.value.error


def test_an_altered_object_is_detected_set_aside_and_sent_again(tmp_path: Path, place: str) -> None:
    maker, other, bucket = (
        opened(tmp_path / "a", place),
        opened(tmp_path / "b", place),
        Bucket(place),
    )
    version = admitted(maker)
    name = dataset_name(version.fingerprint)
    found = bucket.read(name)
    assert found is not None
    bucket.replace(name, found.content[:9] + bytes([found.content[9] ^ 1]) + found.content[10:])
    error = refused(lambda: other.lend(version))
    assert (error.code, error.retryable) == ("dataset_missing", False)
    assert "was altered in s3://" in error.message
    assert not list((tmp_path / "b").rglob("*.parquet"))
    assert set(bucket.names("datasets")) == {f"{name}.damaged"}
    assert admitted(maker) == version
    assert pq.read_table(other.lend(version)).num_rows == 5


def test_an_object_that_was_cut_off_is_sent_again_by_who_has_it(tmp_path: Path, place: str) -> None:
    maker, other, bucket = (
        opened(tmp_path / "a", place),
        opened(tmp_path / "b", place),
        Bucket(place),
    )
    version = admitted(maker)
    maker.keep("k", kept(version))
    bucket.replace(dataset_name(version.fingerprint), b"PAR1")
    assert other.find("k") is None
    assert maker.find("k") is not None
    assert other.find("k") is not None


def test_what_is_damaged_here_is_not_sent(tmp_path: Path, place: str) -> None:
    maker, bucket = opened(tmp_path, place), Bucket(place)
    version = admitted(maker)
    maker.keep("k", kept(version))
    path = Path(maker.path_of(version))
    content = path.read_bytes()
    path.write_bytes(content[:9] + bytes([content[9] ^ 1]) + content[10:])
    bucket.remove(dataset_name(version.fingerprint))
    assert maker.find("k") is None
    assert list(bucket.names("datasets")) == []


def test_an_outcome_that_cannot_be_read_is_a_miss_and_makes_room(
    tmp_path: Path, place: str
) -> None:
    maker = opened(tmp_path, place)
    Bucket(place).create(key_name("k"), b'{"run": ')
    assert maker.find("k") is None
    mine = kept(admitted(maker))
    assert maker.keep("k", mine) == mine
    assert maker.find("k") == mine


def test_a_file_of_many_parts_comes_back_as_it_was(tmp_path: Path, place: str) -> None:
    maker = opened(tmp_path / "a", place)
    scratch = maker.scratch()
    table = pa.table({"n": [hashlib.sha512(b"%d" % n).hexdigest() for n in range(200_000)]})
    pq.write_table(table, scratch, compression="none", use_dictionary=False)
    assert Path(scratch).stat().st_size > 3 * part_bytes
    written = maker.admit(scratch)
    version = DatasetVersion(
        dataset="p.s", fingerprint=written.fingerprint, rows=written.rows, bytes=written.bytes
    )
    assert pq.read_table(opened(tmp_path / "b", place).lend(version)).equals(table)


DYING = """\
import os, signal, sys
from pathlib import Path
from tests.faults.test_bucket import admitted, opened
admitted(opened(Path(sys.argv[1]), sys.argv[2]))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_who_is_killed_between_upload_and_key_leaves_nothing_that_is_wrong(
    tmp_path: Path, place: str
) -> None:
    command = [sys.executable, "-c", DYING, str(tmp_path / "a"), place]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    other, bucket = opened(tmp_path / "b", place), Bucket(place)
    assert other.find("k") is None
    (name,) = bucket.names("")
    mine = kept(admitted(other))
    assert other.keep("k", mine) == mine
    assert sorted(bucket.names("")) == [name, key_name("k")]


def test_a_store_that_is_away_for_a_while_is_waited_for(
    tmp_path: Path, s3: S3Server, monkeypatch: pytest.MonkeyPatch, free_port: Callable[[], int]
) -> None:
    server = S3Server(free_port())
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.environment["AWS_ENDPOINT_URL"])
    maker = opened(tmp_path, server.place())
    made: list[DatasetVersion] = []
    worker = Thread(target=lambda: made.append(admitted(maker)))
    worker.start()  # nobody listens yet
    server.begin()
    try:
        worker.join()
        assert len(made) == 1
        assert maker.keep("k", kept(made[0])) == maker.find("k")
    finally:
        server.stop()
    error = refused(lambda: maker.find("k"))
    assert (error.code, error.retryable) == ("io_error", True)
    assert "AWS_ENDPOINT_URL" in error.hint
    assert Path(maker.path_of(made[0])).is_file()


def test_a_bucket_that_is_not_there_is_named(tmp_path: Path, s3: S3Server) -> None:
    maker = opened(tmp_path, "s3://no-such-bucket/x")
    version = DatasetVersion(dataset="p.s", fingerprint="0" * 64, rows=1, bytes=1)
    for call in (lambda: admitted(maker), lambda: maker.find("k")):
        error = refused(call)
        assert (error.code, error.retryable) == ("io_error", False)
        assert error.message.startswith("there is no bucket no-such-bucket at http://")
        assert "datasets" in error.hint
    assert refused(lambda: maker.lend(version)).code == "dataset_missing"


@contextmanager
def answering(status: int, code: str) -> Iterator[str]:
    """A server that has one answer to everything; yields its URL."""

    class Answer(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = f"<Error><Code>{code}</Code><Message>open-sesame</Message></Error>".encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_PUT = answer  # noqa: N815  # named by the base class

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("code", ["AccessDenied", "SignatureDoesNotMatch", "InvalidAccessKeyId"])
def test_wrong_credentials_are_told_with_what_to_do(
    tmp_path: Path, s3: S3Server, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    with answering(403, code) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        maker = opened(tmp_path, f"s3://{BUCKET}/x")
        for call in (lambda: maker.find("k"), lambda: maker.keep("k", kept(admitted(maker)))):
            error = refused(call)
            assert (error.code, error.retryable) == ("io_error", False)
            assert "refuses" in error.message
            assert "AWS_ACCESS_KEY_ID" in error.hint
            assert "open-sesame" not in str(error)


def test_without_credentials_it_is_said_that_there_are_none(
    tmp_path: Path, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with answering(404, "NotFound") as url:
        monkeypatch.setenv("AWS_METADATA_ENDPOINT", url)
        error = refused(lambda: opened(tmp_path, f"s3://{BUCKET}/x").find("k"))
    assert (error.code, error.retryable) == ("io_error", False)
    assert error.message == "there are no credentials for the object store"
