"""Where things lie, as settings: events and views in files, in memory, or in a PostgreSQL database,
datasets in files or in a bucket."""

import re
from collections.abc import Sequence
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

SQLITE, MEMORY = "sqlite", "memory"

_SCHEMES = ("postgresql", "postgres")
_PASSWORD = "password"  # noqa: S105  # the parameter's name
_FORM = "sqlite, memory or postgresql://USER@HOST:PORT/DATABASE"
_BUCKET = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
_PARAMETERS = (
    "host",
    "passfile",
    "sslcert",
    "sslcrl",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "target_session_attrs",
)
"""What may stand behind the `?`."""


class Store(str):
    """`sqlite`, `memory`, or the URL of a PostgreSQL database, in which no password stands."""

    __slots__ = ()

    def __new__(cls, text: str) -> "Store":
        """Raises `ValueError`, which does not repeat a password."""
        if text not in (SQLITE, MEMORY):
            _check(text)
        return super().__new__(cls, text)

    @property
    def is_database(self) -> bool:
        """Whether events lie in a database server and not in the data directory."""
        return self not in (SQLITE, MEMORY)


class DatasetStore(str):
    """Empty, or the URL of a bucket or of a prefix in one, in which no credentials stand."""

    __slots__ = ()

    def __new__(cls, text: str) -> "DatasetStore":
        """Raises `ValueError`, which does not repeat credentials."""
        text = text.rstrip("/")
        if text and not _BUCKET.fullmatch(text):
            raise ValueError(
                "write s3://BUCKET/PREFIX; credentials and region stand in the environment, as "
                "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, and another server than "
                "Amazon's as AWS_ENDPOINT_URL"
            )
        return super().__new__(cls, text)


def without_password(text: str) -> tuple[str, str]:
    """A URL without the password that stands in it, and the password, empty where none does."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return text, ""
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    given = parse_qsl(parts.query, keep_blank_values=True)
    found = [unquote(password), *(value for name, value in given if name == _PASSWORD)]
    if not any(found):
        return text, ""
    place = parts.netloc.rpartition("@")[2]
    shown = urlencode([one for one in given if one[0] != _PASSWORD], quote_via=quote)
    netloc = f"{user}@{place}" if user else place
    return urlunsplit((parts.scheme, netloc, parts.path, shown, "")), next(filter(None, found))


def redacted(text: str) -> str:
    """What may be shown of a text that may be meant to be a URL, however wrong it is."""
    text = re.sub(r"(://[^:@/]*):.*@", r"\1:…@", text, flags=re.DOTALL)
    return re.sub(rf"\b{_PASSWORD}=[^&\s]*", f"{_PASSWORD}=…", text)


def _check(text: str) -> None:
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ValueError(f"write {_FORM}") from None
    if parts.scheme not in _SCHEMES:
        raise ValueError(f"write {_FORM}")
    if without_password(text)[1]:
        raise ValueError("no password stands there: give it by HEADWATER_STORE_PASSWORD")
    try:
        port = parts.port
    except ValueError:
        raise ValueError("the port is no number") from None
    if port == 0 or "," in parts.netloc:
        raise ValueError(f"one host and its port: write {_FORM}")
    if not parts.path.strip("/"):
        raise ValueError(f"the name of the database is missing: write {_FORM}")
    _check_parameters([name for name, _ in parse_qsl(parts.query, keep_blank_values=True)])


def _check_parameters(names: Sequence[str]) -> None:
    for name in names:
        if name not in _PARAMETERS:
            raise ValueError(f"{name!r} is not known there; known are {', '.join(_PARAMETERS)}")
