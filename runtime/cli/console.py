"""Where words go: data alone to stdout, everything else to stderr; colour only for eyes."""

import os
import shutil
import sys
from collections.abc import Mapping
from typing import Literal, TextIO

from runtime.cli.wrapping import wrap

Style = Literal["bold", "dim", "red", "green", "yellow", "cyan"]

_CODES: Mapping[str, str] = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "cyan": "36",
}

width_default = 80
"""Columns where nobody says how many there are."""

width_min = 40
"""Below this, lines are cut by the terminal and not by us."""


class Console:
    """The two streams of a command, and how to write on them."""

    def __init__(
        self,
        *,
        quiet: bool = False,
        colour: bool = True,
        out: TextIO | None = None,
        err: TextIO | None = None,
    ) -> None:
        self.out = out or sys.stdout
        self.err = err or sys.stderr
        self.quiet = quiet
        wanted = colour and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self.colour_out = wanted and self.out.isatty()
        self.colour_err = wanted and self.err.isatty()

    @property
    def width(self) -> int:
        """Columns to write in."""
        return max(width_min, shutil.get_terminal_size((width_default, 24)).columns)

    @property
    def is_live(self) -> bool:
        """Whether lines that are already written can be changed."""
        return self.err.isatty() and not self.quiet and os.environ.get("TERM") != "dumb"

    def print(self, text: str = "") -> None:
        """Data."""
        self.out.write(text + "\n")

    def note(self, text: str = "") -> None:
        """A message about what goes on; nothing under `--quiet`."""
        if not self.quiet:
            self._say(text)

    def warn(self, text: str) -> None:
        """Something to know, in spite of which the command goes on."""
        self._labelled("Warning:", "yellow", text)

    def error(self, what: str, hint: str = "") -> None:
        """Why the command ends without having done its work."""
        self._labelled("Error:", "red", what)
        if hint:
            self._labelled("  →", "cyan", hint)

    def styled(self, text: str, *styles: Style, err: bool = False) -> str:
        """`text` as it should look on the one stream or the other."""
        if not text or not styles or not (self.colour_err if err else self.colour_out):
            return text
        return f"\x1b[{';'.join(_CODES[style] for style in styles)}m{text}\x1b[0m"

    def _labelled(self, label: str, style: Style, text: str) -> None:
        """A label and what it is about, in as many lines as the terminal wants."""
        styled = self.styled(label, style, err=True)
        paragraphs = text.splitlines() or [""]
        if self.err.isatty():
            room = self.width - len(label) - 1
            paragraphs = [line for one in paragraphs for line in wrap(one, room)]
        first, *others = paragraphs
        self._say("\n".join([f"{styled} {first}", *(" " * (len(label) + 1) + o for o in others)]))

    def _say(self, text: str) -> None:
        self.out.flush()
        self.err.write(text + "\n")
        self.err.flush()
