"""``lotdb verify`` and ``lotdb pack``: upkeep."""

from __future__ import annotations

import os
from pathlib import Path

import click

from lotdb.cli.screen import line, waiting
from lotdb.cli.targets import (
    as_example,
    changing,
    database_options,
    json_option,
    keep_option,
    reading,
    span_or_moment,
    timeout_option,
)
from lotdb.cli.text import dump, emit, size_text

__all__ = ["pack_command", "verify_command"]


@click.command("verify", epilog=as_example("lotdb verify results", "lotdb verify results --history"))
@database_options
@click.option("--history", is_flag=True, help="Also read the payloads that only earlier moments have.")
@json_option
def verify_command(database: str, name: str, settings: tuple[str, ...], history: bool, as_json_: bool) -> int:
    """Read every byte, and list the damage, a line each; the exit code is 1 if there is any."""
    with reading(database, name, settings) as (db, _), waiting("reading everything"):
        found = db.verify(history=history)
    for damage in found:
        if as_json_:
            emit(dump({"path": damage.path, "name": damage.name, "reason": damage.reason}))
        else:
            line(f"{damage.path or '.'}{f' {damage.name!r}' if damage.name else ''}: ", "red", damage.reason)
    if not found and not as_json_:
        line("no damage")
    return 1 if found else 0


@click.command("pack", epilog=as_example("lotdb pack results", "lotdb pack results --keep 30d"))
@database_options
@keep_option
@timeout_option
@click.option(
    "--sweep-outside",
    is_flag=True,
    help="Also where settings put arrays outside of the folder; no copy of the database may use that place.",
)
@json_option
def pack_command(
    database: str,
    name: str,
    settings: tuple[str, ...],
    keep: str | None,
    timeout: float | None,
    sweep_outside: bool,
    as_json_: bool,
) -> None:
    """Free the disk space of data that no node, branch, reader or tag can reach any more."""
    with changing(database, name, settings, timeout=timeout) as (db, _):
        with waiting("packing"):
            freed = db.pack(span_or_moment(db, keep), sweep_outside=sweep_outside)
        on_server = "://" in database
        after = db.stats().bytes if on_server or db.path is None else _size(db.path)
    if as_json_:
        emit(dump({"bytes_before": after + freed, "bytes_after": after, "freed_bytes": freed}))
    else:
        line(f"{size_text(freed)} freed, {size_text(after)} left")


def _size(folder: Path) -> int:
    """Bytes of all files in *folder*."""
    return sum(
        os.lstat(os.path.join(above, file)).st_size for above, _, files in os.walk(folder) for file in files
    )
