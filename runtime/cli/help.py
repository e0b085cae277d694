"""What `--help` prints."""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from runtime.cli.catalog import EXAMPLES, GROUPS, Entry
from runtime.cli.console import Console

if TYPE_CHECKING:  # the overview is printed without importing what commands need
    from runtime.cli.parsing import Command, Field

_WIDTH_MAX = 96
_INDENT = 2


def overview(console: Console) -> str:
    """The help of `headwater` itself."""
    lines = [
        "Headwater: a data pipeline service that can prove what happened.",
        "",
        f"{_title(console, 'Usage')} headwater COMMAND [options]",
    ]
    for group in GROUPS:
        rows = [(entry.name, entry.summary) for entry in group.entries]
        lines += ["", _title(console, group.title), *_columns(console, rows, 12)]
    lines += ["", _title(console, "Examples"), *_columns(console, EXAMPLES, 40)]
    lines += ["", "`headwater COMMAND --help` tells more about one."]
    return "\n".join(lines)


def command_help(console: Console, entry: Entry, kind: "type[Command]") -> str:
    """The help of one command."""
    from runtime.cli.parsing import Command, fields_of

    fields = fields_of(kind)
    common = Command.__struct_fields__
    summary, _, rest = (kind.__doc__ or "").strip().partition("\n")
    lines = [summary, "", f"{_title(console, 'Usage')} {_usage(entry, fields)}"]
    for paragraph in textwrap.dedent(rest).strip().split("\n\n"):
        if paragraph:
            lines += ["", textwrap.fill(" ".join(paragraph.split()), _width(console))]
    if kind.examples:
        lines += ["", _title(console, "Examples")]
        for line, meaning in kind.examples:
            lines += [f"  {console.styled(line, 'cyan')}", f"      {meaning}"]
    for title, chosen in (
        ("Arguments", [field for field in fields if not _is_option(field)]),
        ("Options", [f for f in fields if _is_option(f) and f.name not in common]),
        ("Common options", [f for f in fields if f.name in common]),
    ):
        if chosen:
            rows = [(_term(field), _meaning(field)) for field in chosen]
            lines += ["", _title(console, title), *_columns(console, rows, 24)]
    return "\n".join(lines)


def _title(console: Console, text: str) -> str:
    return console.styled(f"{text}:", "bold")


def _width(console: Console) -> int:
    return min(_WIDTH_MAX, console.width)


def _is_option(field: "Field") -> bool:
    return hasattr(field.spec, "short")


def _usage(entry: Entry, fields: Sequence["Field"]) -> str:
    words = ["headwater", entry.name]
    for field in fields:
        if not _is_option(field):
            shown = field.spec.metavar + ("…" if field.is_many else "")
            words.append(shown if field.required else f"[{shown}]")
    return " ".join([*words, "[options]"])


def _term(field: "Field") -> str:
    if not _is_option(field):
        return field.spec.metavar
    short = getattr(field.spec, "short", "")
    metavar = f" {field.spec.metavar}" if field.spec.metavar else ""
    return f"{f'-{short}, ' if short else '    '}{field.option}{metavar}"


def _meaning(field: "Field") -> str:
    meaning = field.spec.help
    if field.is_many:
        meaning += " (may be repeated)"
    if field.default not in (None, "", False, ()) and not field.is_many:
        meaning += f" (default {field.default})"
    return meaning


def _columns(console: Console, rows: Sequence[tuple[str, str]], left: int) -> list[str]:
    """Terms and their meaning; a term too long for its column has a line of its own."""
    indent = " " * (_INDENT + left + 1)
    lines = []
    for term, meaning in rows:
        wrapped = textwrap.wrap(meaning, max(20, _width(console) - len(indent)))
        head = " " * _INDENT + console.styled(term, "cyan")
        if len(term) > left:
            lines += [head, *(indent + line for line in wrapped)]
        else:
            first = wrapped[0] if wrapped else ""
            lines.append(f"{head}{' ' * (left - len(term) + 1)}{first}".rstrip())
            lines += [indent + line for line in wrapped[1:]]
    return lines
