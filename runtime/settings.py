"""Every setting: its type, its limits, where its value came from.

flag > environment (`HEADWATER_*`) > `headwater.toml` > default. Nothing here is global: settings
are loaded once by whoever starts a process, and handed on.
"""

import os
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Annotated, Any, get_type_hints
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta, Struct

from domain.errors import Malformed
from domain.pipeline.connections import is_reference, references
from domain.pipeline.units import ByteSize, Duration
from runtime.project import (
    PROJECT_FILE,
    SECRET_SETTINGS,
    Project,
    Setting,
    find_project,
    read_project,
)
from runtime.store import SQLITE, DatasetStore, Store, redacted, without_password

DATA_FOLDER = ".headwater"
ENVIRONMENT_PREFIX = "HEADWATER_"

memory_per_worker_min = 128 * 2**20
"""Bytes: less than this and the engine cannot even sort its own buffers."""

heartbeats_per_task_timeout_min = 3
"""Two heartbeats may be late before a task counts as lost."""

Count = Annotated[int, Meta(ge=1, le=1_000_000)]


def _workers() -> int:
    return max(2, min(4, os.cpu_count() or 1))


class Settings(Struct, frozen=True, kw_only=True):
    """What can be set. The docstring of a field is what `headwater doctor` shows."""

    data: Annotated[Path, Meta(description="data directory")]
    env: Annotated[
        str, Meta(description="environment of the project: the sections [env.NAME.…] of its file")
    ] = ""
    roots: Annotated[
        tuple[str, ...], Meta(description="further folders that pipelines may read and write")
    ] = ()
    store: Annotated[
        Store,
        Meta(description="where events and views lie: sqlite, memory to forget, or postgresql://…"),
    ] = Store(SQLITE)
    store_password: Annotated[
        str, Meta(description="password for it; empty: PGPASSWORD, or a .pgpass file")
    ] = ""
    datasets: Annotated[
        DatasetStore,
        Meta(description="bucket for datasets, s3://BUCKET/PREFIX; empty: the data directory"),
    ] = DatasetStore("")
    nats: Annotated[
        str, Meta(description="URLs of NATS servers, with commas between; empty: one of our own")
    ] = ""
    nats_replicas: Annotated[
        int, Meta(ge=1, le=5, description="copies of each stream in a cluster of NATS servers")
    ] = 1
    nats_token: Annotated[str, Meta(description="token for that server")] = ""
    nats_server: Annotated[str, Meta(description="nats-server binary; empty: the bundled one")] = ""
    prefix: Annotated[
        str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,31}$", description="first word of every subject")
    ] = "headwater"
    timezone: Annotated[str, Meta(description="time zone of SQL")] = "UTC"
    workers: Annotated[
        int, Meta(ge=1, le=256, description="step processes that work at the same time")
    ] = msgspec.field(default_factory=_workers)
    memory: Annotated[ByteSize, Meta(description="memory of all step processes together")] = (
        ByteSize("2GiB")
    )
    step_timeout: Annotated[Duration, Meta(description="longest time of one attempt of a step")] = (
        Duration("1h")
    )
    heartbeat: Annotated[Duration, Meta(description="between two signs of life of a worker")] = (
        Duration("3s")
    )
    task_timeout: Annotated[
        Duration, Meta(description="silence after which another worker takes a task")
    ] = Duration("10s")
    request_timeout: Annotated[Duration, Meta(description="longest wait for an answer")] = Duration(
        "10s"
    )
    drain_timeout: Annotated[
        Duration, Meta(description="longest time for running steps to end when stopping")
    ] = Duration("20s")
    mailbox_max: Annotated[Count, Meta(description="commands waiting for one stream")] = 1024
    append_max: Annotated[Count, Meta(description="events in one commit")] = 4096
    events_window: Annotated[ByteSize, Meta(description="size of the bus's window on events")] = (
        ByteSize("1GiB")
    )
    datasets_bytes_max: Annotated[
        ByteSize, Meta(description="size of all kept datasets; beyond it, the oldest are dropped")
    ] = ByteSize("20GiB")


SECRETS = SECRET_SETTINGS
"""Settings whose value is never shown; neither a flag nor headwater.toml may hold them."""

FLAGS = ("data", "env", "nats", "store")
"""Settings with a flag of their own; `--set NAME=VALUE` sets any."""

