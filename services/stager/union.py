"""Connected components of what occurs together."""

from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

Item = TypeVar("Item", bound=Hashable)


def components(together: Iterable[Sequence[Item]]) -> list[list[Item]]:
    """The groups that items form when those of each sequence belong together, in order of first appearance."""
    parent: dict[Item, Item] = {}

    def root(item: Item) -> Item:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    for items in together:
        for item in items:
            parent.setdefault(item, item)
        for item in items[1:]:
            parent[root(item)] = root(items[0])
    groups: dict[Item, list[Item]] = {}
    for item in parent:
        groups.setdefault(root(item), []).append(item)
    return list(groups.values())
