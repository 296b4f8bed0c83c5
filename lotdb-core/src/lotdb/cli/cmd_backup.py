"""``lotdb backup``, ``lotdb restore`` and ``lotdb salvage``: a copy of a database, back, and without one."""

from __future__ import annotations

from dataclasses import asdict

import click

from lotdb.cli.screen import line, progress, waiting
from lotdb.cli.targets import as_example, database_options, json_option, reading, settings_of
from lotdb.cli.text import dump, emit, size_text

__all__ = ["backup_command", "restore_command", "salvage_command"]


@click.command("backup", epilog=as_example("lotdb backup results /backups/results"))
@database_options
@click.argument("target", type=click.Path())
@click.option("--verify", is_flag=True, help="Read the whole copy afterwards.")
@click.option(
    "--to",
    "target_settings",
    multiple=True,
    metavar="BACKEND.NAME=VALUE",
    help="Setting of a backend of the copy, such as zarr.store=/backups/arrays.zarr; may be repeated.",
)
@json_option
def backup_command(
    database: str,
    name: str,
    settings: tuple[str, ...],
    target: str,
    verify: bool,
    target_settings: tuple[str, ...],
    as_json_: bool,
) -> int:
    """Copy the last commit, and all before it, to the folder TARGET; programs may go on writing.

    If TARGET has an earlier backup, only what is new is copied. The exit code is 1 if files are missing.
    """
    to = settings_of(target_settings, "--to")
    with reading(database, name, settings) as (db, _), progress("copying") as advance:
        report = db.backup(target, verify=verify, progress=advance, backends=to)
    if as_json_:
        emit(dump(asdict(report)))
    elif not (report.commits or report.anew):
        line("nothing is new")
    else:
        what = "all records" if report.anew else f"{report.commits} new commits"
        line(
            f"{what} and {report.payload_files} files of payloads copied,"
            f" {size_text(report.tree_bytes + report.payload_bytes)}"
        )
    return 1 if report.missing else 0


@click.command("restore", epilog=as_example("lotdb restore /backups/results results"))
@click.argument("backup", type=click.Path())
@click.argument("folder", type=click.Path())
@click.option("--name", default="lotdb.fs", show_default=True, help="Data file in the folder.")
@click.option("--no-verify", is_flag=True, help="Do not read the copy before it appears.")
@json_option
def restore_command(backup: str, folder: str, name: str, no_verify: bool, as_json_: bool) -> None:
    """Copy BACKUP to FOLDER, which does not exist, and check it; FOLDER appears when it is whole."""
    from lotdb import restore

    with progress("copying") as advance:
        report = restore(backup, folder, name=name, verify=not no_verify, progress=advance)
    if as_json_:
        emit(dump(asdict(report)))
    else:
        line(f"{folder} is a database, {size_text(report.tree_bytes + report.payload_bytes)}")


@click.command("salvage", epilog=as_example("lotdb salvage damaged_results results"))
@database_options
@click.argument("target", type=click.Path())
@json_option
def salvage_command(database: str, name: str, settings: tuple[str, ...], target: str, as_json_: bool) -> int:
    """Read what can be read of the damaged DATABASE into TARGET, a folder that does not exist.

    DATABASE is only read. What is lost is listed, a line each, and the exit code is 1 then.
    """
    from lotdb import salvage

    with waiting("reading what can be read"):
        report = salvage(database, target, name=name, backends=settings_of(settings))
    if as_json_:
        emit(dump(asdict(report)))
        return 0 if report.is_whole else 1
    for note in report.lost:
        line("lost: ", "red", str(note))
    for part in report.unreadable:
        line("not readable: ", "red", part)
    for path in report.unplaced:
        line("without its place: ", "yellow", path)
    line(str(report))
    return 0 if report.is_whole else 1
