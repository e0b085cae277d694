"""flag > environment > headwater.toml > default, and no value that cannot be."""

from pathlib import Path

import pytest

from domain.errors import Malformed
from runtime.settings import describe, load, names


def _project(folder: Path, text: str) -> Path:
    (folder / "headwater.toml").write_text(text)
    return folder


def test_defaults_hold_where_nothing_is_said(tmp_path: Path) -> None:
    found = load({}, {}, tmp_path)
    assert found.settings.store == "sqlite"
    assert found.settings.prefix == "headwater"
    assert set(found.sources) == set(names())
    assert found.sources["memory"] == "default"


def test_each_place_wins_over_the_next(tmp_path: Path) -> None:
    _project(tmp_path, "[service]\nworkers = 3\nprefix = 'a'\nrequest_timeout = '7s'\n")
    environment = {"HEADWATER_PREFIX": "b", "HEADWATER_WORKERS": "4"}
    found = load({"workers": "5"}, environment, tmp_path)
    assert (found.settings.workers, found.sources["workers"]) == (5, "--set workers")
    assert (found.settings.prefix, found.sources["prefix"]) == ("b", "HEADWATER_PREFIX")
    assert found.settings.request_timeout.seconds == 7
    assert found.sources["request_timeout"] == "headwater.toml:4 [service]"


def test_project_and_defaults_have_sections_of_their_own(tmp_path: Path) -> None:
    text = (
        "[project]\nname = 'x'\npipelines = ['p/*.yaml']\nroots = ['/srv/in']\n"
        "[defaults]\nmemory = '3GiB'\n[service]\nmemory = '4GiB'\n"
    )
    found = load({}, {}, _project(tmp_path, text))
    assert found.project.pipelines == ("p/*.yaml",)
    assert found.settings.roots == ("/srv/in",)
    assert found.settings.memory.bytes == 4 * 2**30
    assert found.project.defaults == {"memory": "3GiB"}


def test_paths_begin_where_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toml = "[project]\nroots = ['../shared', '/srv/in']\n[service]\ndata = 'kept'\n"
    below = _project(tmp_path, toml) / "below"
    below.mkdir()
    monkeypatch.chdir(below)
    found = load({}, {}, below).settings
    assert found.data == tmp_path / "kept"
    assert [Path(one).resolve() for one in found.roots] == [
        tmp_path.parent / "shared",
        Path("/srv/in"),
    ]
    typed = load({"roots": "a:/b", "data": "c"}, {"HEADWATER_NATS_SERVER": "./nats"}, below)
    assert typed.settings.roots == (str(below / "a"), "/b")
    assert typed.settings.data == below / "c"
    assert typed.settings.nats_server == str(below / "nats")


def test_the_data_directory_is_beside_the_nearest_project(tmp_path: Path) -> None:
    _project(tmp_path, "")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    (below / "p.yaml").write_text("")
    assert load({}, {}, below / "p.yaml").settings.data == tmp_path / ".headwater"


