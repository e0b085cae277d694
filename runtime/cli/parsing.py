"""Command lines as typed Structs: the fields of a command are its arguments and options."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import NODEFAULT, Struct

from runtime.cli.console import Console
from runtime.cli.exits import Exit, Usage


class Argument(Struct, frozen=True):
    """A field given by its place."""

    metavar: str
    help: str


class Option(Struct, frozen=True):
    """A field given by `--name`."""

    help: str
    metavar: str = ""
    short: str = ""
    name: str = ""
    """Where it differs from the field's."""


class Command(Struct, kw_only=True):
    """One command; its docstring is its help, the first line its summary."""

    examples: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Command line, and what it is for."""

    json: Annotated[bool, Option("answer as JSON")] = False
    data: Annotated[str, Option("data directory", "DIR")] = ""
    set: Annotated[tuple[str, ...], Option("a setting for this command", "NAME=VALUE")] = ()
    quiet: Annotated[bool, Option("no messages, only data and errors", short="q")] = False
    no_color: Annotated[bool, Option("no colours (NO_COLOR does the same)")] = False

    async def execute(self, console: Console) -> Exit:
        """Do it. Raises every `HeadwaterError`."""
        raise NotImplementedError


class InEnvironment(Command, kw_only=True):
    """A command that reads pipeline files, or runs what they say."""

    env: Annotated[str, Option("environment of the project, from headwater.toml", "NAME")] = ""


class Listing(Command, kw_only=True):
    """A command that prints a list."""

    output: Annotated[
        Literal["table", "json", "jsonl", "csv", ""],
        Option("form of the list: table, json, jsonl or csv", "FORM", short="o"),
    ] = ""

    @property
    def form(self) -> str:
        """How to print."""
        return self.output or ("json" if self.json else "table")


class Field(Struct, frozen=True, kw_only=True):
    """What the parser and the help need to know of a field."""

    name: str
    type: Any
    spec: Argument | Option
    required: bool
    default: Any = None

    @property
    def is_flag(self) -> bool:
        """No value follows."""
        return self.type is bool

    @property
    def is_many(self) -> bool:
        """May be given several times."""
        return get_origin(self.type) is tuple

    @property
    def option(self) -> str:
        """Such as `--no-color`."""
        named = self.spec.name if isinstance(self.spec, Option) else ""
        return "--" + (named or self.name).replace("_", "-")

    @property
    def label(self) -> str:
        """As messages name it."""
        return self.spec.metavar if isinstance(self.spec, Argument) else self.option


def fields_of(kind: type[Command]) -> tuple[Field, ...]:
    """Arguments and options of a command: its own first, common ones last."""
    hints = get_type_hints(kind, include_extras=True)
    found = []
    for field in msgspec.structs.fields(kind):
        hint = hints[field.encode_name]
        spec = next(one for one in hint.__metadata__ if isinstance(one, Argument | Option))
        default = None if field.default is NODEFAULT else field.default
        found.append(
            Field(
                name=field.name,
                type=get_args(hint)[0],
                spec=spec,
                required=field.required,
                default=default,
            )
        )
    common = Command.__struct_fields__
    return tuple(sorted(found, key=lambda field: field.name in common))


_REASONS = (
    ("Expected int, got str", "it must be a whole number"),
    ("Expected int | null, got str", "it must be a whole number"),
    ("Expected int >= ", "it must be at least "),
    ("Expected int <= ", "it must be at most "),
)
"""What the decoder says, and how a person says it."""


def parse(kind: type[Command], words: Sequence[str]) -> Command:
    """The command that `words` ask for. Raises `Usage`."""
    reader = _Reader(fields_of(kind))
    reader.read(list(words))
    return _convert(kind, reader)


class _Reader:
    """Reads words one by one into the texts of fields."""

    def __init__(self, fields: Sequence[Field]) -> None:
        self.fields = fields
        self.values: dict[str, Any] = {}
        self._options = {field.option: field for field in fields if isinstance(field.spec, Option)}
        self._shorts = {
            f"-{field.spec.short}": field
            for field in fields
            if isinstance(field.spec, Option) and field.spec.short
        }
        self._places = [field for field in fields if isinstance(field.spec, Argument)]

    def read(self, words: list[str]) -> None:
        """Take all of them."""
        while words:
            word = words.pop(0)
            if word == "--":
                for rest in words:
                    self._place(rest)
                return
            if word.startswith("-") and len(word) > 1:
                self._option(word, words)
            else:
                self._place(word)

    def _option(self, word: str, words: list[str]) -> None:
        name, equals, value = word.partition("=")
        field = self._options.get(name) or self._shorts.get(name)
        if field is None and not name.startswith("--") and name[:2] in self._shorts:
            field, equals, value = self._shorts[name[:2]], "=", word[2:]
        if field is None:
            raise Usage(f"there is no option {name}", hint=did_you_mean(name, self._options))
        if field.is_flag:
            if equals:
                raise Usage(f"{field.option} takes no value")
            self.values[field.name] = True
            return
        if not equals:
            if not words or words[0] in self._options or words[0] in self._shorts:
                wanted = field.spec.metavar or "a value"
                raise Usage(f"{field.option} needs {wanted}")
            value = words.pop(0)
        self._set(field, value)

    def _place(self, value: str) -> None:
        for field in self._places:
            if field.is_many or field.name not in self.values:
                self._set(field, value)
                return
        raise Usage(f"{value!r} is one argument too many")

    def _set(self, field: Field, value: str) -> None:
        if field.is_many:
            self.values.setdefault(field.name, []).append(value)
        elif field.name in self.values:
            raise Usage(f"{field.option} is given twice")
        else:
            self.values[field.name] = value


def _convert(kind: type[Command], reader: _Reader) -> Command:
    for field in reader.fields:
        if field.required and field.name not in reader.values:
            raise Usage(f"{field.label} is missing")
    hints = get_type_hints(kind, include_extras=True)
    values = {}
    for field in reader.fields:
        if field.name not in reader.values:
            continue
        given = reader.values[field.name]
        try:
            values[field.name] = msgspec.convert(given, hints[field.name], strict=False)
        except msgspec.ValidationError as error:
            raise Usage(f"{field.label} cannot be {given!r}: {_reason(field, error)}") from None
    return kind(**values)


def _reason(field: Field, error: msgspec.ValidationError) -> str:
    if get_origin(field.type) is Literal:
        return "it is one of " + ", ".join(filter(None, get_args(field.type)))
    text = str(error).partition(" - at ")[0].replace("`", "")
    for said, meant in _REASONS:
        text = text.replace(said, meant)
    return text


def did_you_mean(name: str, known: Sequence[str] | dict[str, Any]) -> str:
    """A hint for a mistyped name; empty where nothing is near."""
    close = get_close_matches(name, list(known), 1, 0.6)
    return f"did you mean {close[0]}?" if close else ""
