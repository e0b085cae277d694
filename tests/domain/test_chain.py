"""Links over stored events, and the one byte that explains why an event does not fit its link."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.chain import (
    Head,
    StoredRow,
    covered,
    differing_byte,
    flip_in,
    link_after,
    links_after,
    parse_head,
    start_of,
)
from domain.errors import Malformed

STORE = UUID("6f9619ff-8b86-d011-b42d-00c04fc964ff")
START = start_of(STORE)
ROW: StoredRow = (7, "01a2" * 8, 3, "run.started.v1", b'{"event_id":"x","data":{}}')

rows = st.tuples(
    st.integers(-(2**63), 2**63 - 1),
    st.text(max_size=40),
    st.integers(-(2**63), 2**63 - 1),
    st.text(max_size=40),
    st.binary(max_size=60),
)


def test_a_link_never_changes() -> None:
    """Links are stored for ever: other bytes here mean that no stored chain fits any more."""
    assert START.hex() == "395faf2087d3fb04e5daca70074c62cd8cdbb2b1b125a9f1b7865a36af8db9e2"
    assert link_after(START, ROW).hex() == (
        "80b5484c5a9af4ba6f8421fb3c7bd44a1fae3d27f5106a681b5f4598d8a37cfa"
    )


def test_every_store_begins_elsewhere() -> None:
    assert start_of(UUID(int=1)) != START


@given(rows, rows)
def test_no_two_events_have_the_same_bytes(first: StoredRow, second: StoredRow) -> None:
    assert (covered(first) == covered(second)) == (first == second)


@given(rows, st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_a_link_speaks_for_the_one_before(row: StoredRow, one: bytes, other: bytes) -> None:
    assert (link_after(one, row) == link_after(other, row)) == (one == other)


def test_texts_that_are_no_utf8_any_more_have_a_link_too() -> None:
    broken = (*ROW[:3], b"run.\xffstarted.v1".decode("utf-8", "surrogateescape"), ROW[4])
    assert link_after(START, broken) != link_after(START, ROW)


def test_links_follow_each_other() -> None:
    second: StoredRow = (8, *ROW[1:])
    first_link = link_after(START, ROW)
    assert list(links_after(START, [ROW, second])) == [first_link, link_after(first_link, second)]


@pytest.mark.parametrize(
    ("altered", "told"),
    [
        ((7, ROW[1], 4, ROW[3], ROW[4]), "byte 7 of its version is 0x04, was 0x03"),
        ((263, *ROW[1:]), "byte 6 of its position is 0x01, was 0x00"),
        ((7, "01a3" + ROW[1][4:], *ROW[2:]), "byte 3 of its stream is 0x33 '3', was 0x32 '2'"),
        ((*ROW[:3], "run.started.v2", ROW[4]), "byte 13 of its tag is 0x32 '2', was 0x31 '1'"),
        ((*ROW[:4], b"[" + ROW[4][1:]), "byte 0 of its state is 0x5b '[', was 0x7b '{'"),
        ((*ROW[:4], ROW[4][:-1] + b"\x00"), "byte 25 of its state is 0x00, was 0x7d '}'"),
    ],
)
def test_one_altered_byte_is_found(altered: StoredRow, told: str) -> None:
    assert str(flip_in(START, altered, link_after(START, ROW))) == told


def test_more_than_one_altered_byte_is_not_made_up() -> None:
    altered = (*ROW[:4], b"[[" + ROW[4][2:])
    assert flip_in(START, altered, link_after(START, ROW)) is None
    assert flip_in(START, (*ROW[:4], ROW[4] + b" "), link_after(START, ROW)) is None


def test_in_a_large_event_one_bit_is_found() -> None:
    large = bytearray(b"x" * 4_000)
    link = link_after(START, (*ROW[:4], bytes(large)))
    large[3_999] ^= 0x40
    assert str(flip_in(START, (*ROW[:4], bytes(large)), link)) == (
        "byte 3999 of its state is 0x38 '8', was 0x78 'x'"
    )


def test_an_event_too_large_to_search_is_not_searched() -> None:
    large = bytes(600_000)
    assert flip_in(START, (*ROW[:4], large), link_after(START, ROW)) is None


def test_links_that_differ_in_one_byte() -> None:
    other = bytes((START[0] ^ 1, *START[1:]))
    assert differing_byte(START, other) == 0
    assert differing_byte(START, START) is None
    assert differing_byte(START, bytes(32)) is None
    assert differing_byte(START, START[:-1]) is None


def test_a_head_is_read_as_it_is_written() -> None:
    head = Head(START, 1841)
    assert parse_head(str(head)) == head
    assert parse_head(f" {head}\n") == head


@pytest.mark.parametrize(
    "text",
    ["", "@", "7", START.hex(), f"{START.hex()}@", f"{START.hex()[2:]}@7", f"{START.hex()}@-1"],
)
def test_what_is_no_head_is_refused(text: str) -> None:
    with pytest.raises(Malformed, match="no head of a chain"):
        parse_head(text)