def test_else_beside_the_pipeline_file(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("")
    assert load({}, {}, tmp_path / "p.yaml").settings.data == tmp_path / ".headwater"


def test_the_home_of_a_pipeline_is_its_project_or_its_own_folder(tmp_path: Path) -> None:
    file = tmp_path / "a" / "p.yaml"
    file.parent.mkdir()
    file.write_text("")
    elsewhere = {"data": str(tmp_path / "elsewhere")}
    assert load(elsewhere, {}, file).project.home == file.parent
    assert load(elsewhere, {}, file.parent).project.home == file.parent
    _project(tmp_path, "")
    assert load(elsewhere, {}, file).project.home == tmp_path


def test_else_the_nearest_one_upwards(tmp_path: Path) -> None:
    (tmp_path / ".headwater").mkdir()
    below = tmp_path / "a"
    below.mkdir()
    assert load({}, {}, below).settings.data == tmp_path / ".headwater"


def test_headwater_data_and_the_flag_say_otherwise(tmp_path: Path) -> None:
    environment = {"HEADWATER_DATA": str(tmp_path / "e")}
    assert load({}, environment, tmp_path).settings.data == tmp_path / "e"
    assert load({"data": str(tmp_path / "f")}, environment, tmp_path).settings.data == (
        tmp_path / "f"
    )


def test_data_in_the_project_file_is_relative_to_it(tmp_path: Path) -> None:
    _project(tmp_path, "[service]\ndata = 'state'\n")
    (tmp_path / "a").mkdir()
    assert load({}, {}, tmp_path / "a").settings.data == tmp_path / "state"


def test_unknown_variables_are_told_but_no_error(tmp_path: Path) -> None:
    assert load({}, {"HEADWATER_WROKERS": "1"}, tmp_path).unknown == ("HEADWATER_WROKERS",)


@pytest.mark.parametrize(
    ("flags", "environment", "toml", "told"),
    [
        ({"workers": "0"}, {}, "", "--set workers"),
        ({}, {"HEADWATER_MEMORY": "much"}, "", "HEADWATER_MEMORY"),
        ({}, {}, "[service]\nheartbeat = 3\n", "headwater.toml:2 [service]"),
        ({}, {}, "[service]\nwrokers = 3\n", "no such setting"),
        ({}, {}, "[servce]\n", "[servce] is not known"),
        ({}, {}, "service = 1\n", "must be a section"),
        ({}, {}, "[project]\nworkers = 3\n", "stands in [project]"),
        ({}, {}, "[service]\nnats_token = 'x'\n", "is a secret"),
        ({"nats_token": "x"}, {}, "", "cannot be a flag"),
        ({}, {}, "[project]\npipelines = 3\n", "must be a list of texts"),
        ({}, {}, "= broken", "cannot be read"),
        ({"store": "postgres"}, {}, "", "--store"),
        ({"prefix": "a.b"}, {}, "", "prefix"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(
    tmp_path: Path, flags: dict[str, str], environment: dict[str, str], toml: str, told: str
) -> None:
    with pytest.raises(Malformed) as refused:
        load(flags, environment, _project(tmp_path, toml))
    assert told in refused.value.message


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ({"memory": "256MiB", "workers": "4"}, "too little for 4 workers"),
        ({"heartbeat": "5s"}, "too short for a heartbeat"),
        ({"drain_timeout": "1s"}, "shorter than the heartbeat"),
        ({"timezone": "Mars/Olympus"}, "not known"),
        ({"timezone": "../etc"}, "not known"),
    ],
)
def test_settings_that_cannot_both_hold_are_refused(
    tmp_path: Path, flags: dict[str, str], told: str
) -> None:
    with pytest.raises(Malformed) as refused:
        load(flags, {}, tmp_path)
    assert told in refused.value.message
    assert refused.value.hint


def test_a_secret_comes_from_the_environment(tmp_path: Path) -> None:
    found = load({}, {"HEADWATER_NATS_TOKEN": "hush"}, tmp_path)
    assert "HEADWATER_NATS_TOKEN" in found.sources.values()


def test_every_setting_is_described() -> None:
    assert all(describe(name) for name in names())


@pytest.mark.parametrize(
    "text", ["", "s3://bucket", "s3://my.bucket-1/a/b_c/d.e", "s3://bucket/a/"]
)
def test_datasets_may_lie_in_a_bucket(tmp_path: Path, text: str) -> None:
    assert load({"datasets": text}, {}, tmp_path).settings.datasets == text.rstrip("/")


@pytest.mark.parametrize(
    "text",
    [
        "bucket",
        "gs://bucket",
        "s3://",
        "s3://B",
        "s3://bucket//a",
        "s3://bucket/../a",
        "s3://bucket/a?region=x",
        "s3://key:hush@bucket/a",
    ],
)
def test_what_is_no_bucket_is_refused_and_no_secret_repeated(tmp_path: Path, text: str) -> None:
    with pytest.raises(Malformed) as refused:
        load({"datasets": text}, {}, tmp_path)
    assert "--set datasets: datasets" in refused.value.message
    assert "s3://BUCKET/PREFIX" in refused.value.message
    assert "hush" not in str(refused.value)
