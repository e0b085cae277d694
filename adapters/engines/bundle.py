"""A bundle's Python modules, as a package of their own that only they can see.

    steps.py:  import domain  ──►  __pipeline__.domain, the bundle's own
    ours:      import domain  ──►  domain, as ever

The import path stays as it is, so a module of the bundle is never found by anybody else, whatever
its name. Its own `import` statements look into the bundle first: each module is run with an
`__import__` of its own, which is where Python itself looks for the meaning of the statement.
"""

import builtins
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path, PurePosixPath
from types import ModuleType
from uuid import uuid4

from commands.steps.ports import broken

PACKAGE = "__pipeline__"
"""The modules of the bundle that this process works for, as `sys.modules` has them."""


def lay_out(folder: Path, files: Mapping[str, str]) -> None:
    """Write a bundle's modules to `folder`, all or none, if it is not there. Raises `OSError`."""
    if folder.is_dir():
        return
    draft = folder.with_name(f".{folder.name}.{uuid4().hex}")
    for path, text in files.items():
        if not path.endswith(".py"):
            continue  # contracts and queries are read from the definition, wherever they came from
        place = (draft / path).resolve()
        if not place.is_relative_to(draft.resolve()):
            raise broken("path_outside", f"{path} leads outside its bundle", where=path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    draft.mkdir(parents=True, exist_ok=True)
    try:
        os.rename(draft, folder)
    except OSError:
        if not folder.is_dir():
            raise


def load(name: str, folder: Path, files: Mapping[str, str]) -> ModuleType:
    """A module of the bundle that lies in `folder`. Raises whatever the module raises."""
    package = sys.modules.get(PACKAGE)
    if package is None or package.__path__ != [str(folder)]:
        _begin(folder, files)
    return import_module(f"{PACKAGE}.{name}")


def _begin(folder: Path, files: Mapping[str, str]) -> None:
    """Forget the bundle of before, if there was one, and stand for this one."""
    for name in [one for one in sys.modules if one.partition(".")[0] == PACKAGE]:
        del sys.modules[name]
    sys.meta_path[:] = [one for one in sys.meta_path if not isinstance(one, _Finder)]
    sys.meta_path.insert(0, _Finder(folder, files))
    package = ModuleType(PACKAGE)
    package.__path__ = [str(folder)]
    sys.modules[PACKAGE] = package


class _Finder(MetaPathFinder):
    """Finds the modules of one bundle, below `PACKAGE` alone."""

    def __init__(self, folder: Path, files: Mapping[str, str]) -> None:
        self._folder = folder
        self._files = {path: text for path, text in files.items() if path.endswith(".py")}
        self._names = frozenset(name for path in self._files for name in _names(path))
        self._builtins = {**vars(builtins), "__import__": _importing(self._names)}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, name = fullname.partition(".")
        if package != PACKAGE or name not in self._names:
            return None
        stem = name.replace(".", "/")
        for file in (f"{stem}/__init__.py", f"{stem}.py"):
            if file in self._files:
                place, text = str(self._folder / file), self._files[file]
                loader = _Loader(fullname, place, text, self._builtins)
                return spec_from_file_location(fullname, loader.path, loader=loader)
        folder = ModuleSpec(fullname, None, is_package=True)
        folder.submodule_search_locations = [str(self._folder / stem)]
        return folder


class _Loader(SourceFileLoader):
    """Runs a module with built-in names of our choice, by the text that its definition has.

    The file is there for tracebacks and for whoever looks at it. What runs is never what somebody
    made of it, nor bytecode from before.
    """

    def __init__(self, fullname: str, path: str, text: str, names: Mapping[str, object]) -> None:
        super().__init__(fullname, path)
        self._text = text
        self._builtins = names

    def get_data(self, path: str) -> bytes:
        if path != self.path:
            raise FileNotFoundError(path)
        return self._text.encode()

    def path_stats(self, path: str) -> Mapping[str, object]:
        raise FileNotFoundError(path)

    def exec_module(self, module: ModuleType) -> None:
        vars(module)["__builtins__"] = self._builtins
        super().exec_module(module)


def _names(path: str) -> list[str]:
    """The module that a file is, and every package above it, by their dotted names."""
    parts = PurePosixPath(path).with_suffix("").parts
    whole = parts[:-1] if parts[-1] == "__init__" else parts
    return [".".join(whole[: place + 1]) for place in range(len(whole))]


def _importing(own: frozenset[str]) -> Callable[..., object]:
    """What `import` means in a module of a bundle with these modules."""

    def find(
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002  # named as Python names it
        locals: Mapping[str, object] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> object:
        if level or name not in own:
            return __import__(name, globals, locals, fromlist or (), level)
        whole = f"{PACKAGE}.{name}"
        if fromlist:
            return __import__(whole, globals, locals, fromlist)
        # `import a.b` binds `a`.
        import_module(whole)
        return sys.modules[f"{PACKAGE}.{name.partition('.')[0]}"]

    return find
