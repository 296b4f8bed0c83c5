"""The tree below a node as lines of text, cut off where it is deep or wide."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lotdb.errors import InvalidOptionError, LotdbError, shown
from lotdb.looking.first_children import first_children
from lotdb.looking.looked_at import LookedNode
from lotdb.looking.wording import about_node, error_text, plain

__all__ = ["TextTree"]


class TextTree:
    """A node with what is below it, as ``node.tree()`` returns it; as a text it is what is there now.

    In a notebook it is shown with parts that open and close.
    """

    __slots__ = ("_depth", "_most", "_node")

    def __init__(self, node: LookedNode, depth: int, max_children: int) -> None:
        self._node = node
        self._depth = _checked("depth", depth)
        self._most = _checked("max_children", max_children)

    def __str__(self) -> str:
        return "\n".join(f"{plain(text)}  {plain(about)}".rstrip() for text, about in self.lines())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from lotdb.looking.markup import tree_html

        return tree_html(self._node, self._depth, self._most)

    def lines(self) -> Iterator[tuple[str, str]]:
        """Each line as two texts: the node's place in the tree, and what it has."""
        yield self._node.path or ".", about_node(self._node)
        stack = [first_children(self._node, self._most)] if self._depth else []
        indents = [""]
        while stack:
            found = next(stack[-1], None)
            if found is None:
                stack.pop()
                indents.pop()
                continue
            child, more, is_last = found
            branch, below = ("└── ", "    ") if is_last else ("├── ", "│   ")
            if child is None:
                yield f"{indents[-1]}{branch}{more}", ""
                continue
            yield f"{indents[-1]}{branch}{child.key}", _about(child)
            if len(stack) < self._depth:
                stack.append(first_children(child, self._most))
                indents.append(indents[-1] + below)


def _about(node: LookedNode) -> str:
    try:
        return about_node(node)
    except LotdbError as error:
        return error_text(error)


def _checked(name: str, number: Any) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise InvalidOptionError(f"{name} is {shown(number)}; use a whole number from 0 on")
    return number
