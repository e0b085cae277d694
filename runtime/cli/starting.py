"""init."""

import re
from pathlib import Path
from typing import Annotated, ClassVar

from domain.errors import Malformed, Rejection
from runtime.cli.console import Console
from runtime.cli.exits import Exit
from runtime.cli.output import print_document
from runtime.cli.parsing import Argument, Command

_STARTER = Path(__file__).parent / "starter"
_NAMES = {"gitignore": ".gitignore"}
"""What would work on this very folder by its real name."""


class Init(Command):
    """Make a small project to start from.

    It has a pipeline with its data and a test, and runs as it is. No file that is there already is
    touched.
    """

    examples: ClassVar = (
        ("headwater init", "in this folder"),
        ("headwater init orders", "in a folder of that name, made where it is missing"),
    )

    folder: Annotated[str, Argument("FOLDER", "where to (this folder without it)")] = "."

    async def execute(self, console: Console) -> Exit:
        """Write it, and say what to type next."""
        folder = Path(self.folder)
        files = _make(folder)
        if self.json:
            print_document(console, {"folder": str(folder), "files": files})
            return Exit.DONE
        for name in files:
            console.note(f"  {folder / name}")
        enter = [] if folder == Path() else [f"cd {self.folder}"]
        console.note("Next:")
        for line in (*enter, "headwater test", "headwater run orders.yaml"):
            console.note(f"  {line}")
        return Exit.DONE


def _make(folder: Path) -> list[str]:
    """Write the files of a new project, or none; their paths in it. Raises `Rejection` where one
    is there already, `Malformed` where the folder cannot be written to."""
    files = {_NAMES.get(name, name): text for name, text in _starter(folder).items()}
    there = sorted(name for name in files if (folder / name).exists())
    if there:
        what = ", ".join(there)
        raise Rejection("project_exists", f"{folder}: there already: {what}; nothing was made")
    try:
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Malformed(f"{folder}: {error.strerror}", hint="name a folder of yours") from error
    return sorted(files)


def _starter(folder: Path) -> dict[str, str]:
    """The files of a new project, by their paths in it."""
    name = re.sub(r"[^a-z0-9]+", "_", folder.resolve().name.lower()).strip("_") or "project"
    found = sorted(path for path in _STARTER.rglob("*") if path.is_file())
    texts = {str(path.relative_to(_STARTER)): path.read_text(encoding="utf-8") for path in found}
    return {path: text.replace("NAME", name) for path, text in texts.items()}
