"""Reading text files that people wrote."""

import stat
from pathlib import Path

from domain.errors import Malformed, NotFound
from domain.limits import definition_bytes_max

text_bytes_max = definition_bytes_max
"""One file: a whole definition must not be larger."""


def read_text(path: Path) -> str:
    """The file's text. Raises `NotFound`, and `Malformed` for what is no text of sensible size."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            what = "a folder" if stat.S_ISDIR(found.st_mode) else "no regular file"
            raise Malformed(f"{path} is {what}")
        if found.st_size > text_bytes_max:
            raise Malformed(f"{path} has {found.st_size} bytes, more than {text_bytes_max}")
        with path.open("rb") as file:
            content = file.read(text_bytes_max + 1)
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {path}") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise Malformed(f"{path} cannot be read: {reason}") from error
    return _text(path, content)


def _text(path: Path, content: bytes) -> str:
    if len(content) > text_bytes_max:
        raise Malformed(f"{path} has more than {text_bytes_max} bytes")
    if b"\0" in content[:8192]:
        raise Malformed(f"{path} is a binary file", hint="a text file in UTF-8 is wanted")
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        message = f"{path} is not UTF-8 (line {line})"
        raise Malformed(message, hint="save it as UTF-8") from error
