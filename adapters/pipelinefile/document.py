"""Plain values built from a file's events, with the line that each path stands on.

YAML and JSON come in as the same few events, so that both have the same limits and the same
messages. Nothing here recurses: a file cannot nest its way into the interpreter's stack.
"""

from collections.abc import Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from domain.errors import HeadwaterError
from domain.limits import nesting_max

nodes_max = 500_000
"""Values in one file after its aliases are resolved: an alias bomb ends here."""

Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]


class Mistake(Struct, frozen=True, kw_only=True):
    """Something that cannot stand in the file as it does."""

    line: int
    message: str
    path: str = ""
    hint: str = ""


class Unreadable(HeadwaterError):
    """A file that is no document; `mistakes` in the order of their lines."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__(mistakes[0].message, hint=mistakes[0].hint)
        self.mistakes = tuple(mistakes)


class Document(Struct, frozen=True):
    """A file's values, and where they stand."""

    value: Plain
    lines: dict[str, int]
    """Path, such as `steps[3].rules[0].cast` → line, from 1; for a key the key's own."""
    texts: dict[str, int] = {}
    """Path → line on which its text begins, where that is another one."""


class Scalar(Struct, frozen=True):
    """One value without parts. `raw` is how it reads as a key."""

    value: Plain
    raw: str
    line: int
    text_line: int = 0
    anchor: str | None = None


class Open(Struct, frozen=True):
    """A map or a list begins."""

    is_map: bool
    line: int
    anchor: str | None = None


class Close(Struct, frozen=True):
    """The innermost map or list ends."""


class Alias(Struct, frozen=True):
    """A value that was anchored before stands here again."""

    name: str
    line: int


Event = Scalar | Open | Close | Alias


class _Frame:
    """A map or a list that is still open."""

    def __init__(self, path: str, opened: Open, before: int) -> None:
        self.path = path
        self.opened = opened
        self.before = before
        self.entries: dict[str, Plain] = {}
        self.items: list[Plain] = []
        self.key: str | None = None
        self.repeated = False


class _Anchored(Struct, frozen=True):
    value: Plain
    nodes: int
    depth: int


