"""Arguments of queries as types, and pages of lists."""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

from domain.errors import Malformed
from projections.limits import page_bytes_max, page_items_default, page_items_max, wait_seconds_max

Document = dict[str, Any]
"""An answer: what JSON can say."""

Limit = Annotated[int, Meta(ge=1, le=page_items_max)]
Seconds = Annotated[float, Meta(ge=0, le=wait_seconds_max)]
AtLeastZero = Annotated[int, Meta(ge=0)]
Text = Annotated[str, Meta(max_length=4096)]

Q = TypeVar("Q", bound="Question")
T = TypeVar("T")


class Question(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every query can be asked."""

    min_position: AtLeastZero | None = None
    """Wait until the view has seen this position, so that a caller reads its own write."""
    timeout: Seconds | None = None
    """How long to wait for it."""


class PageQuestion(Question, frozen=True, kw_only=True):
    """What every list can be asked."""

    limit: Limit = page_items_default
    cursor: Text | None = None
    """`next` of the page before."""


def asked(kind: type[Q], arguments: Mapping[str, Any]) -> Q:
    """The arguments as a question. Raises `Malformed` with the path of the offending one."""
    try:
        return msgspec.convert(arguments, kind)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        named = re.search("field `(.+)`", message)
        field = ".".join(filter(None, (path.strip("`."), named and named[1])))
        known = ", ".join(kind.__struct_fields__)
        raise Malformed(message, path=field, hint=f"a query of this name takes {known}") from None


def number_of(cursor: str | None, default: int) -> int:
    """A cursor that is a number. Raises `Malformed`."""
    if cursor is None:
        return default
    try:
        return int(cursor)
    except ValueError:
        raise Malformed(
            f"{cursor!r} is no cursor of this list", path="cursor", hint="pass `next` as it came"
        ) from None


def page(items: Sequence[T], limit: int, cursor_of: Callable[[T], str]) -> Document:
    """The first `limit` items, fewer where they are large, and the cursor of the rest.

    `items` holds one more than `limit` where there is a rest.
    """
    kept = within_bytes(items[:limit])
    more = len(kept) < len(items)
    return {"items": kept, "next": cursor_of(kept[-1]) if more and kept else None}


def within_bytes(items: Sequence[T]) -> list[T]:
    """As many of the first items as fit into one answer, at least one."""
    kept: list[T] = []
    size = 0
    for item in items:
        size += len(msgspec.json.encode(item))
        if kept and size > page_bytes_max:
            break
        kept.append(item)
    return kept


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint with the names that are near, or none."""
    names = list(dict.fromkeys(known))
    near = difflib.get_close_matches(name, names, n=3) or [n for n in names if name in n][:3]
    return f"did you mean {' or '.join(near)}?" if near else ""