_IN_PROJECT = ("roots", "timezone")
"""Settings that stand under [project] of headwater.toml; the others stand under [service]."""

_NOT_IN_FILE = frozenset({"env"})
"""Settings that choose what of headwater.toml holds."""


class Sourced(Struct, frozen=True, kw_only=True):
    """Settings, and for each the place that decided it."""

    settings: Settings
    sources: Mapping[str, str]
    """Setting → `default`, `--nats`, `HEADWATER_NATS`, `headwater.toml [service]` …"""
    project: Project
    """What the headwater.toml says; without one its home is the pipeline file's own folder, or the
    current one."""
    unknown: tuple[str, ...] = ()
    """HEADWATER_* variables that set nothing."""


def load(flags: Mapping[str, str], environment: Mapping[str, str], near: Path) -> Sourced:
    """Settings for a command given `flags`, about `near`: a pipeline file or the current folder.

    Raises `Malformed`, which names the place of a value that cannot be.
    """
    start = near if near.is_dir() else near.parent
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    project = _project(flags, environment, start)
    _take_project(project, environment, values, sources)
    unknown = _take_environment(environment, values, sources)
    for name, value in flags.items():
        _known(name, f"--set {name}")
        if name in SECRETS:
            raise Malformed(
                f"{name} is a secret and cannot be a flag",
                hint=f"set {ENVIRONMENT_PREFIX}{name.upper()}",
            )
        values[name] = value
        sources[name] = f"--{name}" if name in FLAGS else f"--set {name}"
    if "data" not in values:
        values["data"], sources["data"] = _discover_data(project.path, near)
    settings = _convert(values, sources)
    check_relations(settings)
    for name in names():
        sources.setdefault(name, "default")
    return Sourced(
        settings=settings,
        sources=sources,
        project=project,
        unknown=unknown,
    )


def names() -> tuple[str, ...]:
    """Every setting, in the order of the class."""
    return Settings.__struct_fields__


def describe(name: str) -> str:
    """What a setting is, in a few words."""
    for meta in get_type_hints(Settings, include_extras=True)[name].__metadata__:
        if meta.description:
            return str(meta.description)
    return ""


