"""Small functions, small files, whole words, and nothing that style forbids.

Each test collects everything that breaks its rule, and says what to write instead.
"""

import ast
import re

import grimp
import pytest

from tests.architecture.source import (
    FOLDERS,
    PACKAGES,
    ROOT,
    AnyFunction,
    below,
    sources,
)

function_lines_max = 50
file_lines_max = 400
positional_max = 5
"""Parameters that may be given by place, `self` apart."""
parameters_max = 8
"""All parameters: those that must be named are easier to read."""

VAGUE_FILES = {"base", "common", "helper", "helpers", "manager", "misc", "util", "utils"}
VAGUE_CLASSES = re.compile(r"(Manager|Helper|Utils?|Impl|Base|Mixin|Wrapper|Processor)$")

CATCHERS = {
    "runtime/supervisor.py",  # shows a crash, whatever it was
    "adapters/jetstream/connection.py",  # one subscription's mistake must not deafen the others
    "adapters/processes/pool.py",  # what ends an assignment is for its owner to hear
    "adapters/readmodels/moves.py",  # one view's mistake must not stop the others
    "runtime/cli/guard.py",  # turns a defect into exit code 70 and a report
    "adapters/engines/python.py",  # a step's function may raise anything
    "runtime/child.py",  # the same, at the border of the process
}
POLLERS = {"tests/e2e/project.py", "tests/faults/disk.py", "examples/demo.py"}
"""What another process does can only be asked for again and again, in one place."""


def refuse(broken: list[str], instead: str) -> None:
    """Fail with everything that was found."""
    if broken:
        pytest.fail("\n  ".join([f"{len(broken)}: {instead}", *broken]), pytrace=False)


def size(function: AnyFunction) -> int:
    """Lines from `def` to the end."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def test_functions_are_short() -> None:
    broken = [
        f"{source.path}:{function.lineno} {function.name} has {size(function)} lines"
        for source in sources()
        for function in source.functions()
        if size(function) > function_lines_max
    ]
    refuse(broken, f"at most {function_lines_max} lines: branch above, compute in leaves below")


def test_files_are_short() -> None:
    broken = [
        f"{source.path} has {len(source.text.splitlines())} lines"
        for source in sources()
        if len(source.text.splitlines()) > file_lines_max
    ]
    refuse(broken, f"at most {file_lines_max} lines: is it one noun?")


def parameters(function: AnyFunction) -> tuple[int, int]:
    """How many may be given by place, and how many there are in all."""
    given = [*function.args.posonlyargs, *function.args.args]
    positional = len([one for one in given if one.arg not in {"self", "cls"}])
    return positional, positional + len(function.args.kwonlyargs)


def test_functions_take_few_parameters() -> None:
    broken = []
    for source in below(*PACKAGES):
        for function in source.functions():
            positional, count = parameters(function)
            if positional > positional_max or count > parameters_max:
                broken.append(f"{source.path}:{function.lineno} {function.name} takes {count}")
    refuse(broken, f"{positional_max} by place, {parameters_max} in all; beyond that, a Struct")


def test_files_are_named_by_a_noun() -> None:
    broken = [s.path for s in sources() if s.module.rpartition(".")[2] in VAGUE_FILES]
    refuse(broken, "name the file by what it is about")


def test_classes_have_no_empty_suffix() -> None:
    broken = [
        f"{source.path}:{node.lineno} {node.name}"
        for source in below(*PACKAGES)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ClassDef) and VAGUE_CLASSES.search(node.name)
    ]
    broken = [line for line in broken if "logging.Handler" not in line]
    refuse(broken, "name the role: Worker, Relay, Feed, Inbox, Publisher, Codec …")


def test_tests_wait_on_signals_and_not_on_time() -> None:
    broken = [
        f"{source.path}:{line} {name}"
        for source in below("tests")
        if source.path not in POLLERS and not source.path.startswith("tests/simulation/")
        for line, name in source.called()
        if name in {"time.sleep", "asyncio.sleep", "anyio.sleep", "trio.sleep", "sleep"}
        and not name.endswith("sleep(0)")
    ]
    refuse(broken, "wait for an event, a position or `EventLog.wait`")


def test_tests_use_real_adapters() -> None:
    broken = [
        f"{source.path}: {word}"
        for source in below("tests")
        for word in re.findall(r"\b(?:unittest\.mock|MagicMock|AsyncMock|mocker)\b", source.text)
        if source.path != "tests/architecture/test_tidy.py"
    ]
    refuse(broken, "use a memory adapter, which keeps the port's contract")


def test_time_ids_and_chance_arrive_as_values() -> None:
    chance = re.compile(r"(^|\.)(now|utcnow|today|uuid1|uuid4|uuid7|time_ns|token_hex)$|^random\.")
    broken = [
        f"{source.path}:{line} {name}"
        for source in below("domain", "commands", "projections")
        for line, name in source.called()
        if chance.search(name) and not name.endswith("clock.now")
    ]
    refuse(broken, "ask the Clock port once, in commands/execution.py, and hand the value on")


def test_only_owners_of_a_border_catch_everything() -> None:
    broken = []
    for source in below(*PACKAGES):
        for node in ast.walk(source.tree):
            if isinstance(node, ast.ExceptHandler) and source.path not in CATCHERS:
                caught = ast.unparse(node.type) if node.type else "everything"
                everything = re.search(r"\b(Exception|BaseException|everything)\b", caught)
                if everything and not passes_on(node):
                    broken.append(f"{source.path}:{node.lineno} catches {caught}")
    refuse(broken, "catch what you can answer; the supervisor shows the rest")


def passes_on(handler: ast.ExceptHandler) -> bool:
    """Whether it only tidies up, and raises again what it caught."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def test_nothing_is_left_for_later_in_a_comment() -> None:
    mark = re.compile(r"#.*\b(TODO|FIXME|XXX|HACK)\b")
    broken = [
        f"{source.path}:{number}"
        for source in sources()
        for number, line in enumerate(source.text.splitlines(), 1)
        if mark.search(line) and source.path != "tests/architecture/test_tidy.py"
    ]
    refuse(broken, "do it, or open an issue")


