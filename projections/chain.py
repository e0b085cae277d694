"""Hold every stored event against the link that was recorded with it.

Each link is checked behind the recorded link before it, not behind a computed one: so an event that
was altered is one finding, and what follows is still held against what was recorded. Together the
steps prove the same as one walk from the start.
"""

from collections.abc import Iterator, Mapping
from heapq import merge
from typing import Literal
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from domain.chain import (
    Head,
    Link,
    StoredRow,
    differing_byte,
    flip_in,
    link_after,
    link_bytes,
    start_of,
)
from domain.ids import Position
from projections.limits import chain_events_max, chain_findings_max, flips_sought_max
from projections.ports import ChainPage, EventChain

Kind = Literal[
    "altered",  # the event is not the one that was recorded
    "link_altered",  # the event is, but its link is not
    "missing",  # there is a link and no event
    "unchained",  # there is an event and no link: it was put there by somebody else
    "unreadable",  # the storage cannot read it
    "cut_off",  # the chain ends before a position that was given or recorded
    "other_head",  # another link was kept elsewhere
    "damaged",  # the storage is broken in a way that concerns no single event
]

_LINK_ALTERED = "is as it was recorded, but its link is not: the chain itself was altered"

FIRST = -(2**63)
"""Before every position that a storage may hold: our own begin at 1."""


class Finding(Struct, frozen=True, kw_only=True):
    """Something that is not as it was recorded."""

    kind: Kind
    position: Position
    last: Position
    """The last position of a stretch of the same kind."""
    detail: str
    stream: str | None = None
    version: int | None = None
    tag: str | None = None


class ChainReport(Struct, frozen=True, kw_only=True):
    """The answer of `verify --chain`."""

    ok: bool
    store_id: UUID
    position: Position
    """Of the last link."""
    head: str
    """The last link and its position: kept elsewhere, it proves later that nothing before it has
    changed."""
    events: int
    """Whose links fit."""
    findings: tuple[Finding, ...]
    more: bool = False
    """True where the rest was not looked at, because there are too many findings."""


async def verify_chain(chain: EventChain, head: Head | None = None) -> ChainReport:
    """Check every event, and that the chain goes through `head`, which was kept elsewhere.

    Raises `Unavailable` where there is no chain.
    """
    walk = _Walk(chain.store_id, head)
    after = FIRST
    while True:
        page = await chain.page(after, chain_events_max)
        walk.take(page)
        if page.is_last or page.broken or len(walk.findings) > chain_findings_max:
            break
        after = page.until
    if len(walk.findings) <= chain_findings_max:
        walk.end(page)
        walk.findings += [
            Finding(kind="damaged", position=0, last=0, detail=told)
            for told in await chain.damage()
        ]
    return ChainReport(
        ok=not walk.findings,
        store_id=chain.store_id,
        position=walk.position,
        head=str(Head(walk.previous, walk.position)),
        events=walk.proven,
        findings=tuple(walk.findings[:chain_findings_max]),
        more=len(walk.findings) > chain_findings_max,
    )


class _Suspect(Struct, frozen=True):
    """An event that does not fit its link; the next event tells which of the two was altered."""

    place: int
    """Of its finding."""
    computed: Link


