"""Python steps, checked by their text alone: nothing of the user's is imported here."""

import ast
from collections.abc import Iterator, Mapping

from adapters.syntax import parse_python
from domain.errors import Malformed
from domain.pipeline.names import did_you_mean
from domain.pipeline.problems import Problem
from domain.pipeline.steps import Transform


def function_problems(step: Transform, files: Mapping[str, str], path: str) -> Iterator[Problem]:
    """What keeps `module:function` from being called with the step's inputs."""
    module, _, name = step.python.partition(":")
    stem = module.replace(".", "/")
    found = next((one for one in (f"{stem}.py", f"{stem}/__init__.py") if one in files), None)
    if found is None:
        hint = did_you_mean(f"{stem}.py", [one for one in files if one.endswith(".py")])
        yield Problem(path=path, message=f"there is no module {stem}.py", hint=hint)
        return
    try:
        tree = parse_python(files[found], found)
    except Malformed as error:
        yield Problem(path=path, message=error.message)
        return
    function = next((node for node in tree.body if _is_called(node, name)), None)
    match function:
        case ast.FunctionDef():
            for problem in _arguments(function, step):
                yield Problem(path=path, message=f"{found}:{function.lineno}: {problem}")
        case ast.AsyncFunctionDef():
            message = f"{found}:{function.lineno}: {name} is an async function"
            yield Problem(path=path, message=message, hint="write it as a plain `def`")
        case None if name not in _bound(tree):
            known = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
            message = f"{found} has no function {name}"
            yield Problem(path=path, message=message, hint=did_you_mean(name, known))
        case _:
            pass


def _is_called(node: ast.stmt, name: str) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name


def _bound(tree: ast.Module) -> set[str]:
    """Names that the module binds in other ways than by `def`."""
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
            case ast.alias(name=name, asname=asname):
                names.add(asname or name.partition(".")[0])
            case _:
                pass
    return names


def _arguments(function: ast.FunctionDef, step: Transform) -> Iterator[str]:
    signature = function.args
    names = [one.arg for one in (*signature.args, *signature.kwonlyargs)]
    given = [*step.aliases]
    if signature.posonlyargs:
        yield f"{function.name}() takes arguments by position only; inputs come by name"
    if signature.kwarg is None:
        for alias in given:
            if alias not in names:
                yield f"{function.name}() takes no argument `{alias}`, which is an input"
    defaults = len(signature.defaults)
    needed = [one.arg for one in signature.args[: len(signature.args) - defaults]]
    needed += [
        one.arg
        for one, default in zip(signature.kwonlyargs, signature.kw_defaults, strict=True)
        if default is None
    ]
    for name in needed:
        if name not in given and name != "params":
            yield f"{function.name}() needs `{name}`, which is no input of the step"
