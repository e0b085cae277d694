"""Every Python file of the project, read and parsed once."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from msgspec import Struct

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("domain", "commands", "projections", "adapters", "runtime")
"""Everything that is shipped."""
FOLDERS = (*PACKAGES, "tests", "benchmarks", "examples")

AnyFunction = ast.FunctionDef | ast.AsyncFunctionDef


class Source(Struct, frozen=True):
    """One file."""

    path: str
    """Relative to the root, with slashes."""
    text: str
    tree: ast.Module

    @property
    def module(self) -> str:
        """Its name as others import it."""
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    def functions(self) -> Iterator[AnyFunction]:
        """All functions and methods, inner ones too."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node

    def called(self) -> Iterator[tuple[int, str]]:
        """Line and dotted name of everything that is called by name."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call):
                yield node.lineno, ast.unparse(node.func)


@cache
def sources() -> tuple[Source, ...]:
    """All files, by path."""
    paths = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
    found = []
    for path in paths:
        if "node_modules" not in path.parts and ".headwater" not in path.parts:
            text = path.read_text(encoding="utf-8")
            found.append(Source(path.relative_to(ROOT).as_posix(), text, ast.parse(text)))
    return tuple(found)


def below(*folders: str) -> Iterator[Source]:
    """Files below any of these folders."""
    for source in sources():
        if source.path.startswith(tuple(f"{folder}/" for folder in folders)):
            yield source
