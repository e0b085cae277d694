"""Which libraries a bundle's modules import, in which versions: another one is other code."""

import ast
import sys
import warnings
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib import metadata

_texts_max = 512
"""Modules whose imports are kept at hand."""


def libraries(files: Mapping[str, str]) -> tuple[str, ...]:
    """`name version` of each library that is imported anywhere in a bundle's modules, sorted.

    Those of Python itself and modules of the bundle are none. Of what is no installed library the
    version is `?`.
    """
    modules = {path: text for path, text in files.items() if path.endswith(".py")}
    own = {path.partition("/")[0].removesuffix(".py") for path in modules}
    names = {name for text in modules.values() for name in _imported(text)}
    foreign = names - own - sys.stdlib_module_names
    return tuple(f"{name} {_version(name)}" for name in sorted(foreign))


@lru_cache(_texts_max)
def _imported(text: str) -> frozenset[str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return frozenset(_top_names(ast.parse(text)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()  # to call it will say so


def _top_names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name.partition(".")[0] for alias in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module.partition(".")[0]


@lru_cache(_texts_max)
def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        # Only where a library is not called like its module: this looks at all that are installed.
        found = _distributions().get(name, ())
        return ", ".join(sorted(f"{one} {metadata.version(one)}" for one in set(found))) or "?"


@lru_cache(1)
def _distributions() -> Mapping[str, list[str]]:
    return metadata.packages_distributions()
