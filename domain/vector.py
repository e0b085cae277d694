"""A persistent vector: each change gives a new one and shares all but one path with the old.

A run's state holds one slot per step. Copying a map of 10,000 steps for each event would make the
cost of a run grow with the square of its size; here a change copies at most three nodes of 32.
The layout is the bit-partitioned trie known from Clojure's vectors, filled once from a list.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")

_BITS = 5
_WIDTH = 1 << _BITS
_MASK = _WIDTH - 1


class Vector(Generic[T]):
    """An immutable sequence with cheap replacement of one item."""

    __slots__ = ("_depth", "_root", "_size")

    def __init__(self, items: Iterable[T] = ()) -> None:
        leaves: list[object] = list(items)
        self._size = len(leaves)
        self._depth = 0
        nodes = _chunks(leaves)
        while len(nodes) > 1:
            nodes = _chunks(nodes)
            self._depth += 1
        self._root: tuple[object, ...] = nodes[0] if nodes else ()

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, index: int) -> T:
        if not 0 <= index < self._size:
            raise IndexError(index)
        node = self._root
        for level in range(self._depth, 0, -1):
            node = node[(index >> (level * _BITS)) & _MASK]  # type: ignore[assignment]  # a node
        return node[index & _MASK]  # type: ignore[return-value]  # leaves hold T

    def __iter__(self) -> Iterator[T]:
        return (self[index] for index in range(self._size))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vector) and list(self) == list(other)

    def __hash__(self) -> int:
        return hash((self._size, self._root))

    def __repr__(self) -> str:
        return f"Vector({list(self)!r})"

    def replace(self, index: int, item: T) -> "Vector[T]":
        """The same vector with another item at `index`."""
        if not 0 <= index < self._size:
            raise IndexError(index)
        changed: Vector[T] = Vector()
        changed._size, changed._depth = self._size, self._depth
        changed._root = _replaced(self._root, self._depth, index, item)
        return changed


def _chunks(items: Sequence[object]) -> list[tuple[object, ...]]:
    return [tuple(items[start : start + _WIDTH]) for start in range(0, len(items), _WIDTH)]


def _replaced(node: tuple[object, ...], level: int, index: int, item: object) -> tuple[object, ...]:
    slot = (index >> (level * _BITS)) & _MASK
    child = item if level == 0 else _replaced(node[slot], level - 1, index, item)  # type: ignore[arg-type]  # a node above the leaves
    return (*node[:slot], child, *node[slot + 1 :])
