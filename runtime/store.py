"""Where events and views lie, as a setting: in files, in memory, or in a PostgreSQL database."""

from collections.abc import Sequence
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

SQLITE, MEMORY = "sqlite", "memory"

_SCHEMES = ("postgresql", "postgres")
_FORM = "sqlite, memory or postgresql://USER@HOST:PORT/DATABASE"
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


def without_password(text: str) -> tuple[str, str]:
    """What stands in a setting without the password, and the password, empty where none is."""
    if not text.startswith(tuple(f"{scheme}:" for scheme in _SCHEMES)):
        return text, ""
    parts = urlsplit(text)
    user, colon, password = parts.netloc.rpartition("@")[0].partition(":")
    place = parts.netloc.rpartition("@")[2]
    given = parse_qsl(parts.query, keep_blank_values=True)
    hidden = [value for name, value in given if name == "password"]
    if not colon and not hidden:
        return text, ""
    shown = urlencode([one for one in given if one[0] != "password"], quote_via=quote)
    netloc = f"{user}@{place}" if user else place
    found = unquote(password) if colon else hidden[-1]
    return urlunsplit((parts.scheme, netloc, parts.path, shown, "")), found


def _check(text: str) -> None:
    parts = urlsplit(text)
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