class _Walk:
    """The way along a chain."""

    def __init__(self, store_id: UUID, wanted: Head | None) -> None:
        self.previous = start_of(store_id)
        self.position = 0
        self.proven = 0
        self.findings: list[Finding] = []
        self._wanted = wanted
        self._suspect: _Suspect | None = None
        self._sought = 0
        if wanted is not None and wanted.position == 0:
            self._compare_head()

    def take(self, page: ChainPage) -> None:
        """Check what a page holds."""
        for position, row, link in _pairs(page):
            if len(self.findings) > chain_findings_max:
                return
            if row is not None and link is not None:
                self._check(row, link)
            elif row is not None:
                self._add(_of(row, "unchained", "has no link: it was not stored by Headwater"))
                continue
            elif position in page.unreadable:
                told = f"cannot be read: {page.unreadable[position]}"
                self._add(Finding(kind="unreadable", position=position, last=position, detail=told))
            else:
                told = "has a link, and is not there: it was deleted"
                self._add(Finding(kind="missing", position=position, last=position, detail=told))
            if link is not None:
                self._go_on(position, link)

    def end(self, page: ChainPage) -> None:
        """What can be said once everything was seen."""
        if page.broken:
            self._add(
                Finding(
                    kind="unreadable",
                    position=self.position + 1,
                    last=max(page.given, self.position + 1),
                    detail=f"nothing from here on can be read: {page.broken}",
                )
            )
            return
        if page.given > max(self.position, page.until):
            self._cut_off(page.given, "the store has given this position")
        if self._wanted is not None and self._wanted.position > self.position:
            self._cut_off(self._wanted.position, "a head was kept of this position")

    def _check(self, row: StoredRow, link: Link) -> None:
        computed = link_after(self.previous, row)
        if computed == link:
            self.proven += 1
            self._suspect = None
            return
        if self._suspect is not None and link_after(self._suspect.computed, row) == link:
            # Behind the computed link of the event before all is well: its recorded one is wrong.
            place = self._suspect.place
            found = replace(self.findings[place], kind="link_altered", detail=_LINK_ALTERED)
            self.findings[place] = found
            self.proven += 2
            self._suspect = None
            return
        self._suspect = _Suspect(len(self.findings), computed)
        self.findings.append(self._altered(row, link, computed))

    def _altered(self, row: StoredRow, link: Link, computed: Link) -> Finding:
        if len(link) != link_bytes or differing_byte(computed, link) is not None:
            return _of(row, "link_altered", _LINK_ALTERED)
        self._sought += 1
        flip = flip_in(self.previous, row, link) if self._sought <= flips_sought_max else None
        return _of(row, "altered", str(flip) if flip else "is not what was recorded")

    def _add(self, finding: Finding) -> None:
        """Add it, to the one before where that goes on."""
        self._suspect = None
        last = self.findings[-1] if self.findings else None
        if last and last.kind == finding.kind and last.last + 1 == finding.position:
            whole = replace(last, last=finding.last, stream=None, version=None, tag=None)
            self.findings[-1] = whole
        else:
            self.findings.append(finding)

    def _go_on(self, position: Position, link: Link) -> None:
        if position <= self.position:
            told = "its link stands in the wrong place: the chain itself was altered"
            self._add(Finding(kind="link_altered", position=position, last=position, detail=told))
        self.previous, self.position = link, position
        if self._wanted is not None and self._wanted.position == position:
            self._compare_head()

    def _compare_head(self) -> None:
        if self._wanted is not None and self._wanted.link != self.previous:
            at = self._wanted.position
            told = "another link was kept: something up to here was altered, and chained again"
            self._add(Finding(kind="other_head", position=at, last=at, detail=told))

    def _cut_off(self, until: Position, because: str) -> None:
        told = f"the chain ends at {self.position}, but {because}: the end is missing"
        self._add(Finding(kind="cut_off", position=self.position + 1, last=until, detail=told))


def _pairs(page: ChainPage) -> Iterator[tuple[Position, StoredRow | None, Link | None]]:
    """Events and links of the same positions."""
    rows: Mapping[Position, StoredRow] = {row[0]: row for row in page.rows}
    linked = {position for position, _ in page.links}
    alone = [(position, None) for position in rows if position not in linked]
    for position, link in merge(page.links, alone, key=lambda one: one[0]):
        yield position, rows.get(position), link


def _of(row: StoredRow, kind: Kind, detail: str) -> Finding:
    position, name, version, tag, _ = row
    try:
        stream = f"{tag.partition('.')[0]}/{UUID(name)}"
    except ValueError:
        stream = name
    return Finding(
        kind=kind,
        position=position,
        last=position,
        detail=detail,
        stream=_printable(stream),
        version=version,
        tag=_printable(tag),
    )


def _printable(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
