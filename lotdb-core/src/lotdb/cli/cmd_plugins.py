"""``lotdb plugins``: what is installed beside the core."""

from __future__ import annotations

import click

from lotdb.cli.extensions import described
from lotdb.cli.screen import table
from lotdb.cli.targets import as_example, json_option
from lotdb.cli.text import dump, emit

__all__ = ["plugins_command"]


@click.command("plugins", epilog=as_example("lotdb plugins --load"))
@click.option("--load", is_flag=True, help="Try each one, so that those that fail are told.")
@json_option
def plugins_command(load: bool, as_json_: bool) -> int:
    """List backends, ingesters, node plugins and commands; with --load the exit code is 1 if one fails."""
    from lotdb import PluginInfo, plugins

    rows = [*plugins(load=load), *(PluginInfo(*row) for row in described(load=load))]
    if as_json_:
        for row in rows:
            emit(dump(row._asdict()))
    else:
        table(PluginInfo._fields, rows)
    return 1 if load and any(row.state == "failed" for row in rows) else 0
