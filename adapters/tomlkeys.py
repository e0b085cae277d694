"""Lines of a TOML text's tables and keys. Python's own parser tells none."""

import re

_TABLE = re.compile(r"\s*(\[\[?)\s*([^\]\[#]+?)\s*\]\]?\s*(?:#.*)?")
_KEY = re.compile(r"\s*((?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*[\w\"'-]+)*)\s*=")


def lines_of_keys(text: str) -> dict[str, int]:
    """Path → line of tables and of keys at a line's start; parts of a value have none."""
    lines = {"": 1}
    counts: dict[str, int] = {}
    prefix = ""
    for number, line in enumerate(text.splitlines(), 1):
        if table := _TABLE.fullmatch(line):
            prefix = _under(counts, _dotted(table[2]))
            if table[1] == "[[":
                place = counts.get(prefix, 0)
                counts[prefix] = place + 1
                lines.setdefault(prefix, number)
                prefix = f"{prefix}[{place}]"
            lines.setdefault(prefix, number)
        elif key := _KEY.match(line):
            path = ".".join(_dotted(key[1]))
            lines.setdefault(f"{prefix}.{path}" if prefix else path, number)
    return lines


def _dotted(text: str) -> list[str]:
    return [part.strip().strip("\"'") for part in text.split(".")]


def _under(counts: dict[str, int], keys: list[str]) -> str:
    """The path of a table; below an array of tables it belongs to the last one."""
    path = ""
    for place, key in enumerate(keys):
        path = f"{path}.{key}" if path else key
        if path in counts and place < len(keys) - 1:
            path = f"{path}[{counts[path] - 1}]"
    return path
