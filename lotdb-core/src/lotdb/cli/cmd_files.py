"""``lotdb ingest`` and ``lotdb export``: files in, files out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import click

from lotdb.cli.advice import for_a_shell
from lotdb.cli.screen import progress
from lotdb.cli.targets import (
    as_example,
    changing,
    database_options,
    is_there,
    json_option,
    node_at,
    number_of,
    path_argument,
    payload_of,
    reading,
    reading_options,
    timeout_option,
)
from lotdb.cli.text import dump, emit, plain_lines

if TYPE_CHECKING:
    from lotdb import LOTDB, BaseNode, IngestReport

__all__ = ["export_command", "ingest_command"]


@click.command(
    "ingest",
    epilog=as_example("lotdb ingest archive recordings '{speaker}/{take}.wav' --attributes"),
)
@database_options
@click.argument("folder", type=click.Path())
@click.argument("pattern", required=False)
@click.option("--at", metavar="PATH", help="Node below which the files are stored (the root).")
@click.option("--to", metavar="PATH", help="Nodes of the files: '{speaker}/{session}/{take}'.")
@click.option("--data-attribute", metavar="NAME", help="Name of the payloads (data).")
@click.option("--attributes", "all_fields", is_flag=True, help="Store all fields as attributes of the nodes.")
@click.option("--attribute", "fields", multiple=True, metavar="FIELD", help="Store this; may be repeated.")
@click.option("--sidecar", metavar="PATH", help="csv, tsv or json file with metadata: 'notes.csv'.")
@click.option("--backend", help="Where payloads are stored: blob or zarr (blob).")
@click.option(
    "--samplerate-hz",
    type=number_of("rows a second", kind=float),
    metavar="HZ",
    help="Rows per second, instead of the file's.",
)
@click.option("--format", "format_", help="Name of a format, or auto: by content (by suffix).")
@click.option(
    "--batch-size", type=number_of("files", least=1), default=100, show_default=True, help="Files per commit."
)
@click.option("--always-hash", is_flag=True, help="Compare contents even if sizes and times are the same.")
@click.option("--again", is_flag=True, help="Ingest unchanged files again.")
@click.option("--replace", is_flag=True, help="Replace payloads to which rows were appended, too.")
@click.option("--stop-on-error", is_flag=True, help="Stop at the first file that fails.")
@timeout_option
@json_option
def ingest_command(
    database: str,
    name: str,
    settings: tuple[str, ...],
    folder: str,
    pattern: str | None,
    at: str | None,
    to: str | None,
    data_attribute: str | None,
    all_fields: bool,
    fields: tuple[str, ...],
    sidecar: str | None,
    backend: str | None,
    samplerate_hz: float | None,
    format_: str | None,
    batch_size: int,
    always_hash: bool,
    again: bool,
    replace: bool,
    stop_on_error: bool,
    timeout: float | None,
    as_json_: bool,
) -> int:
    """Store the files of a FOLDER, whose paths are like PATTERN, in the database, which is created if needed.

    What "lotdb export" wrote of a whole node (a folder, a zarr store, an HDF5 file) comes in as the node was.
    Files that are stored already and have not changed are skipped: an interrupted run goes on where it was.
    """
    from lotdb import BaseNode

    if pattern is None and _is_export(folder):
        _refuse_options_of_files(folder)
        if not is_there(database, name):
            _below(BaseNode(), at).get_data_node("payloads", backend=backend)  # which checks both
        with (
            changing(database, name, settings, timeout=timeout, create=True) as (_, root),
            progress("ingesting") as advance,
        ):
            _below(root, at).ingest(folder, backend=backend, progress=advance)
        return 0
    # Before there is a database: the two may be the wrong way round.
    if not os.path.isdir(folder) or _is_database(folder):
        raise click.UsageError(
            f"{_what_is(folder)}; the folder of the files comes after the database",
            click.get_current_context(),
        )
    if not any(names for _, _, names in os.walk(folder)):
        raise click.ClickException(f"there are no files in {folder!r}")
    how: dict[str, Any] = {"backend": backend, "samplerate_hz": samplerate_hz, "format": format_}
    how["if_exists"] = "replace" if replace else None
    how = {each: value for each, value in how.items() if value is not None}
    how |= {"to": to, "data_attribute": data_attribute, "sidecar": sidecar}
    how["attributes"] = all_fields or fields
    if not is_there(database, name):
        _try_in_memory(folder, pattern, at, how)
    with (
        suppress(_NothingStored),
        changing(database, name, settings, timeout=timeout, create=True) as (db, root),
    ):
        with _node_for_files(db, root, at) as node, progress("ingesting") as advance:
            report = node.ingest_tree(
                folder,
                pattern,
                skip_unchanged=not again,
                always_hash=always_hash,
                on_error="raise" if stop_on_error else "report",
                batch_size=batch_size,
                progress=advance,
                **how,
            )
        if not (report.added or report.replaced or report.unchanged):
            raise _NothingStored
    _refuse_nothing(report, pattern)
    if as_json_:
        failed = {path: for_a_shell(str(error)) for path, error in report.failed.items()}
        told = {name: value for name, value in vars(report).items() if not name.startswith("_")}
        emit(dump({**told, "failed": failed}))
    else:
        emit(plain_lines(for_a_shell(str(report))))
    return 1 if report.failed else 0


def _below(root: BaseNode, at: str | None) -> BaseNode:
    return root.get_node_path(at.strip("/")) if at and at.strip("/") else root


@contextmanager
def _node_for_files(db: LOTDB, root: BaseNode, at: str | None) -> Iterator[BaseNode]:
    """The node at *at*. If it is new and nothing comes in, it goes again, with new ones above it."""
    path = "" if at is None else at.strip("/")
    new = None
    if path and path not in root:
        keys = path.split("/")
        new = next(above for above in map("/".join, accumulate([key] for key in keys)) if above not in root)
    node = _below(root, at)
    db.commit(root)  # the new node: ingest_tree refuses to start with uncommitted changes
    try:
        yield node
    finally:
        if new is not None and not db.closed:
            db.abort(root)
            if path in root and not len(node) and not node.attrs:
                root[new].delete_tree()
                db.commit(root)


class _NothingStored(Exception):
    """No file came in, so that a new database would be empty."""


class _Begun(Exception):
    """Nothing was wrong before the first file."""


def _try_in_memory(folder: str, pattern: str | None, at: str | None, how: dict[str, Any]) -> None:
    """Raise what would be raised before the first file, so that a mistake makes no empty database."""
    from lotdb import BaseNode

    def stop(*_: Any) -> None:
        raise _Begun

    with suppress(_Begun):  # the first file fails, since it is longer than the limit, and is not read
        report = _below(BaseNode(), at).ingest_tree(
            folder, pattern, batch_size=None, max_bytes=0, progress=stop, **how
        )
        _refuse_nothing(report, pattern)


def _refuse_nothing(report: IngestReport, pattern: str | None) -> None:
    if not (report.added or report.replaced or report.unchanged or report.failed) and report.unmatched:
        raise click.ClickException(
            f"no file matches the pattern {pattern!r}; paths look like {report.unmatched[0]!r}"
        )


@click.command(
    "export",
    epilog=as_example(
        "lotdb export results sensor_01/capture_0001 imu.npy",
        "lotdb export results sensor_01/capture_0001 imu imu.csv --replace",
        "lotdb export results sensor_01 --tree sensor_01.h5",
    ),
)
@reading_options
@path_argument
@click.argument("names", nargs=-1, required=True, metavar="[PAYLOAD] FILE")
@click.option("--format", "format_", help="Name of the format (the suffix of FILE).")
@click.option("--replace", is_flag=True, help="Replace FILE if it exists.")
@click.option("--tree", is_flag=True, help="Write the node with all below it: to a folder, x.h5 or x.zarr.")
@click.option("--option", "options", multiple=True, metavar="NAME=VALUE", help="Option of the format.")
def export_command(
    database: str,
    name: str,
    settings: tuple[str, ...],
    path: str,
    names: tuple[str, ...],
    format_: str | None,
    replace: bool,
    tree: bool,
    options: tuple[str, ...],
) -> None:
    """Write a PAYLOAD of the node PATH (its default one) to a FILE, in a format that ingest reads."""
    if len(names) > 2:
        raise click.UsageError(
            "there are too many arguments; name one payload and one file", click.get_current_context()
        )
    if tree:
        if len(names) > 1:
            raise click.UsageError(
                "--tree writes all payloads; name the target alone", click.get_current_context()
            )
        with reading(database, name, settings) as (_, root), progress("exporting") as advance:
            node_at(root, path).export(
                names[0],
                format=format_,
                if_exists="replace" if replace else "error",
                progress=advance,
                **dict(_option(each) for each in options),
            )
        return
    with reading(database, name, settings) as (_, root):
        payload = payload_of(node_at(root, path), names[0] if len(names) == 2 else None)
        payload.export(
            names[-1],
            format=format_,
            if_exists="replace" if replace else "error",
            **dict(_option(each) for each in options),
        )


def _option(text: str) -> tuple[str, Any]:
    import json

    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise click.BadParameter(f"{text!r} is not of the form NAME=VALUE", param_hint="--option")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


# What is said about single files means nothing for a node that comes in as it was.
_OF_FILES = {
    "to",
    "data_attribute",
    "all_fields",
    "fields",
    "sidecar",
    "samplerate_hz",
    "format_",
    "batch_size",
    "always_hash",
    "again",
    "replace",
    "stop_on_error",
}


def _refuse_options_of_files(source: str) -> None:
    ctx = click.get_current_context()
    for option in ctx.command.params:
        given = ctx.get_parameter_source(option.name or "") is click.core.ParameterSource.COMMANDLINE
        if option.name in _OF_FILES and given:
            raise click.UsageError(
                f"{source!r} comes in as a whole node, and {option.opts[0]} is for the files of a folder; "
                "leave it out, or add a PATTERN",
                ctx,
            )


def _is_database(folder: str) -> bool:
    return any(name.endswith(".lotdb") and name != ".lotdb" for name in os.listdir(folder))


def _what_is(path: str) -> str:
    """What *path*, which is no folder of files, is."""
    if not os.path.lexists(path):
        return f"there is no {path!r}"
    return f"{path!r} is a database" if os.path.isdir(path) else f"{path!r} is not a folder"


def _is_export(path: str) -> bool:
    """Whether *path* is an HDF5 file, a zarr store, or a folder that a node was exported to."""
    if os.path.isfile(path):
        return path.lower().endswith((".h5", ".hdf5", ".hdf", ".he5"))
    if not os.path.lexists(path) and os.path.isdir(above := os.path.dirname(os.path.abspath(path))):
        # An export that was killed may have put it aside: to take it in brings it back.
        return any(name.endswith(".replaced.lotdb-export") for name in os.listdir(above))
    if any(os.path.lexists(os.path.join(path, name)) for name in ("zarr.json", ".zgroup", ".zarray")):
        return True
    begin = b'{"format": "lotdb-tree"'
    try:
        with open(os.path.join(path, "index.json"), "rb") as file:
            return file.read(len(begin)) == begin
    except OSError:
        return False
