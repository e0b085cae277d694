"""Long texts in several lines."""

import textwrap


def wrap(text: str, columns: int, indent: str = "") -> list[str]:
    """`text` in lines of at most so many columns, all but the first behind `indent`. Words that
    are too long, such as paths, stay whole."""
    return textwrap.wrap(
        text,
        max(20, columns),
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [text]
