"""The documents, and the blocks of code in them."""

import re
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

ROOT = Path(__file__).parent.parent.parent

_BLOCK = re.compile(
    r"(?:<!-- (?P<mark>run[^>]*?) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


class Block(Struct, frozen=True):
    """Code between fences."""

    mark: str
    """`run` for a block of commands that a test runs, `run: write NAME` for a file; else empty."""
    language: str
    text: str


class Document(Struct, frozen=True):
    """One Markdown file."""

    path: Path
    text: str

    @property
    def name(self) -> str:
        """Relative to the root."""
        return self.path.relative_to(ROOT).as_posix()

    def blocks(self) -> Iterator[Block]:
        """Code between fences, in order."""
        for found in _BLOCK.finditer(self.text):
            yield Block(found["mark"] or "", found["language"], found["text"])

    def inline(self) -> Iterator[str]:
        """Code inside of sentences."""
        yield from _INLINE.findall(_BLOCK.sub("", self.text))

    def commands(self) -> Iterator[str]:
        """Everything that begins with `headwater`, as it would be typed."""
        for text in self.inline():
            if re.match(r"headwater [a-z]", text):
                yield text
        for block in self.blocks():
            if block.language in {"console", "sh", "bash"}:
                for line in block.text.splitlines():
                    typed = line.removeprefix("$ ").partition("  #")[0].strip()
                    if typed.startswith("headwater "):
                        yield typed


def documents() -> list[Document]:
    """Every document that users and builders read."""
    top = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]
    found = [ROOT / name for name in top] + sorted((ROOT / "docs").rglob("*.md"))
    found += sorted((ROOT / "examples").glob("*/**/README.md"))
    return [Document(path, path.read_text(encoding="utf-8")) for path in found]
