"""What a node was made from, and what was made from it, over all steps between."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lotdb.errors import shown
from lotdb.node_api.watching import CHECK, at_place, names_of, plain, stored_text
from lotdb.public import BaseNode, WrongNodeError
from lotdb.steps.eviction import results_below
from lotdb.steps.origins import parsed

__all__ = ["Lineage", "Link", "lineage"]


@dataclass(frozen=True)
class Link:
    """The result at the path ``result``, made by ``step``, was made from what is at the path ``source``."""

    source: str
    result: str
    step: str


@dataclass(frozen=True)
class Lineage:
    """The graph around a node; printing it shows it as text.

    Attributes
    ----------
    path
        Path of the node.
    up
        Paths of all that it was made from, the nearest first.
    down
        Paths of all results that were made from it, the nearest first.
    links
        Each result among them, with each node that its step has read.
    """

    path: str
    up: tuple[str, ...]
    down: tuple[str, ...]
    links: tuple[Link, ...]

    def __str__(self) -> str:
        lines = [self.path or "the root"]
        steps = {link.result: link.step for link in self.links}
        for title, paths in (("made from", self.up), ("made into", self.down)):
            for path in paths:
                by = f" ({steps[path]})" if path in steps else ""
                lines.append(f"  {title}  {path or 'the root'}{by}")
        return "\n".join(lines)

    __repr__ = __str__


def lineage(node: BaseNode) -> Lineage:
    """What *node* was made from, and what was made from it.

    It looks at all results of the tree, and reads no payload. A node counts as read with all that its step
    has read of it.

    Parameters
    ----------
    node
        A result, or any other node.
    """
    if not isinstance(node, BaseNode):
        raise WrongNodeError(f"{shown(node)} is no node")
    inner = plain(node)
    inner._entry()
    above: dict[str, list[str]] = {}
    below: dict[str, list[str]] = {}
    steps: dict[str, str] = {}
    for result in results_below(_top(inner)):
        path = result._path()
        steps[path] = parsed(stored_text(result, CHECK) or "", result)["name"]
        above[path] = list(dict.fromkeys(_sources(result)))
        for source in above[path]:
            below.setdefault(source, []).append(path)
    path = inner._path()
    up, down = _reach(path, above), _reach(path, below)
    links = [
        Link(source, result, steps[result])
        for result in (*up, path, *down)
        for source in above.get(result, ())
    ]
    return Lineage(path, up, down, tuple(links))


def _top(node: BaseNode) -> BaseNode:
    while (above := node.parent) is not None:
        node = above
    return node


def _sources(result: BaseNode) -> Iterator[str]:
    source = result.parent
    assert CHECK in names_of(result)
    if source is None:
        return
    for up, keys, kind, _, identity in parsed(stored_text(result, CHECK) or "", result)["reads"]:
        if identity is None or (kind == "node" and up and not keys):  # one above, on the way to others
            continue
        found = at_place(source, (up, tuple(keys)))
        if found is not None:
            yield found._path()


def _reach(path: str, links: dict[str, list[str]]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    pending = [path]
    while pending:
        following = []
        for each in pending:
            for other in links.get(each, ()):
                if other not in found and other != path:
                    found[other] = None
                    following.append(other)
        pending = following
    return tuple(found)
