"""Paths of a pipeline file: relative to its folder, and never outside the declared roots."""

from collections.abc import Sequence
from pathlib import Path

from domain.errors import Malformed


def confined(path: str, root: str, roots: Sequence[str]) -> Path:
    """The absolute path that `path` means, every symbolic link resolved.

    Raises `Malformed` where it leads outside `roots`, or is no path at all.
    """
    if not path or "\0" in path:
        raise Malformed(f"{path!r} is no path")
    if "://" in path:
        raise Malformed(f"{path!r} is not a local path", hint="only files can be named so far")
    try:
        real = Path(root, path).resolve()
        inside = any(real.is_relative_to(Path(one).resolve()) for one in roots)
    except (OSError, RuntimeError, ValueError) as error:
        raise Malformed(f"{path!r} cannot be followed: {error}") from error
    if not inside:
        shown = ", ".join(dict.fromkeys(roots)) or "none"
        raise Malformed(
            f"{path!r} leads outside the allowed folders",
            hint=f"allowed: {shown}; more can be named in `roots` of headwater.toml",
        )
    return real
