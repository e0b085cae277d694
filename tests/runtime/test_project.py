"""headwater.toml: one project, its environments, and every mistake with its line."""

from pathlib import Path

import pytest

from domain.errors import Malformed
from domain.pipeline.connections import resolved
from runtime.project import Project, read_project
from runtime.settings import load

SHOP = """\
[project]
name = "shop"
pipelines = ["pipelines/*.yaml"]

[defaults]
timeout = "10m"
retry = {attempts = 3, initial = "1s"}

[connections.warehouse]
kind = "postgres"
host = "localhost"
password = "${env:PGPASSWORD}"

[env.prod.defaults]
retry = {attempts = 5}

[env.prod.connections.warehouse]
host = "db.internal"
password = "${file:secrets/password}"

[env.prod.project]
timezone = "Europe/Berlin"

[env.prod.service]
workers = 3

[env.dev]
"""


def _read(folder: Path, text: str, env: str = "") -> Project:
    (folder / "headwater.toml").write_text(text)
    return read_project(folder / "headwater.toml", env)


def test_a_project_without_an_environment(tmp_path: Path) -> None:
    shop = _read(tmp_path, SHOP)
    assert (shop.owner, shop.home, shop.env) == ("shop", tmp_path, "")
    assert shop.pipelines == ("pipelines/*.yaml",)
    assert shop.defaults == {"timeout": "10m", "retry": {"attempts": 3, "initial": "1s"}}
    assert shop.connections["warehouse"].options["host"] == "localhost"


def test_an_environment_changes_what_it_says_and_nothing_else(tmp_path: Path) -> None:
    prod = _read(tmp_path, SHOP, "prod")
    assert (prod.owner, prod.env) == ("shop", "prod")
    assert prod.defaults == {"timeout": "10m", "retry": {"attempts": 5, "initial": "1s"}}
    options = prod.connections["warehouse"].options
    assert options == {"host": "db.internal", "password": "${file:secrets/password}"}
    dev = _read(tmp_path, SHOP, "dev")
    assert dev.defaults == _read(tmp_path, SHOP).defaults


def test_settings_of_an_environment_hold_where_it_is_chosen(tmp_path: Path) -> None:
    (tmp_path / "headwater.toml").write_text(SHOP)
    assert load({}, {}, tmp_path).settings.timezone == "UTC"
    for flags, variables in (({"env": "prod"}, {}), ({}, {"HEADWATER_ENV": "prod"})):
        found = load(flags, variables, tmp_path)
        assert (found.settings.timezone, found.settings.workers) == ("Europe/Berlin", 3)
        assert found.sources["timezone"] == "headwater.toml:22 [env.prod.project]"
        assert (found.settings.env, found.project.env) == ("prod", "prod")


def test_a_flag_wins_over_the_variable(tmp_path: Path) -> None:
    (tmp_path / "headwater.toml").write_text(SHOP)
    assert load({"env": "dev"}, {"HEADWATER_ENV": "prod"}, tmp_path).project.env == "dev"


def test_secrets_are_looked_up_at_their_place(tmp_path: Path) -> None:
    shop, variables = _read(tmp_path, SHOP), {"PGPASSWORD": "one"}
    found = resolved(shop.connections["warehouse"], lambda one: shop.look_up(one, variables))
    assert found["password"] == "one"
    with pytest.raises(Malformed, match="the environment has no PGPASSWORD"):
        resolved(shop.connections["warehouse"], lambda one: shop.look_up(one, {}))
    prod = _read(tmp_path, SHOP, "prod")
    with pytest.raises(Malformed, match="secrets/password cannot be read"):
        resolved(prod.connections["warehouse"], lambda one: prod.look_up(one, {}))
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/password").write_text("two\n")
    found = resolved(prod.connections["warehouse"], lambda one: prod.look_up(one, {}))
    assert found["password"] == "two"


