"""A bundle's modules: their own for themselves, nobody's for everybody else."""

import importlib
import json
import pickle
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import pytest

import domain
from adapters.engines.bundle import lay_out, load

NAMES = ("domain", "commands", "adapters", "projections", "runtime", "json", "sqlglot", "sys")
"""Ours, the standard library's, a dependency's, and one that is built in."""


def loaded(folder: Path, files: Mapping[str, str], name: str = "steps") -> ModuleType:
    """A module of a bundle with these files."""
    lay_out(folder / "bundle", {**files, "../contracts/far.odcs.yaml": "", "query.sql": ""})
    return load(name, folder / "bundle", files)


@pytest.mark.parametrize("harm", ["", "OWN = 9\n", None])
def test_what_runs_is_the_definition_s_text_whatever_lies_there(
    tmp_path: Path, harm: str | None
) -> None:
    files = {"steps.py": "from helper import OWN\n", "helper.py": "OWN = 7\n"}
    assert vars(loaded(tmp_path, files))["OWN"] == 7
    helper = tmp_path / "bundle" / "helper.py"
    helper.unlink() if harm is None else helper.write_text(harm)
    loaded(tmp_path / "other", {"steps.py": "OWN = 1\n"})
    assert vars(loaded(tmp_path, files))["OWN"] == 7
    assert not list((tmp_path / "bundle").glob("__pycache__"))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "statement",
    [
        "import {0}; OWN = {0}.OWN",
        "import {0} as other; OWN = other.OWN",
        "from {0} import OWN",
        "from {0} import *",
        "exec('from {0} import OWN')",
        "def _get():\n    from {0} import OWN\n    return OWN\nOWN = _get()",
    ],
)
def test_a_module_of_the_bundle_wins_for_its_own_imports(
    tmp_path: Path, name: str, statement: str
) -> None:
    before, path = sys.modules.get(name), [*sys.path]
    files = {f"{name}.py": "OWN = 'mine'\n", "steps.py": statement.format(name)}
    assert loaded(tmp_path, files).OWN == "mine"
    assert sys.modules.get(name) is before
    assert sys.path == path


def test_nobody_else_sees_it(tmp_path: Path) -> None:
    files = {
        "steps.py": "import json, argparse_not_there\n",
        "json.py": "raise ValueError('imported')\n",
        "argparse_not_there.py": "",
    }
    with pytest.raises(ValueError, match="imported"):
        loaded(tmp_path, files)
    assert importlib.import_module("json") is json
    assert importlib.import_module("domain") is domain
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("argparse_not_there")


def test_libraries_keep_their_own(tmp_path: Path) -> None:
    files = {
        "steps.py": "import tomllib, re\nimport datetime\nFOUND = tomllib.loads('a = 1')\n",
        "re.py": "",
        "datetime.py": "",
    }
    assert loaded(tmp_path, files).FOUND == {"a": 1}


PACKAGES = {
    "steps.py": "import domain.rules.first, domain.rules\n"
    "from domain import rules as again\n"
    "import domain.rules.second as second\n"
    "from plain.inner import LEAF\n"
    "FOUND = domain.rules.first.ONE, second.TWO, again is domain.rules, LEAF\n",
    "domain/__init__.py": "",
    "domain/rules/__init__.py": "from . import first\nfrom .second import TWO\n",
    "domain/rules/first.py": "ONE = 1\n",
    "domain/rules/second.py": "from ..rules.first import ONE\nTWO = ONE + 1\n",
    "plain/inner.py": "LEAF = 'no __init__ above'\n",
    "query.sql": "select 1",
}


def test_packages_and_relative_imports_work(tmp_path: Path) -> None:
    assert loaded(tmp_path, PACKAGES).FOUND == (1, 2, True, "no __init__ above")
    assert loaded(tmp_path, PACKAGES, "domain.rules.second").TWO == 2


HABITS = """
import dataclasses, typing

@dataclasses.dataclass
class Point:
    x: "int"
    y: "typing.ClassVar[int]" = 3

HINTS = typing.get_type_hints(Point)
"""


def test_what_looks_a_module_up_by_its_name_finds_it(tmp_path: Path) -> None:
    module = loaded(tmp_path, {"domain.py": HABITS}, "domain")
    assert module.HINTS["x"] is int
    again = pickle.loads(pickle.dumps(module.Point(1)))  # noqa: S301  # our own
    assert again == module.Point(1)


def test_what_is_not_there_is_told_by_the_name_that_was_written(tmp_path: Path) -> None:
    with pytest.raises(ModuleNotFoundError, match="No module named 'helperz'"):
        loaded(tmp_path, {"steps.py": "import helperz\n"})


def test_another_bundle_begins_anew(tmp_path: Path) -> None:
    for text in ("one", "two"):
        (tmp_path / text).mkdir()
        files = {"steps.py": "from domain import OWN\n", "domain.py": f"OWN = {text!r}\n"}
        assert text == loaded(tmp_path / text, files).OWN
