"""``lotdb show``: all that a node holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lotdb.cli.screen import is_terminal, line, table
from lotdb.cli.targets import (
    as_example,
    attributes_of,
    json_option,
    node_at,
    path_argument,
    reading,
    reading_options,
)
from lotdb.cli.text import as_json, dump, emit, short, size_text, value_text

if TYPE_CHECKING:
    from lotdb import BaseNode, Payload

__all__ = ["show_command"]

# A value is one line. What is longer is printed by `lotdb get`.
_VALUE_WIDTH = 300


@click.command("show", epilog=as_example("lotdb show results sensor_01/capture_0001"))
@reading_options
@path_argument
@json_option
def show_command(database: str, name: str, settings: tuple[str, ...], path: str, as_json_: bool) -> None:
    """Show attributes and payloads of the node PATH (the root), without reading data."""
    with reading(database, name, settings) as (_, root):
        node = node_at(root, path)
        if as_json_:
            emit(dump(_document(node)))
            return
        line(node.path or ".", "bold", f"  {_kind(node)}, {len(node)} children")
        if attributes := attributes_of(node):
            line("")
            width = _VALUE_WIDTH if is_terminal() else 1 << 30
            table(
                ("attribute", "value"),
                [(each, short(value_text(value), width)) for each, value in attributes.items()],
            )
        if len(node.payloads):
            line("")
            table(
                (
                    "payload",
                    "kind",
                    "shape",
                    "dtype",
                    "rate",
                    "seconds",
                    "unit",
                    "size",
                    "in files of",
                    "backend",
                ),
                [_row(each, payload) for each, payload in node.payloads.items()],
            )


def _kind(node: BaseNode) -> str:
    return f"{node.node_type} node" if node.node_type else "node"


def _row(name: str, payload: Payload) -> tuple[str, ...]:
    about = _about(payload)
    return (
        name,
        payload.kind,
        str(payload.shape),
        str(payload.dtype),
        "" if payload.samplerate_hz is None else f"{payload.samplerate_hz:g} Hz",
        "" if about["seconds"] is None else f"{about['seconds']:g}",
        "" if about["unit"] is None else value_text(about["unit"]),
        size_text(about["bytes"]),
        "" if about["bytes_on_disk"] is None else size_text(about["bytes_on_disk"]),
        payload.backend,
    )


def _about(payload: Payload) -> dict[str, Any]:
    """What is known of a payload."""
    on_disk = _bytes_on_disk(payload)
    return {
        "kind": payload.kind,
        "shape": list(payload.shape),
        "dtype": str(payload.dtype),
        "samplerate_hz": payload.samplerate_hz,
        "seconds": payload.duration_s if payload.samplerate_hz else None,
        "unit": as_json(payload.metadata.get("unit")),
        "bytes": payload.nbytes,
        "bytes_on_disk": on_disk,
        "backend": payload.backend,
        "content_type": payload.content_type,
        "metadata": as_json(payload.metadata),
    }


def _bytes_on_disk(payload: Payload) -> int | None:
    """The size of its files, each counted once, and of rows in records; None if its backend cannot tell."""
    from lotdb import MissingPluginError

    try:
        segments = payload.segments()
        files = {file for segment in segments for file in segment.files}
        return sum(size for _, size in files) + sum(segment.record_bytes for segment in segments)
    except MissingPluginError:
        return None


def _document(node: BaseNode) -> dict[str, Any]:
    return {
        "path": node.path,
        "type": node.node_type,
        "number_of_children": len(node),
        "attributes": as_json(attributes_of(node)),
        "payloads": {name: _about(payload) for name, payload in node.payloads.items()},
    }
