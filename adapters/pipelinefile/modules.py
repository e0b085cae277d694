"""The Python modules that a step needs: its own, and those it imports from the same folder."""

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

from adapters.paths import confined
from adapters.pipelinefile.texts import read_text
from adapters.syntax import parse_python
from domain.errors import Malformed, NotFound

modules_max = 200
"""First-party modules of one pipeline."""


def first_party(module: str, root: str, roots: Sequence[str]) -> dict[str, str]:
    """`module` and every module below `root` that it imports: path relative to `root` → text.

    Raises `NotFound` for a module that is not there, `Malformed` for one that is no Python.
    """
    files: dict[str, str] = {}
    waiting = list(reversed(_parents(module)))
    if _path_of(module, root) is None:
        name = module.replace(".", "/")
        raise NotFound(f"there is no module {name}.py", hint=f"modules are looked for in {root}")
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        path = None if name in seen else _path_of(name, root)
        seen.add(name)
        if path is None:
            continue
        text = read_text(confined(path, root, roots))
        files[path] = text
        if len(files) > modules_max:
            raise Malformed(f"{module} imports more than {modules_max} modules of its own")
        waiting += _imports(text, name, path)
    return files


def _parents(module: str) -> list[str]:
    """`a.b.c` → a, a.b, a.b.c: importing a module runs its packages too."""
    parts = module.split(".")
    return [".".join(parts[: place + 1]) for place in range(len(parts))]


def _path_of(module: str, root: str) -> str | None:
    stem = module.replace(".", "/")
    for path in (f"{stem}.py", f"{stem}/__init__.py"):
        if Path(root, path).is_file():
            return path
    return None


def _imports(text: str, module: str, path: str) -> Iterator[str]:
    package = module.split(".") if path.endswith("__init__.py") else module.split(".")[:-1]
    for node in ast.walk(parse_python(text, path)):
        match node:
            case ast.Import(names=names):
                for alias in names:
                    yield from _parents(alias.name)
            case ast.ImportFrom(module=source, names=names, level=level):
                if level:
                    base = package[: len(package) - level + 1]
                    source = ".".join([*base, *([source] if source else [])])
                if source:
                    yield from _parents(source)
                    yield from (f"{source}.{alias.name}" for alias in names)
