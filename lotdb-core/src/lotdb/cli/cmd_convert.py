"""``lotdb convert``: a database, copied into another storage."""

from __future__ import annotations

from dataclasses import asdict

import click

from lotdb.cli.screen import line, progress
from lotdb.cli.targets import as_example, json_option
from lotdb.cli.text import dump, emit

__all__ = ["convert_command"]


@click.command("convert", epilog=as_example("lotdb convert results shared_results --storage sqlite"))
@click.argument("source", type=click.Path())
@click.argument("target", type=click.Path())
@click.option("--storage", metavar="NAME", help="Storage of the copy, such as sqlite.  [default: file]")
@click.option("--payloads", metavar="PLACE", help="Where the payloads of the copy lie, if not in its folder.")
@click.option("--name", metavar="FILE", default="lotdb.fs", help="Name of the database in its folder.")
@click.option("--newest", is_flag=True, help="Leave earlier commits out.")
@json_option
def convert_command(
    source: str,
    target: str,
    storage: str | None,
    payloads: str | None,
    name: str,
    newest: bool,
    as_json_: bool,
) -> None:
    """Copy the database SOURCE into TARGET, which does not exist, with all its commits and payloads.

    Either is a folder or a URL. SOURCE is only read; the copy is compared with it. After an interruption, run
    it again.
    """
    from lotdb import convert

    with progress("converting") as advance:
        report = convert(
            source,
            target,
            storage=storage,
            name=name,
            payloads=payloads,
            history=not newest,
            progress=advance,
        )
    if as_json_:
        emit(dump(asdict(report)))
    else:
        line(str(report))
