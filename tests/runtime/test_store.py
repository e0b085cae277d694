"""Where events and views lie: what can be said, and a password that nobody gets to see."""

from pathlib import Path

import pytest

from domain.errors import Malformed
from runtime.settings import load
from runtime.store import Store, redacted, without_password

SECRET = "s3cr3t"
URL = "postgresql://me@db.example.org:6000/flights"


@pytest.mark.parametrize("text", ["sqlite", "memory"])
def test_files_and_memory_are_no_database(text: str) -> None:
    assert not Store(text).is_database


@pytest.mark.parametrize(
    "text", [URL, "postgres://db/flights", f"{URL}?sslmode=require", "postgresql:///f?host=/run/pg"]
)
def test_a_url_names_a_database(text: str) -> None:
    assert Store(text).is_database
    assert without_password(text) == (text, "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sqlit", "write sqlite, memory or postgresql://"),
        ("mysql://db/flights", "write sqlite, memory or postgresql://"),
        (f"postgresql://me:{SECRET}@db/flights", "no password stands there"),
        (f"{URL}?password={SECRET}", "no password stands there"),
        (f"postgresql://me:{SECRET}@db:60x/flights", "no password stands there"),
        (f"postgresql://me:{SECRET}/#?@db/flights", "the port is no number"),
        (f"postgresql://me:{SECRET}@[::1/flights", "write sqlite, memory or postgresql://"),
        ("postgresql://db:60x/flights", "the port is no number"),
        ("postgresql://one,two/flights", "one host and its port"),
        ("postgresql://db", "the name of the database is missing"),
        (f"{URL}?colour=blue", "'colour' is not known there"),
    ],
)
def test_what_cannot_be_is_told_without_the_password(
    text: str, message: str, tmp_path: Path
) -> None:
    for flags, environment in (({"store": text}, {}), ({}, {"HEADWATER_STORE": text})):
        if "no password" in message and environment:
            continue  # a variable may hold it
        with pytest.raises(Malformed) as told:
            load(flags, environment, tmp_path)
        assert message in told.value.message
        assert SECRET not in told.value.message
        assert SECRET not in told.value.hint


def test_a_password_in_the_variable_is_taken_out_of_it(tmp_path: Path) -> None:
    variable = f"postgresql://me:s3%2Fcr3t@db/flights?sslmode=require&password={SECRET}"
    found = load({}, {"HEADWATER_STORE": variable}, tmp_path)
    assert found.settings.store == "postgresql://me@db/flights?sslmode=require"
    assert found.settings.store_password == "s3/cr3t"
    assert found.sources["store_password"] == "HEADWATER_STORE"


def test_a_password_of_its_own_wins(tmp_path: Path) -> None:
    environment = {
        "HEADWATER_STORE": f"postgresql://me:{SECRET}@db/flights",
        "HEADWATER_STORE_PASSWORD": "other",
    }
    assert load({}, environment, tmp_path).settings.store_password == "other"


def test_a_file_holds_the_url_and_no_password(tmp_path: Path) -> None:
    file = tmp_path / "headwater.toml"
    file.write_text(f'[service]\nstore = "{URL}"\n')
    assert load({}, {}, tmp_path).settings.store == URL
    assert load({"store": "sqlite"}, {}, tmp_path).settings.store == "sqlite"
    file.write_text(f'[service]\nstore_password = "{SECRET}"\n')
    with pytest.raises(Malformed, match="is a secret") as told:
        load({}, {}, tmp_path)
    assert SECRET not in told.value.message


def test_whatever_is_shown_has_no_password() -> None:
    assert redacted(f"postgresql://me:{SECRET}@db/f") == "postgresql://me:…@db/f"
    assert redacted(f"x://me:{SECRET}/@#?@db/f") == "x://me:…@db/f"
    assert redacted(f"postgresql://db/f?password={SECRET}&a=b") == (
        "postgresql://db/f?password=…&a=b"
    )
    assert redacted("no URL at all") == "no URL at all"


def test_a_file_may_say_where_the_password_is(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    file = tmp_path / "headwater.toml"
    file.write_text('[service]\nstore_password = "${file:secret}"\n')
    found = load({}, {}, tmp_path)
    assert found.settings.store_password == SECRET
    assert found.sources["store_password"] == "headwater.toml:2 [service]"
    own = load({}, {"HEADWATER_STORE_PASSWORD": "own"}, tmp_path)
    assert own.settings.store_password == "own"
    file.write_text(
        '[service]\nstore_password = "${env:PGPW}"\n'
        '[env.prod.service]\nstore_password = "${env:PRODPW}"\n'
    )
    environment = {"PGPW": "dev", "PRODPW": SECRET}
    assert load({}, environment, tmp_path).settings.store_password == "dev"
    assert load({"env": "prod"}, environment, tmp_path).settings.store_password == SECRET


def test_a_reference_that_leads_nowhere_is_told_by_doctor_alone(tmp_path: Path) -> None:
    (tmp_path / "headwater.toml").write_text('[service]\nstore_password = "${env:PGPW}"\n')
    found = load({}, {}, tmp_path)
    assert found.settings.store_password == ""
    assert found.sources["store_password"] == (
        "headwater.toml:2 [service]: the environment has no PGPW"
    )


@pytest.mark.parametrize(
    "value", ["x${env:PGPW}", "${env:PGPW", "${vault:PGPW}", "${env:A}${env:B}"]
)
def test_a_password_is_one_reference_or_none(value: str, tmp_path: Path) -> None:
    (tmp_path / "headwater.toml").write_text(f'[service]\nstore_password = "{value}"\n')
    with pytest.raises(Malformed, match="store_password is a secret"):
        load({}, {}, tmp_path)
