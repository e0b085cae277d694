"""The tree that the architecture document draws is the tree on disk."""

from difflib import unified_diff

from tests.architecture.tree import DOCUMENT, drawn, shown


def test_the_drawn_tree_is_the_tree_on_disk() -> None:
    difference = "\n".join(
        unified_diff(shown().splitlines(), drawn().splitlines(), "drawn", "on disk", lineterm="")
    )
    assert not difference, f"run `make tree` and read {DOCUMENT.name} again:\n{difference}"
