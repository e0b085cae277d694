"""A bucket of an object store that speaks S3, and what it says when it cannot.

Credentials, region and endpoint come from the process's environment, by the standard variables of
AWS, and are shown nowhere. Every request is bounded in time and tried again a few times.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import obstore
from msgspec import Struct
from obstore import exceptions
from obstore.store import S3Store

from adapters.disk import io_translated
from commands.steps.ports import StepBroken, broken

part_bytes = 8 * 1024 * 1024
"""Of a large object, in one request: small enough to be done in time on a slow line."""

_parts_at_once_max = 4
_connect_seconds_max = 5
_request_seconds_max = 60
_retries_max = 10
_retry_seconds_max = 30

_WRONG = frozenset(
    (
        "AccessDenied",
        "AllAccessDisabled",
        "AuthorizationHeaderMalformed",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidBucketName",
        "InvalidToken",
        "NotImplemented",
        "PermanentRedirect",
        "SignatureDoesNotMatch",
    )
)
"""What S3 says that asking again does not change."""

_MAY = (
    "give this process credentials that may read, write and list there, and the region, by "
    "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION; "
    "`headwater doctor` tries them"
)


class Found(Struct, frozen=True, kw_only=True):
    """A small object."""

    content: bytes
    tag: str
    """Another one for another content."""


class Bucket:
    """Objects under a prefix of one bucket. Every method blocks, and raises `StepBroken` with code
    `io_error`, which may be retried unless somebody has to change something first."""

    def __init__(self, url: str) -> None:
        """`url` is `s3://BUCKET` or `s3://BUCKET/PREFIX`."""
        self.url = url
        name, _, prefix = url.removeprefix("s3://").partition("/")
        self._name = name
        with self._translated():
            self._store = _opened(name, prefix)

    def size(self, name: str) -> int | None:
        """Bytes of an object; None where there is none."""
        with self._translated(), suppress(FileNotFoundError):
            return int(obstore.head(self._store, name)["size"])
        return None

    def read(self, name: str) -> Found | None:
        """A small object; None where there is none."""
        with self._translated(name):
            try:
                answer = obstore.get(self._store, name)
                return Found(content=bytes(answer.bytes()), tag=answer.meta["e_tag"] or "")
            except FileNotFoundError as error:
                if _code(error) == "NoSuchBucket":
                    raise
                return None

    def create(self, name: str, content: bytes) -> bool:
        """Make an object, unless there is one: then False."""
        with self._translated(name):
            try:
                obstore.put(self._store, name, content, mode="create")
            except (exceptions.AlreadyExistsError, exceptions.PreconditionError):
                return False
        return True

    def replace(self, name: str, content: bytes, tag: str = "") -> bool:
        """Make an object, or put it in the place of another: with a `tag` only of that one."""
        with self._translated(name):
            try:
                mode = {"e_tag": tag} if tag else "overwrite"
                obstore.put(self._store, name, content, mode=mode)  # type: ignore[arg-type]
            except exceptions.PreconditionError:
                return False
        return True

    def send(self, name: str, path: Path) -> None:
        """Make an object of a file; it is there, whole, when this returns, or not at all."""
        with io_translated(str(path)), path.open("rb") as file, self._translated(name):
            obstore.put(
                self._store,
                name,
                file,
                chunk_size=part_bytes,
                max_concurrency=_parts_at_once_max,
            )

    def parts(self, name: str, size: int) -> Iterator[bytes]:
        """The bytes of an object, which has `size` of them, part by part."""
        for start in range(0, size, part_bytes):
            length = min(part_bytes, size - start)
            with self._translated(name):
                part = bytes(obstore.get_range(self._store, name, start=start, length=length))
            yield part

    def save(self, name: str, path: Path) -> bool:
        """Write an object to a new file, with its folder; False where there is none any more."""
        if (size := self.size(name)) is None:
            return False
        with io_translated(str(path)):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                for part in self.parts(name, size):
                    file.write(part)
        return True

    def names(self, folder: str) -> Iterator[str]:
        """Names of all objects in a folder and below it."""
        with self._translated(folder):
            for batch in obstore.list(self._store, folder):
                for entry in batch:
                    yield entry["path"]

    def rename(self, name: str, other: str) -> None:
        """Give an object another name, in the place of what has it."""
        with self._translated(name):
            obstore.rename(self._store, name, other)

    def remove(self, name: str) -> None:
        """Remove an object, if there is one."""
        with self._translated(name):
            obstore.delete(self._store, name)

    @contextmanager
    def _translated(self, name: str = "") -> Iterator[None]:
        try:
            yield
        except (exceptions.BaseError, FileNotFoundError, ValueError) as error:
            where = f"{self.url}/{name}" if name else self.url
            raise self._told(error, where) from None  # its text repeats requests

    def _told(self, error: Exception, where: str) -> StepBroken:
        code = _code(error)
        if code == "NoSuchBucket":
            endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
            return broken(
                "io_error",
                f"there is no bucket {self._name}" + (f" at {endpoint}" if endpoint else ""),
                where=where,
                hint="make it, or correct the setting datasets",
            )
        if "/latest/" in str(error):  # the address where a machine of AWS is asked for its own
            message = "there are no credentials for the object store"
        elif code in _WRONG or isinstance(
            error, exceptions.PermissionDeniedError | exceptions.UnauthenticatedError
        ):
            message = f"the object store refuses this: {code or 'access denied'}"
        elif isinstance(error, FileNotFoundError):
            return broken("io_error", "the object is gone", where=where, retryable=True)
        else:
            message = f"the object store does not do this: {code or _reason(error)}"
            return broken(
                "io_error",
                message,
                where=where,
                hint="is it there? AWS_ENDPOINT_URL says where it is looked for",
                retryable=True,
            )
        return broken("io_error", message, where=where, hint=_MAY)


def _opened(name: str, prefix: str) -> S3Store:
    is_plain = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")
    return S3Store(
        name,
        prefix=prefix or None,
        client_options={
            "allow_http": is_plain,
            "connect_timeout": timedelta(seconds=_connect_seconds_max),
            "timeout": timedelta(seconds=_request_seconds_max),
        },
        retry_config={
            "max_retries": _retries_max,
            "retry_timeout": timedelta(seconds=_retry_seconds_max),
            "backoff": {
                "init_backoff": timedelta(milliseconds=100),
                "max_backoff": timedelta(seconds=5),
                "base": 2,
            },
        },
    )


def _code(error: Exception) -> str:
    """The one word in which S3 says what is wrong."""
    found = re.search(r"<Code>(\w+)</Code>", str(error))
    return found[1] if found else ""


def _reason(error: Exception) -> str:
    """The last part of its first line: what happened, without the request."""
    return str(error).partition("\n")[0].rpartition(" - ")[2]
