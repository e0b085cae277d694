"""The tree on disk, drawn with the first sentence of each file; `docs/architecture.md` shows it.

`python -m tests.architecture.tree` writes it there anew.
"""

import ast
from pathlib import Path

from tests.architecture.source import FOLDERS, PACKAGES, ROOT, sources

DOCUMENT = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- tree -->", "<!-- /tree -->"
_indent, _width = "  ", 30


def drawn() -> str:
    """Files of the five packages, folders of everything else."""
    lines: list[str] = []
    for folder in FOLDERS:
        lines += _folder(ROOT / folder, 0)
    return "\n".join(lines)


def shown() -> str:
    """What the document shows now."""
    _, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    return rest.partition(END)[0].strip().removeprefix("```text").removesuffix("```").strip("\n")


def _folder(folder: Path, depth: int) -> list[str]:
    lines = [_line(depth, f"{folder.name}/", _sentence(folder / "__init__.py"))]
    shipped = folder.relative_to(ROOT).parts[0] in PACKAGES
    for path in sorted(folder.iterdir(), key=lambda path: (path.is_dir(), path.name)):
        if path.is_dir() and (shipped or depth == 0) and _holds_python(path):
            lines += _folder(path, depth + 1)
        elif shipped and path.suffix == ".py" and path.name != "__init__.py":
            lines.append(_line(depth + 1, path.name, _sentence(path)))
    return lines


def _holds_python(folder: Path) -> bool:
    if folder.parent == ROOT / "examples":
        return folder.name != "__pycache__"
    inside = f"{folder.relative_to(ROOT).as_posix()}/"
    return any(source.path.startswith(inside) for source in sources())


def _sentence(path: Path) -> str:
    if not path.exists():
        return ""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    first = " ".join(text.partition("\n\n")[0].split())
    return first.partition(". ")[0].removesuffix(".")


def _line(depth: int, name: str, sentence: str) -> str:
    return f"{_indent * depth + name:<{_width}}{sentence}".rstrip()


if __name__ == "__main__":
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    tree = f"{BEGIN}\n```text\n{drawn()}\n```\n{END}"
    DOCUMENT.write_text(f"{before}{tree}{after}", encoding="utf-8")
