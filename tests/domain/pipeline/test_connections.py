"""Connections: what may stand in a file, and where secrets are looked up."""

import pytest

from domain.errors import Malformed
from domain.pipeline.connections import Reference, read_connection, references, resolved

GOOD = {
    "kind": "postgres",
    "host": "db.internal",
    "port": 5432,
    "password": "${env:PGPASSWORD}",
    "url": "postgres://me:${env:PGPASSWORD}@db/${file:secrets/name}",
}


def test_a_connection_shows_where_secrets_are_and_none_of_them() -> None:
    connection = read_connection("warehouse", GOOD)
    assert (connection.name, connection.kind) == ("warehouse", "postgres")
    assert connection.options["password"] == "${env:PGPASSWORD}"
    assert list(references(connection.options["url"])) == [
        Reference("env", "PGPASSWORD"),
        Reference("file", "secrets/name"),
    ]
    assert list(references(5432)) == []


def test_references_are_looked_up_when_somebody_asks() -> None:
    asked: list[Reference] = []

    def look_up(reference: Reference) -> str:
        asked.append(reference)
        return f"<{reference.name}>"

    found = resolved(read_connection("warehouse", GOOD), look_up)
    assert found == {
        "host": "db.internal",
        "port": 5432,
        "password": "<PGPASSWORD>",
        "url": "postgres://me:<PGPASSWORD>@db/<secrets/name>",
    }
    assert len(asked) == 3


@pytest.mark.parametrize(
    ("options", "path", "told"),
    [
        ({}, "kind", "needs a `kind`"),
        ({"kind": 3}, "kind", "needs a `kind`"),
        ({"kind": "Post Gres"}, "kind", "needs a `kind`"),
        ({"kind": "a", "hosts": ["b"]}, "hosts", "a text, a number"),
        ({"kind": "a", "host": "${env:}"}, "host", "no reference"),
        ({"kind": "a", "host": "${HOST}"}, "host", "no reference"),
        ({"kind": "a", "host": "${file:}"}, "host", "no reference"),
        ({"kind": "a", "host": "${env:A"}, "host", "no reference"),
        ({"kind": "a", "host": "${env:A B}"}, "host", "no reference"),
        ({"kind": "a", "password": "x"}, "password", "a secret does not stand"),
        ({"kind": "a", "api_key": "x"}, "api_key", "a secret does not stand"),
        ({"kind": "a", "url": "pg://me:x@host/db"}, "url", "a secret does not stand"),
        ({"kind": "a", "dsn": "Server=a;Password=x"}, "dsn", "a secret does not stand"),
    ],
)
def test_what_cannot_stand_in_a_connection(
    options: dict[str, object], path: str, told: str
) -> None:
    with pytest.raises(Malformed, match=told) as refused:
        read_connection("warehouse", options)
    assert refused.value.path == path
    assert "x" not in refused.value.message.split()


@pytest.mark.parametrize("name", ["", "Ware", "a b", "1a"])
def test_a_connection_has_a_name(name: str) -> None:
    with pytest.raises(Malformed, match="is no name"):
        read_connection(name, GOOD)
