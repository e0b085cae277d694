"""The syntax of a Python module, read without running it."""

import ast
import warnings

from domain.errors import Malformed


def parse_python(text: str, path: str) -> ast.Module:
    """The syntax tree. Raises `Malformed`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except SyntaxError as error:
        raise Malformed(f"{path}:{error.lineno or 1}: {error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise Malformed(f"{path} is no Python: {error}") from error
