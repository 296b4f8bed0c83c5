"""``lotdb find`` and ``lotdb diff``: which nodes meet a condition, and what differs between two."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import islice
from typing import Any

import click

from lotdb.cli.screen import line, table
from lotdb.cli.targets import (
    as_example,
    attributes_of,
    database_options,
    json_option,
    moment,
    node_at,
    number_of,
    paths,
    reading,
    reading_options,
)
from lotdb.cli.text import as_json, dump, emit, plain, value_text

__all__ = ["diff_command", "find_command"]


@click.command(
    "find",
    epilog=as_example(
        "lotdb find results '**/capture_*' --where 'label == \"walk\" and subject.height_m > 1.7'",
        "lotdb find results --where 'payload(\"imu\").rows > 1000' --count",
        "lotdb find results --distinct label",
    ),
)
@reading_options
@click.argument("pattern", default="**")
@click.option("--where", metavar="CONDITION", help="What the nodes must meet.")
@click.option("--type", "node_type", metavar="NAME", help="Type of the nodes, such as data.")
@click.option(
    "--under", default="", metavar="PATH", shell_complete=paths, help="Node to look below (the root)."
)
@click.option("--limit", type=number_of("nodes", least=1), metavar="N", help="Stop after so many.")
@click.option("--count", "is_count", is_flag=True, help="Print how many there are.")
@click.option("--distinct", metavar="NAME", help="Count the values of an attribute.")
@json_option
def find_command(
    database: str,
    name: str,
    settings: tuple[str, ...],
    pattern: str,
    where: str | None,
    node_type: str | None,
    under: str,
    limit: int | None,
    is_count: bool,
    distinct: str | None,
    as_json_: bool,
) -> None:
    """Find the nodes whose paths match PATTERN (**, all): a path a line, with --json an object a line.

    In a pattern * stands for any part of a key, and ** for any number of levels.
    """
    if is_count + (distinct is not None) + (limit is not None) > 1:
        raise click.UsageError("use one of --count, --distinct and --limit")
    with reading(database, name, settings) as (_, root):
        found = node_at(root, under).find(pattern, where, node_type=node_type)
        there = False
        if is_count:
            count = found.count()
            emit(str(count))
            there = count > 0
        elif distinct is not None:
            counts = found.distinct(distinct)
            there = bool(counts)
            if as_json_:
                for value, number in counts.items():
                    emit(dump({"value": as_json(value), "count": number}))
            else:
                texts = [
                    value_text(value) if isinstance(value, int | tuple) else str(value) for value in counts
                ]
                table(("count", distinct), zip(map(str, counts.values()), texts, strict=True))
        else:
            for node in islice(found, limit):
                there = True
                if as_json_:
                    emit(
                        dump(
                            {
                                "path": node.path,
                                "type": node.node_type,
                                "attributes": as_json(attributes_of(node)),
                            }
                        )
                    )
                else:
                    line(node.path or ".")
        if not there:
            asked = [f"has a path like {pattern!r}"] if pattern != "**" else []
            asked += [f"is of type {node_type!r}"] if node_type is not None else []
            asked += [f"meets {where!r}"] if where is not None else []
            asked += [f"has {distinct!r}"] if distinct is not None else []
            place = f" below {under!r}" if under else ""
            click.echo(plain(f"lotdb: no node{place} {' and '.join(asked) or 'is there'}"), err=True)


@click.command(
    "diff",
    epilog=as_example(
        "lotdb diff results sensor_01 filtered",
        "lotdb diff results sensor_01 sensor_01 --other copy_of_results",
        "lotdb diff results sensor_01 --since 2026-11-01",
    ),
)
@database_options
@click.argument("path", shell_complete=paths)
@click.argument("other_path", required=False, shell_complete=paths)
@click.option(
    "--other", type=click.Path(), metavar="DATABASE", help="Database of OTHER_PATH, if it is another."
)
@click.option("--since", metavar="WHEN", help="Take PATH as it was: the id of a commit, a tag, or a time.")
@json_option
def diff_command(
    database: str,
    name: str,
    settings: tuple[str, ...],
    path: str,
    other_path: str | None,
    other: str | None,
    since: str | None,
    as_json_: bool,
) -> None:
    """Say what differs between the nodes PATH and OTHER_PATH, with all below them; the root is a dot.

    OTHER_PATH can be left out with --since: it is PATH then.
    """
    import lotdb

    if other_path is None and since is None:
        raise click.UsageError("name OTHER_PATH, or a moment with --since", click.get_current_context())
    other_path = path if other_path is None else other_path
    with ExitStack() as opened:
        db, root = opened.enter_context(reading(database, name, settings))
        if other is None:
            other_root = root
        else:
            _, other_root = opened.enter_context(reading(other, name, settings))
        if since is not None:
            root = opened.enter_context(db.at(moment(db, since)))
        _show(lotdb.diff(node_at(root, path), node_at(other_root, other_path)), as_json_)


def _show(differences: Any, as_json_: bool) -> None:
    for each in differences:
        if as_json_:
            document = {
                "kind": each.kind,
                "path": each.path,
                "old_path": each.old_path,
                "name": each.name,
                "before": _plain(each.before),
                "after": _plain(each.after),
                "rows": each.rows,
                "fields": each.fields,
            }
            emit(dump(document))
        else:
            line(str(each))


def _plain(value: Any) -> Any:
    """*value*, or of a payload what it is."""
    from lotdb import Payload

    if not isinstance(value, Payload):
        return as_json(value)
    return {"shape": value.shape, "dtype": str(value.dtype), "samplerate_hz": value.samplerate_hz}
