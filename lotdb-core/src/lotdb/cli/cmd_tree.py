"""``lotdb tree`` and ``lotdb ls``: which nodes there are."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from lotdb.cli.screen import line
from lotdb.cli.targets import as_example, database_options, json_option, node_at, path_argument, reading
from lotdb.cli.text import dump, emit

if TYPE_CHECKING:
    from lotdb import BaseNode, Payload

__all__ = ["ls_command", "tree_command"]


@click.command("tree", epilog=as_example("lotdb tree results sensor_01 --depth 2 --max-children 5"))
@database_options
@path_argument
@click.option("--depth", type=click.IntRange(min=0), default=3, show_default=True, help="Levels to show.")
@click.option(
    "--max-children", type=click.IntRange(min=0), default=20, show_default=True, help="Children a node."
)
@json_option
def tree_command(
    database: str,
    name: str,
    settings: tuple[str, ...],
    path: str,
    depth: int,
    max_children: int,
    as_json_: bool,
) -> None:
    """Show the tree below the node PATH (the root), with payloads."""
    with reading(database, name, settings) as (_, root):
        node = node_at(root, path)
        if as_json_:
            emit(dump(_document(node, depth, max_children)))
            return
        line(node.path or ".", "bold", _about(node))
        _show_below(node, "", depth, max_children)


def _show_below(node: BaseNode, indent: str, depth: int, most: int) -> None:
    stack = [_limited(node, most)] if depth else []
    indents = [indent]
    while stack:
        found = next(stack[-1], None)
        if found is None:
            stack.pop()
            indents.pop()
            continue
        child, more, is_last = found
        branch, below = ("└── ", "    ") if is_last else ("├── ", "│   ")
        if child is None:
            line(f"{indents[-1]}{branch}", "", f"… and {more} more")
            continue
        line(f"{indents[-1]}{branch}{child.key}", "", _about(child))
        if len(stack) < depth:
            stack.append(_limited(child, most))
            indents.append(indents[-1] + below)


def _limited(node: BaseNode, most: int) -> Iterator[tuple[BaseNode | None, int, bool]]:
    """The first children, then how many more there are; each with whether it is the last line."""
    children = iter(node.values())
    ahead = next(children, None)
    for _ in range(most):
        if ahead is None:
            return
        child, ahead = ahead, next(children, None)
        yield child, 0, ahead is None
    if ahead is not None:
        yield None, len(node) - most, True


def _about(node: BaseNode) -> str:
    """Payloads and the number of attributes and children of a node."""
    parts = [_payload_text(name, payload) for name, payload in islice(node.payloads.items(), 4)]
    if len(node.payloads) > len(parts):
        parts.append(f"… {len(node.payloads)} payloads")
    if attributes := len(node.attrs) - len(node.payloads):
        parts.append(f"{attributes} attribute{'s' if attributes > 1 else ''}")
    if children := len(node):
        parts.append(f"{children} child{'ren' if children > 1 else ''}")
    return f"  {', '.join(parts)}" if parts else ""


def _payload_text(name: str, payload: Payload) -> str:
    rate = f" {payload.samplerate_hz:g} Hz" if payload.samplerate_hz else ""
    return f"{name}: {payload.kind} {payload.shape} {payload.dtype}{rate}"


def _document(node: BaseNode, depth: int, most: int) -> dict[str, Any]:
    top: dict[str, Any] = _row(node)
    stack = [(node, top, 0)]
    while stack:
        here, document, level = stack.pop()
        if level == depth:
            continue
        shown = list(islice(here.values(), most))
        document["children"] = [_row(child) for child in shown]
        document["more"] = document["number_of_children"] - len(shown)
        stack += [(child, row, level + 1) for child, row in zip(shown, document["children"], strict=True)]
    return top


def _row(node: BaseNode) -> dict[str, Any]:
    return {
        "path": node.path,
        "type": node.node_type,
        "number_of_children": len(node),
        "attributes": [name for name in node.attrs if name not in node.payloads],
        "payloads": list(node.payloads),
    }


@click.command("ls", epilog=as_example("lotdb ls results sensor_01", "lotdb ls results --long"))
@database_options
@path_argument
@click.option("-l", "--long", "is_long", is_flag=True, help="Also payloads, attributes and children.")
@json_option
def ls_command(
    database: str, name: str, settings: tuple[str, ...], path: str, is_long: bool, as_json_: bool
) -> None:
    """List the children of the node PATH (the root): a key a line, or with --json an object a line."""
    with reading(database, name, settings) as (_, root):
        for child in node_at(root, path).values():
            if as_json_:
                emit(dump({"key": child.key, **_row(child)}))
            else:
                line(child.key, "", _about(child) if is_long else "")
