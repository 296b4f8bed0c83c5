"""The first children of a node, and how many more there are."""

from __future__ import annotations

from collections.abc import Iterator

from lotdb.looking.looked_at import LookedNode
from lotdb.looking.wording import COUNTED

__all__ = ["first_children"]


def first_children(node: LookedNode, most: int) -> Iterator[tuple[LookedNode | None, str, bool]]:
    """The first children, then a text that says how many more there are; each with whether it is the last."""
    children = iter(node.values())
    ahead = next(children, None)
    for _ in range(most):
        if ahead is None:
            return
        child, ahead = ahead, next(children, None)
        yield child, "", ahead is None
    if ahead is not None:
        count = node._count_children(COUNTED)
        yield None, f"… and {f'over {COUNTED}' if count > COUNTED else count - most} more", True