def test_a_project_without_a_name_is_its_folder(tmp_path: Path) -> None:
    assert _read(tmp_path, "").owner == str(tmp_path.resolve())
    (tmp_path / "b").mkdir()
    (tmp_path / "b/p.yaml").write_text("")
    (tmp_path / "headwater.toml").unlink()
    assert load({}, {}, tmp_path / "b/p.yaml").project.owner == str((tmp_path / "b").resolve())


@pytest.mark.parametrize(
    ("text", "told", "hint"),
    [
        ("[project]\nnmae = 'x'\n", "headwater.toml:2 [project] nmae", "lists all settings"),
        ("[project]\nname = 3\n", "headwater.toml:2 project.name", "a text"),
        ("[project]\nname = 'a/b'\n", "headwater.toml:2 project.name", "slash"),
        ("\n[defalts]\n", "headwater.toml:2 defalts: [defalts] is not known", "[defaults]"),
        ("[defaults]\nretyr = 3\n", "headwater.toml:2 defaults.retyr", "retry"),
        ("[defaults]\nretry = {attempts = 'x'}\n", "headwater.toml:2 defaults.retry", ""),
        ("[defaults]\ntimeout = 3\n", "headwater.toml:2 defaults.timeout", ""),
        ("[env.a.defaults]\ntimeout = 3\n", "headwater.toml:2 env.a.defaults.timeout", ""),
        ("[env.A]\n", "headwater.toml:1 env.A: 'A' is no name", "small letters"),
        ("[env.a.envs]\n", "headwater.toml:1 env.a.envs: [env.a.envs]", "[env.a.defaults]"),
        ("[env.a.project]\nname = 'x'\n", "env.a.project.name: name is the same", ""),
        ("[env.a.service]\nworkres = 3\n", "headwater.toml:2 [env.a.service]", "workers"),
        ("[env.a.service]\nworkers = 'many'\n", "headwater.toml:2 [env.a.service]: workers", ""),
        (
            "[connections.a]\nkind = 'b'\n[env.a.connections]\na = 3\n",
            "headwater.toml:4 env.a.connections.a: env.a.connections.a must be a section",
            "",
        ),
        ("[service]\nenv = 'a'\n", "this file cannot choose it", "--env"),
        ("[connections.a]\nhost = 'b'\n", "headwater.toml:1 connections.a.kind", "postgres"),
        (
            "[connections.ware]\nkind = 'a'\n[env.a.connections.wear]\nhost = 'b'\n",
            "headwater.toml:3 env.a.connections.wear: there is no connection 'wear'",
            "ware",
        ),
        ("[connections.a]\nkind = 'b'\ntoken = 'c'\n", "headwater.toml:3", "${env:NAME}"),
        ("[service]\nprefix = '${env:P}'\n", "headwater.toml:2 service.prefix", "connection"),
        (
            "[env.a.project]\nroots = ['${file:P}']\n",
            "headwater.toml:2 env.a.project.roots",
            "connection",
        ),
    ],
)
def test_what_cannot_be_is_told_with_its_line(
    tmp_path: Path, text: str, told: str, hint: str
) -> None:
    (tmp_path / "headwater.toml").write_text(text)
    with pytest.raises(Malformed) as refused:
        load({}, {}, tmp_path)
    assert told in refused.value.message
    assert hint in refused.value.hint


@pytest.mark.parametrize(
    ("text", "hint"), [(SHOP, "did you mean `prod`?"), ("", "add a section [env.prd.defaults]")]
)
def test_an_unknown_environment_is_told_with_those_that_are_near(
    tmp_path: Path, text: str, hint: str
) -> None:
    with pytest.raises(Malformed, match="has no environment 'prd'") as refused:
        _read(tmp_path, text, "prd")
    assert hint in refused.value.hint


def test_without_a_project_there_is_no_environment(tmp_path: Path) -> None:
    with pytest.raises(Malformed, match=r"there is no headwater\.toml"):
        load({}, {"HEADWATER_ENV": "prod"}, tmp_path)
    assert load({}, {"HEADWATER_ENV": ""}, tmp_path).settings.env == ""
