"""``lotdb du`` and ``lotdb stats``: what is on the disk, and who needs it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from lotdb.cli.screen import line, progress, table, waiting
from lotdb.cli.targets import (
    as_example,
    database_options,
    json_option,
    keep_option,
    node_at,
    path_argument,
    reading,
    reading_options,
    span_or_moment,
)
from lotdb.cli.text import dump, emit, size_text

if TYPE_CHECKING:
    from lotdb import BaseNode, Usage

__all__ = ["du_command", "stats_command"]


@click.command("du", epilog=as_example("lotdb du results sensor_01", "lotdb du results --children"))
@reading_options
@path_argument
@click.option("-c", "--children", is_flag=True, help="Each child on its own, largest first.")
@json_option
def du_command(
    database: str, name: str, settings: tuple[str, ...], path: str, children: bool, as_json_: bool
) -> None:
    """Say what the subtree at PATH (the root) takes: alone, which deleting it frees, and shared."""
    with reading(database, name, settings) as (_, root):
        node = node_at(root, path)
        with waiting("looking at the tree"):
            if children:
                above = f"{node.path}/" if node.path else ""
                found = {above + key: usage for key, usage in node.usage_of_children().items()}
            else:
                found = {node.path: node.usage()}
    ordered = sorted(found.items(), key=lambda each: -each[1].alone_bytes - each[1].shared_bytes)
    if as_json_:
        for each, usage in ordered:
            emit(dump({"path": each, **_sizes(usage)}))
        return
    table(
        ("alone", "shared", "tree", "payloads", "nodes", "path"),
        [
            (
                size_text(usage.alone_bytes),
                size_text(usage.shared_bytes),
                size_text(usage.tree_bytes + usage.shared_tree_bytes),
                _payload_text(usage),
                str(usage.nodes),
                each or ".",
            )
            for each, usage in ordered
        ],
    )
    if unknown := sum(usage.unknown_arrays for _, usage in ordered):
        click.echo(
            f"lotdb: {unknown} stored arrays are not counted, since their backend is not installed and their "
            "size is not known; lotdb plugins lists what is",
            err=True,
        )


def _payload_text(usage: Usage) -> str:
    known = usage.payload_bytes + usage.shared_payload_bytes
    if not usage.unknown_arrays:
        return size_text(known)
    return f"> {size_text(known)}" if known else "unknown"


def _sizes(usage: Usage) -> dict[str, int]:
    return {**asdict(usage), "alone_bytes": usage.alone_bytes, "shared_bytes": usage.shared_bytes}


@click.command(
    "stats",
    epilog=as_example(
        "lotdb stats results", "lotdb stats results --file results/lotdb.fs.blobs/0x00/0x00/0x1.blob"
    ),
)
@database_options
@click.option("--file", "file", type=click.Path(), help="Say instead which payloads lie in this file.")
@keep_option
@json_option
def stats_command(
    database: str,
    name: str,
    settings: tuple[str, ...],
    file: str | None,
    keep: str | None,
    as_json_: bool,
) -> None:
    """Say what a database takes by part, what is in it, and what a pack would free."""
    with reading(database, name, settings) as (db, root):
        if file is not None:
            _print_owners(root, file, as_json_)
            return
        with waiting("reading the data file"):
            stats = db.stats(keep=span_or_moment(db, keep))
    if as_json_:
        emit(dump({**asdict(stats), "bytes": stats.bytes, "free_bytes": stats.free_bytes}))
        return
    rows = [(part, size_text(size)) for part, size in stats.parts.items()]
    table(
        ("what", "size"),
        [
            *rows,
            ("in all", size_text(stats.bytes)),
            ("a pack would free", f"{size_text(stats.free_bytes)}"),
        ],
    )
    line("")
    line(f"{stats.nodes} nodes, {stats.payloads} payloads, {stats.segments} segments")


def _print_owners(root: BaseNode, file: str, as_json_: bool) -> None:
    if not os.path.lexists(file):
        raise click.ClickException(f"there is no file {file!r}")
    found = False
    with progress("looking at payloads") as advance:
        for number, (path, name, files) in enumerate(_payloads(root), 1):
            if advance is not None and number % 100 == 0:
                advance(number, 0, path)
            if any(os.path.exists(each) and os.path.samefile(each, file) for each in files):
                found = True
                emit(dump({"path": path, "payload": name})) if as_json_ else line(
                    path or ".", "", f"  {name}"
                )
    if not found:
        raise click.ClickException(
            f"no payload lies in {file!r}: it is a part of the tree, of an earlier state, which a pack "
            "would free, or of no database at all"
        )


def _payloads(root: BaseNode) -> Iterator[tuple[str, str, list[str]]]:
    for node in root.iterate_tree():
        for name, payload in node.payloads.items():
            yield node.path, name, [path for segment in payload.segments() for path, _ in segment.files]
