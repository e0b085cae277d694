"""A `headwater` that dies before its n-th change of the file system.

python -m tests.faults.dying N ARGUMENTS…
"""

import os
import sys
from collections.abc import Sequence

from runtime.cli import main

code = 137
"""How it ends, as after kill -9."""

_CHANGES = {"os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree"}


def die_before(change: int) -> None:
    """End this process without a word before that change, counted from 1."""
    changes = 0

    def count(event: str, arguments: Sequence[object]) -> None:
        nonlocal changes
        changes += event in _CHANGES or (event == "open" and _writes(arguments))
        if changes == change:
            os._exit(code)

    sys.addaudithook(count)


def _writes(opened: Sequence[object]) -> bool:
    path, _, flags = opened
    is_ours = isinstance(path, str) and "__pycache__" not in path and not path.startswith("/dev/")
    return is_ours and isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR))


if __name__ == "__main__":
    die_before(int(sys.argv[1]))
    sys.argv = ["headwater", *sys.argv[2:]]
    sys.exit(main())