def check_relations(settings: Settings) -> None:
    """Raises `Malformed` where two settings cannot both hold."""
    if settings.memory.bytes < settings.workers * memory_per_worker_min:
        raise Malformed(
            f"memory {settings.memory} is too little for {settings.workers} workers",
            hint=f"give at least {settings.workers * memory_per_worker_min // 2**20}MiB, "
            "or fewer workers",
        )
    if settings.task_timeout.seconds < heartbeats_per_task_timeout_min * settings.heartbeat.seconds:
        raise Malformed(
            f"task_timeout {settings.task_timeout} is too short for a heartbeat of "
            f"{settings.heartbeat}",
            hint="make it at least three times as long",
        )
    if settings.drain_timeout.seconds < settings.heartbeat.seconds:
        raise Malformed(
            f"drain_timeout {settings.drain_timeout} is shorter than the heartbeat "
            f"{settings.heartbeat}",
            hint="a worker notices a stop at its heartbeat; give it at least that long",
        )
    try:
        ZoneInfo(settings.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Malformed(
            f"timezone {settings.timezone!r} is not known", hint="write one as Europe/Berlin"
        ) from None


def _discover_data(project: Path | None, near: Path) -> tuple[str, str]:
    if project is not None:
        return str(project.parent / DATA_FOLDER), f"beside {project.name}"
    here = near.absolute()
    if not near.is_dir():
        return str(here.parent / DATA_FOLDER), f"beside {near.name}"
    for folder in (here, *here.parents):
        if (folder / DATA_FOLDER).is_dir():
            return str(folder / DATA_FOLDER), "nearest one upwards"
    return str(here / DATA_FOLDER), "current folder"


def _project(flags: Mapping[str, str], environment: Mapping[str, str], start: Path) -> Project:
    variable = f"{ENVIRONMENT_PREFIX}ENV"
    env = flags.get("env", environment.get(variable, ""))
    path = find_project(start)
    if path is not None:
        return read_project(path, env)
    if env:
        raise Malformed(
            f"there is no {PROJECT_FILE} that could have an environment {env!r}",
            hint=f"leave out --env, and unset {variable}",
        )
    return Project(home=start.absolute())


def _take_project(
    project: Project,
    environment: Mapping[str, str],
    values: dict[str, Any],
    sources: dict[str, str],
) -> None:
    for setting in project.settings:
        _belongs(setting)
        if setting.name not in SECRETS:
            value = _absolute(setting.name, setting.value, project.home)
            _converted(setting.name, value, setting.place)
        if setting.env not in ("", project.env):
            continue
        sources[setting.name] = setting.place
        if setting.name not in SECRETS:
            values[setting.name] = value
            continue
        try:
            (reference,) = references(setting.value)
            values[setting.name] = project.look_up(reference, environment)
        except Malformed as error:
            # Not every command needs it; what does fails, and `doctor` shows why.
            values[setting.name] = ""
            sources[setting.name] = f"{setting.place}: {error.message}"


def _absolute(name: str, value: Any, folder: Path) -> Any:
    """Paths in headwater.toml begin at its folder, wherever the command is typed."""
    if name == "data" and isinstance(value, str):
        return str(folder / Path(value).expanduser())
    if name == "roots":
        listed = value.split(os.pathsep) if isinstance(value, str) else value
        if isinstance(listed, list) and all(isinstance(one, str) for one in listed):
            return [str(folder / Path(one).expanduser()) for one in listed if one]
    if name == "nats_server" and isinstance(value, str) and os.sep in value:
        return str(folder / Path(value).expanduser())
    return value


def _belongs(setting: Setting) -> None:
    name, section = setting.name, setting.section
    _known(name, f"{setting.place} {name}")
    home = "project" if name in _IN_PROJECT else "service"
    if name in _NOT_IN_FILE:
        hint = f"choose it by --env, or by {ENVIRONMENT_PREFIX}{name.upper()}"
        raise Malformed(f"{setting.place} {name}: this file cannot choose it", hint=hint)
    if home != section:
        raise Malformed(
            f"{setting.place}: {name} stands in [{section}]", hint=f"move it to [{home}]"
        )
    if name in SECRETS and not is_reference(setting.value):
        raise Malformed(
            f"{setting.place}: {name} is a secret",
            hint=f"set {ENVIRONMENT_PREFIX}{name.upper()} instead, "
            "or write ${env:NAME} or ${file:PATH}",
        )


def _take_environment(
    environment: Mapping[str, str], values: dict[str, Any], sources: dict[str, str]
) -> tuple[str, ...]:
    unknown = []
    for variable in sorted(environment):
        if not variable.startswith(ENVIRONMENT_PREFIX):
            continue
        name = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
        if name not in names():
            unknown.append(variable)
        elif environment[variable]:
            values[name], sources[name] = environment[variable], variable
    _hide_password(values, sources)
    return tuple(unknown)


def _hide_password(values: dict[str, Any], sources: dict[str, str]) -> None:
    """A variable may hold a whole URL; nobody else gets to see its password."""
    variable = f"{ENVIRONMENT_PREFIX}STORE"
    if sources.get("store") == variable:
        values["store"], password = without_password(values["store"])
        if password and "store_password" not in values:
            values["store_password"], sources["store_password"] = password, variable


def _known(name: str, place: str) -> None:
    if name in names():
        return
    close = get_close_matches(name, names(), 1)
    hint = f"did you mean {close[0]}?" if close else "`headwater doctor` lists all settings"
    raise Malformed(f"{place}: there is no such setting", hint=hint)


def _convert(values: Mapping[str, Any], sources: Mapping[str, str]) -> Settings:
    placed = {name: _absolute(name, value, Path.cwd()) for name, value in values.items()}
    return Settings(**{name: _converted(name, one, sources[name]) for name, one in placed.items()})


def _converted(name: str, value: Any, place: str) -> Any:
    """One by one, so that an error can name the place its value came from."""
    try:
        return msgspec.convert(value, _types()[name], strict=False, dec_hook=_decode)
    except msgspec.ValidationError as error:
        shown = "" if name in SECRETS else f" {_shown(value)!r}"
        raise Malformed(f"{place}: {name}{shown} cannot be: {error}") from None


def _shown(value: Any) -> Any:
    return redacted(value) if isinstance(value, str) else value


@cache
def _types() -> dict[str, Any]:
    return get_type_hints(Settings, include_extras=True)


def _decode(kind: type, value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("write it as a text, in quotes")
    return kind(value)
