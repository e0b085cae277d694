"""A project: the folder of a headwater.toml, and what that file says in one environment.

    [project]            name, pipelines, roots, timezone
    [defaults]           what holds where a pipeline file does not say otherwise
    [service]            settings of the service
    [connections.NAME]   how something outside is reached
    [env.NAME.…]         any of these again, for the one environment that is chosen

What stands for another environment is read all the same, so that a mistake in it is told today.
"""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from msgspec import Struct

from adapters.tomlkeys import lines_of_keys
from domain.errors import Malformed
from domain.limits import definition_bytes_max
from domain.merging import merged
from domain.pipeline.connections import Connection, Reference, has_reference, read_connection
from domain.pipeline.names import NAME, did_you_mean

PROJECT_FILE = "headwater.toml"

name_chars_max = 64
"""Of a project's name."""

secret_bytes_max = 64 * 1024
"""Of a file that a connection refers to."""

SECRET_SETTINGS = frozenset({"nats_token", "store_password"})
"""Settings whose value never stands in the file, but may be referred to."""

_SECTIONS = ("project", "defaults", "service", "connections", "env")
_PROJECT_WORDS = ("name", "pipelines")


class Setting(Struct, frozen=True, kw_only=True):
    """A setting as the file has it."""

    name: str
    value: Any
    section: str
    place: str
    """`headwater.toml:7 [service]`."""
    env: str = ""
    """The environment that it holds for; empty for all."""


class Project(Struct, frozen=True, kw_only=True):
    """What a project's file says; of a folder without one, only where it is."""

    home: Path
    path: Path | None = None
    name: str = ""
    pipelines: tuple[str, ...] = ()
    """Patterns of pipeline files, relative to `home`."""
    settings: tuple[Setting, ...] = ()
    """All of them; those for an environment win over those for all."""
    defaults: Mapping[str, Any] = {}
    """As under `defaults` of a pipeline file, for the chosen environment."""
    connections: Mapping[str, Connection] = {}
    """By name, for the chosen environment."""
    env: str = ""

    @property
    def owner(self) -> str:
        """By what name it owns its pipelines: its own, else its folder's."""
        return self.name or str(self.home.resolve())

    def look_up(self, reference: Reference, environment: Mapping[str, str]) -> str:
        """The text that a connection's reference stands for. Raises `Malformed`."""
        if reference.kind == "env":
            if reference.name not in environment:
                raise Malformed(f"the environment has no {reference.name}")
            return environment[reference.name]
        path = self.home / reference.name
        try:
            with path.open("rb") as file:
                content = file.read(secret_bytes_max + 1)
            if len(content) > secret_bytes_max:
                raise Malformed(f"{path} has more than {secret_bytes_max} bytes")
            return content.decode().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            raise Malformed(f"{path} cannot be read: {reason}") from None


def find_project(start: Path) -> Path | None:
    """The nearest headwater.toml, upwards from `start`."""
    for folder in (start.absolute(), *start.absolute().parents):
        if (folder / PROJECT_FILE).is_file():
            return folder / PROJECT_FILE
    return None


def read_project(path: Path, env: str = "") -> Project:
    """The project of a file, in the environment `env`. Raises `Malformed` with file and line."""
    return _Reader(path).project(env)