def test_every_module_tells_what_it_is() -> None:
    broken = [
        source.path
        for source in sources()
        if source.tree.body and ast.get_docstring(source.tree) is None
    ]
    refuse(broken, "begin with one sentence that says what the file is")


def test_exceptions_to_a_check_are_named() -> None:
    bare = re.compile(r"#\s*(type:\s*ignore(?!\[)|noqa(?!:))")
    broken = [
        f"{source.path}:{number}"
        for source in sources()
        for number, line in enumerate(source.text.splitlines(), 1)
        if bare.search(line)
    ]
    refuse(broken, "name the rule: `# type: ignore[code]`, `# noqa: CODE`")


def test_no_module_is_unused() -> None:
    graph = grimp.build_graph(*PACKAGES)
    entries = {"runtime.__main__", "runtime.cli", "runtime.child"}
    entries.add("adapters.memory.bus")  # the simulation's bus, kept to the port's contract by tests
    named = {
        node.value.partition(":")[0]
        for source in below(*PACKAGES)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    broken = [
        module
        for module in sorted(graph.modules)
        if module not in entries
        and not graph.find_children(module)
        and not graph.find_modules_that_directly_import(module)
        and not {module, module.removeprefix("runtime.cli.")} & named
    ]
    refuse(broken, "nothing imports it: use it or remove it")


def test_folders_are_known_and_are_packages() -> None:
    hidden = {".git", ".ci", ".venv", "docs", "build", "dist", "node_modules"}
    known = {*FOLDERS, *hidden}
    unknown = [
        path.name
        for path in ROOT.iterdir()
        if path.is_dir() and path.name not in known and not path.name.startswith(".")
    ]
    refuse(unknown, "everything that runs lives in the five packages")
    refuse([p for p in PACKAGES if not (ROOT / p / "py.typed").exists()], "add py.typed")
    holders = {(ROOT / source.path).parent for source in below(*PACKAGES, "tests", "benchmarks")}
    missing = [str(h.relative_to(ROOT)) for h in holders if not (h / "__init__.py").exists()]
    refuse(missing, "add __init__.py, or two files of one name become one module")
