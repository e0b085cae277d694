"""Mutations of documents: of values, knowing their shape, and of text, knowing nothing."""

import random
from collections.abc import Sequence
from typing import Any

_ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**63 - 1, -(2**63), 1.5, -0.0, 1e308, "", " ", "\n", "é", "\0",
    "a" * 300, "null", "0", "-1", "1e9", "2026-01-01", "2026-13-45", "$x", "${table}", "'", '"',
    "../..", "%", "(", "[a", "#", "a#b", [], {}, [[]], [{}], {"": ""}, {"a": {"b": {}}},
)  # fmt: skip
_PIECES = (
    b"\0", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\n", b"  ", b"\t", b": ", b"- ", b"{", b"}", b"[",
    b"]", b",", b"'", b'"', b"#", b"&a ", b"*a", b"!!str ", b"|\n", b">\n", b"---\n", b"<<: ", b"?",
    b"%", b"null", b"true", b"1e999", b"0x", b"99999999999999999999",
)  # fmt: skip


class Mutator:
    """Makes documents from seeds, the same ones for the same number."""

    def __init__(self, seed: int, words: Sequence[str]) -> None:
        self._chance = random.Random(seed)
        self._words = words

    def values(self, seed: Any) -> Any:
        """The values of a document with a few things changed."""
        value = seed
        for _ in range(self._chance.choice((1, 1, 1, 2, 3))):
            value = self._changed(value)
        return value

    def text(self, seed: bytes) -> bytes:
        """The bytes of a document with a few of them flipped, lost, doubled or put in."""
        content = bytearray(seed)
        for _ in range(self._chance.choice((1, 1, 2, 4))):
            self._cut(content)
        return bytes(content)

    def _changed(self, value: Any) -> Any:
        """`value` with one change, here or further inside; what does not change is shared."""
        chance = self._chance
        if isinstance(value, dict) and value and chance.random() < 0.85:
            key = chance.choice([*value])
            if chance.random() < 0.7:
                return {**value, key: self._changed(value[key])}
            return self._other_keys(value, key)
        if isinstance(value, list) and value and chance.random() < 0.85:
            place = chance.randrange(len(value))
            if chance.random() < 0.8:
                return [*value[:place], self._changed(value[place]), *value[place + 1 :]]
            return self._other_items(value, place)
        return self._other(value)

    def _other_keys(self, value: dict[str, Any], key: str) -> dict[str, Any]:
        word = self._chance.choice(self._words)
        match self._chance.randrange(4):
            case 0:
                return {name: one for name, one in value.items() if name != key}
            case 1:
                return {**value, word: self._other(None)}
            case 2:
                return {word if name == key else name: one for name, one in value.items()}
            case _:
                return {**value, word: value[key]}

    def _other_items(self, value: list[Any], place: int) -> list[Any]:
        match self._chance.randrange(4):
            case 0:
                return [*value[:place], *value[place + 1 :]]
            case 1:
                return [*value, value[place]]
            case 2:
                return [*value, self._other(None)]
            case _:
                return value[::-1]

    def _other(self, value: Any) -> Any:
        chance = self._chance
        if isinstance(value, str) and value and chance.random() < 0.4:
            place = chance.randrange(len(value))
            return value[:place] + chance.choice("_.# $'\"xé9") + value[place + 1 :]
        if isinstance(value, int | float) and chance.random() < 0.4:
            return -value
        match chance.randrange(4):
            case 0:
                return chance.choice(self._words)
            case 1:
                return [value]
            case _:
                return chance.choice(_ODD)

    def _cut(self, content: bytearray) -> None:
        chance = self._chance
        place = chance.randrange(len(content) + 1)
        end = min(len(content), place + chance.choice((1, 1, 2, 8, 40)))
        match chance.randrange(6):
            case 0 if place < len(content):
                content[place] ^= 1 << chance.randrange(8)
            case 1:
                del content[place:end]
            case 2:
                content[place:place] = content[place:end]
            case 3:
                content[place:place] = chance.choice(_PIECES)
            case 4:
                content[place:end] = chance.choice(self._words).encode()
            case _:
                del content[place:]