class _Reader:
    """One file on its way into a project."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with path.open("rb") as file:
                text = file.read(definition_bytes_max + 1).decode("utf-8")
            if len(text) > definition_bytes_max:
                raise Malformed(f"{path} has more than {definition_bytes_max} bytes")
            self._document: dict[str, Any] = tomllib.loads(text)
        except (OSError, ValueError, RecursionError) as error:
            raise Malformed(f"{path} cannot be read: {error}") from error
        self._lines = lines_of_keys(text)

    def project(self, env: str) -> Project:
        """Read all of it."""
        self._no_secrets("", {**self._document, "connections": {}})
        base = self._sections("", self._document, _SECTIONS)
        envs = self._environments(base)
        if env and env not in envs:
            hint = did_you_mean(env, [*envs]) or f"add a section [env.{env}.defaults] to it"
            raise Malformed(f"{self._path} has no environment {env!r}", hint=hint)
        chosen = envs.get(env, {})
        head = base.get("project", {})
        return Project(
            home=self._path.parent,
            path=self._path,
            name=self._name(head),
            pipelines=self._patterns(head),
            settings=(
                *self._settings("", base),
                *(one for name, part in envs.items() for one in self._settings(name, part)),
            ),
            defaults=self._defaults(base, envs, env),
            connections=self._connections(base, chosen, env),
            env=env,
        )

    def _sections(
        self, prefix: str, value: Mapping[str, Any], allowed: tuple[str, ...]
    ) -> dict[str, dict[str, Any]]:
        for name, content in value.items():
            path = f"{prefix}{name}"
            if name not in allowed:
                known = ", ".join(f"[{prefix}{one}]" for one in allowed)
                self._refuse(path, f"[{path}] is not known", f"the sections are {known}")
            if not isinstance(content, dict):
                self._refuse(path, f"{path} must be a section, written [{path}]")
        return {**value}

    def _environments(self, base: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        envs = {}
        for name, content in base.get("env", {}).items():
            path = f"env.{name}"
            if NAME.fullmatch(name) is None:
                self._refuse(path, f"{name!r} is no name", "small letters, digits and _")
            if not isinstance(content, dict):
                self._refuse(path, f"{path} must hold sections, written [{path}.defaults]")
            envs[name] = self._sections(f"{path}.", content, _SECTIONS[:-1])
            for word in _PROJECT_WORDS:
                if word in content.get("project", {}):
                    what = f"{path}.project.{word}"
                    self._refuse(what, f"{word} is the same in all environments")
        return envs

    def _settings(self, env: str, sections: Mapping[str, Any]) -> Iterator[Setting]:
        prefix = f"env.{env}." if env else ""
        for section in ("project", "service"):
            for name, value in sections.get(section, {}).items():
                if section == "project" and name in _PROJECT_WORDS:
                    continue
                yield Setting(
                    name=name,
                    value=value,
                    section=section,
                    place=f"{self._at(f'{prefix}{section}.{name}')} [{prefix}{section}]",
                    env=env,
                )

    def _defaults(
        self, base: Mapping[str, Any], envs: Mapping[str, Mapping[str, Any]], env: str
    ) -> dict[str, Any]:
        common = base.get("defaults", {})
        self._hold_defaults("defaults", common)
        for name, sections in envs.items():
            self._hold_defaults(f"env.{name}.defaults", sections.get("defaults", {}))
        return merged(common, envs.get(env, {}).get("defaults", {}))

    def _hold_defaults(self, path: str, value: Mapping[str, Any]) -> None:
        if not value:
            return
        from domain.pipeline.shape import decode  # most files have none
        from domain.pipeline.spec import Defaults

        for problem in decode(value, Defaults, path, "defaults")[1]:
            self._refuse(problem.path, problem.message, problem.hint)

    def _connections(
        self, base: Mapping[str, Any], chosen: Mapping[str, Any], env: str
    ) -> dict[str, Connection]:
        common = base.get("connections", {})
        for name in common:
            self._connection(f"connections.{name}", name, common[name])
        for other, sections in base.get("env", {}).items():
            for name, value in sections.get("connections", {}).items():
                path = f"env.{other}.connections.{name}"
                if name not in common:
                    hint = did_you_mean(name, [*common]) or f"add [connections.{name}] first"
                    self._refuse(path, f"there is no connection {name!r} to change", hint)
                if not isinstance(value, dict):
                    self._refuse(path, f"{path} must be a section, written [{path}]")
                self._connection(path, name, merged(common[name], value))
        return {
            name: read_connection(name, merged(value, chosen.get("connections", {}).get(name, {})))
            for name, value in common.items()
        }

    def _connection(self, path: str, name: str, value: object) -> None:
        try:
            read_connection(name, value)
        except Malformed as error:
            below = f"{path}.{error.path}" if error.path else path
            self._refuse(below, error.message, error.hint)

    def _name(self, head: Mapping[str, Any]) -> str:
        name = head.get("name", "")
        if not isinstance(name, str) or len(name) > name_chars_max or "/" in name:
            hint = f"a text of at most {name_chars_max} characters, without a slash"
            self._refuse("project.name", f"{name!r} is no name of a project", hint)
        return name

    def _patterns(self, head: Mapping[str, Any]) -> tuple[str, ...]:
        value = head.get("pipelines", ())
        if isinstance(value, str):
            return (value,)
        if isinstance(value, list | tuple) and all(isinstance(one, str) for one in value):
            return tuple(value)
        return self._refuse("project.pipelines", "pipelines must be a list of texts")

    def _no_secrets(self, path: str, value: object) -> None:
        """References stand in connections, also in those of an environment, and for settings that
        are secrets."""
        match value:
            case dict():
                for key, one in value.items():
                    below = f"{path}.{key}" if path else str(key)
                    parts = below.split(".")
                    if parts[0] == "env":
                        parts = parts[2:]
                    secret = parts[:1] == ["service"] and parts[-1] in SECRET_SETTINGS
                    if parts[:1] != ["connections"] and not secret:
                        self._no_secrets(below, one)
            case list():
                for one in value:
                    self._no_secrets(path, one)
            case str() if has_reference(value):
                hint = "move it to an option of a connection"
                self._refuse(path, f"{value!r} may stand only in [connections.NAME]", hint)

    def _at(self, path: str) -> str:
        while path and path not in self._lines:
            path = path.rpartition(".")[0]
        return f"{self._path.name}:{self._lines.get(path, 1)}"

    def _refuse(self, path: str, message: str, hint: str = "") -> NoReturn:
        raise Malformed(f"{self._at(path)} {path}: {message}", hint=hint)