class Builder:
    """Takes events one by one; `document()` when there are no more."""

    def __init__(self) -> None:
        self._frames: list[_Frame] = []
        self._anchors: dict[str, _Anchored] = {}
        self._lines: dict[str, int] = {}
        self._texts: dict[str, int] = {}
        self._root: list[Plain] = []
        self._nodes = 0
        self.mistakes: list[Mistake] = []

    def feed(self, events: Iterable[Event]) -> None:
        """Take `events`. Raises `Unreadable` where it makes no sense to go on."""
        for event in events:
            match event:
                case Scalar():
                    self._scalar(event)
                case Open():
                    self._open(event)
                case Close():
                    self._close()
                case Alias():
                    self._alias(event)

    def document(self) -> Document:
        """The whole. Raises `Unreadable` with every mistake, and for a file with nothing in it."""
        if self.mistakes:
            raise Unreadable(sorted(self.mistakes, key=lambda mistake: mistake.line))
        if not self._root:
            hint = "a pipeline file starts with `pipeline: NAME`"
            raise Unreadable([Mistake(line=1, message="the file is empty", hint=hint)])
        return Document(self._root[0], self._lines, self._texts)

    def _scalar(self, scalar: Scalar) -> None:
        if not scalar.raw.isascii() and any("\ud800" <= one <= "\udfff" for one in scalar.raw):
            message = "half a character (a lone surrogate)"
            raise Unreadable([Mistake(line=scalar.line, message=message)])
        frame = self._frames[-1] if self._frames else None
        if frame is not None and frame.opened.is_map and frame.key is None:
            self._key(frame, scalar.raw, scalar.line)
            return
        path = self._place(scalar.line)
        if scalar.text_line and path is not None:
            self._texts[path] = scalar.text_line
        if scalar.anchor:
            self._anchors[scalar.anchor] = _Anchored(scalar.value, 1, 0)
        self._put(scalar.value, 1, scalar.line)

    def _key(self, frame: _Frame, key: str, line: int) -> None:
        path = f"{frame.path}.{key}" if frame.path else key
        frame.key, frame.repeated = key, key in frame.entries
        if frame.repeated:
            first = self._lines.get(path, 0)
            self._say(
                line,
                path,
                f"key `{key}` is there twice (first on line {first})",
                "keep one of them",
            )
        elif key == "<<":
            self._say(line, path, "`<<` merges nothing here", "write the keys out")
        else:
            self._lines[path] = line

    def _open(self, opened: Open) -> None:
        frame = self._frames[-1] if self._frames else None
        if frame is not None and frame.opened.is_map and frame.key is None:
            raise Unreadable([Mistake(line=opened.line, message="a key must be text")])
        if len(self._frames) >= nesting_max:
            message = f"more than {nesting_max} levels of lists and maps"
            raise Unreadable([Mistake(line=opened.line, message=message)])
        path = self._place(opened.line)
        self._frames.append(_Frame(path or "", opened, self._nodes))

    def _close(self) -> None:
        frame = self._frames.pop()
        value: Plain = frame.entries if frame.opened.is_map else frame.items
        if frame.opened.anchor:
            nodes = self._nodes - frame.before + 1
            self._anchors[frame.opened.anchor] = _Anchored(value, nodes, _depth(value))
        self._put(value, 1, frame.opened.line)

    def _alias(self, alias: Alias) -> None:
        found = self._anchors.get(alias.name)
        if found is None:
            message = f"`*{alias.name}` names nothing that was anchored before"
            raise Unreadable([Mistake(line=alias.line, message=message)])
        frame = self._frames[-1] if self._frames else None
        if frame is not None and frame.opened.is_map and frame.key is None:
            raise Unreadable([Mistake(line=alias.line, message="a key must be text")])
        if len(self._frames) + found.depth > nesting_max:
            message = f"more than {nesting_max} levels of lists and maps"
            raise Unreadable([Mistake(line=alias.line, message=message)])
        self._place(alias.line)
        self._put(found.value, found.nodes, alias.line)

    def _place(self, line: int) -> str | None:
        """Path of the value that comes next; None where its key was refused."""
        if not self._frames:
            return ""
        frame = self._frames[-1]
        if frame.opened.is_map:
            if frame.repeated:
                return None
            return f"{frame.path}.{frame.key}" if frame.path else frame.key
        path = f"{frame.path}[{len(frame.items)}]"
        self._lines[path] = line
        return path

    def _put(self, value: Plain, nodes: int, line: int) -> None:
        self._nodes += nodes
        if self._nodes > nodes_max:
            message = f"more than {nodes_max} values, aliases resolved"
            raise Unreadable([Mistake(line=line, message=message)])
        if not self._frames:
            self._root.append(value)
            self._lines.setdefault("", line)
            return
        frame = self._frames[-1]
        if frame.opened.is_map and frame.key is not None:
            if not frame.repeated:
                frame.entries[frame.key] = value
            frame.key = None
        else:
            frame.items.append(value)

    def _say(self, line: int, path: str, message: str, hint: str = "") -> None:
        self.mistakes.append(Mistake(line=line, path=path, message=message, hint=hint))


def with_step_ids(document: Document) -> Document:
    """The same document, whose steps' paths are known by their ids too."""
    value = document.value
    steps = value.get("steps") if isinstance(value, dict) else None
    if not isinstance(steps, list):
        return document
    names = {
        f"steps[{place}]": f"steps.{step['id']}"
        for place, step in enumerate(steps)
        if isinstance(step, dict) and isinstance(step.get("id"), str)
    }
    return replace(
        document, lines=_renamed(document.lines, names), texts=_renamed(document.texts, names)
    )


def _renamed(lines: dict[str, int], names: dict[str, str]) -> dict[str, int]:
    both = dict(lines)
    for path, line in lines.items():
        if path.startswith("steps["):
            end = path.index("]") + 1
            if name := names.get(path[:end]):
                both.setdefault(name + path[end:], line)
    return both


def _depth(value: Plain) -> int:
    depth = 0
    level: list[Plain] = [value]
    while level := [inner for one in level for inner in _inside(one)]:
        depth += 1
    return depth + 1


def _inside(value: Plain) -> Iterable[Plain]:
    match value:
        case dict():
            return value.values()
        case list():
            return value
        case _:
            return ()
