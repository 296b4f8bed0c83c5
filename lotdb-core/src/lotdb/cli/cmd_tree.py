"""``lotdb tree`` and ``lotdb ls``: which nodes there are."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from lotdb.cli.screen import line
from lotdb.cli.targets import (
    as_example,
    json_option,
    node_at,
    number_of,
    path_argument,
    reading,
    reading_options,
)
from lotdb.cli.text import dump, emit

if TYPE_CHECKING:
    from lotdb import BaseNode

__all__ = ["ls_command", "tree_command"]


@click.command("tree", epilog=as_example("lotdb tree results sensor_01 --depth 2 --max-children 5"))
@reading_options
@path_argument
@click.option("--depth", type=number_of("levels"), default=3, show_default=True, help="Levels to show.")
@click.option(
    "--max-children", type=number_of("children"), default=20, show_default=True, help="Children a node."
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
        for number, (text, about) in enumerate(node.tree(depth, max_children).lines()):
            line(text, "" if number else "bold", f"  {about}" if about else "")


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
@reading_options
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


def _about(node: BaseNode) -> str:
    """Payloads and the number of attributes and children of a node."""
    _, about = next(node.tree(0).lines())
    return f"  {about}" if about else ""
