"""``lotdb upgrade``: a database of lotdb 1.x, copied into a new one."""

from __future__ import annotations

from dataclasses import asdict

import click

from lotdb.cli.screen import line, progress
from lotdb.cli.targets import as_example, json_option
from lotdb.cli.text import dump, emit

__all__ = ["upgrade_command"]


@click.command("upgrade", epilog=as_example("lotdb upgrade old_results results"))
@click.argument("old", type=click.Path())
@click.argument("new", type=click.Path())
@click.option("--name", metavar="FILE", help="Old data file in its folder, if there are several.")
@click.option("--dry-run", is_flag=True, help="Copy nothing, and report what would be.")
@json_option
def upgrade_command(old: str, new: str, name: str | None, dry_run: bool, as_json_: bool) -> int:
    """Copy OLD, a database of lotdb 1.x, into NEW, a folder that does not exist.

    OLD, a folder or the data file in it, is only read. What cannot be carried is listed, a line each, and
    the exit code is 1 then. After an interruption, run it again.
    """
    from lotdb import upgrade

    with progress("copying") as advance:
        report = upgrade(old, None if dry_run else new, name=name, progress=advance)
    if as_json_:
        emit(dump(asdict(report)))
        return 1 if report.missed else 0
    for note in report.changed:
        line("changed: ", "yellow", str(note))
    for note in report.missed:
        line("not carried: ", "red", str(note))
    line(str(report), "", " (nothing was written)" if dry_run else "")
    return 1 if report.missed else 0
