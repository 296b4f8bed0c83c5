"""``lotdb get`` and ``lotdb set``: attributes."""

from __future__ import annotations

import json
from difflib import get_close_matches
from typing import Any

import click

from lotdb.cli.screen import is_terminal, line
from lotdb.cli.targets import (
    as_example,
    attributes_of,
    changing,
    database_options,
    json_option,
    node_at,
    path_argument,
    reading,
    reading_options,
    timeout_option,
)
from lotdb.cli.text import as_json, dump, emit, plain_lines, value_text

__all__ = ["get_command", "set_command"]


@click.command("get", epilog=as_example("lotdb get results sensor_01/capture_0001 subject --json"))
@reading_options
@path_argument
@click.argument("attribute", required=False)
@json_option
def get_command(
    database: str, name: str, settings: tuple[str, ...], path: str, attribute: str | None, as_json_: bool
) -> None:
    """Print the value of an ATTRIBUTE of the node PATH; without one, all of them as NAME=VALUE."""
    with reading(database, name, settings) as (_, root):
        node = node_at(root, path)
        if attribute is None:
            values = attributes_of(node)
            if as_json_:
                emit(dump(as_json(values)))
            else:
                for each, value in values.items():
                    line(f"{each}=", "", value_text(value))
            return
        names = list(attributes_of(node))
        if attribute not in names:
            alike = get_close_matches(attribute, names, 1)
            what = f"did you mean {alike[0]!r}?" if alike else f"it has: {', '.join(names[:8]) or 'none'}"
            if attribute in node.payloads:
                what = f"it is a payload; print it with: lotdb cat {database} {path or '.'} {attribute}"
            raise click.ClickException(f"{node.path or 'the root'!r} has no attribute {attribute!r}; {what}")
        value = node.attrs[attribute]
        if as_json_:
            emit(dump(as_json(value)))
        elif isinstance(value, str):
            emit(plain_lines(value) if is_terminal() else value)
        else:
            emit(value_text(value))


_TYPES = ("auto", "json", "text", "int", "float", "bool", "datetime")


@click.command(
    "set",
    epilog=as_example(
        "lotdb set results sensor_01/capture_0001 label=walk height_m=1.78",
        "lotdb set results sensor_01 serial=0042 --type text",
        "lotdb set results sensor_01 --delete label",
    ),
)
@database_options
@click.argument("path")
@click.argument("values", nargs=-1, metavar="NAME=VALUE...")
@click.option(
    "--type",
    "type_",
    type=click.Choice(_TYPES),
    default="auto",
    show_default=True,
    help="What a value is. auto: JSON if it is JSON, such as 3, true or [1, 2], and a text otherwise.",
)
@click.option("--delete", "deleted", multiple=True, metavar="NAME", help="Delete this one; may be repeated.")
@click.option("--create", is_flag=True, help="Create the node if it does not exist.")
@timeout_option
def set_command(
    database: str,
    name: str,
    settings: tuple[str, ...],
    path: str,
    values: tuple[str, ...],
    type_: str,
    deleted: tuple[str, ...],
    create: bool,
    timeout: float | None,
) -> None:
    """Set attributes of the node PATH ("." for the root), all or none."""
    if not values and not deleted:
        if "=" in path:
            raise click.UsageError(
                f"{path!r} stands where the node is named; for the root: lotdb set {database} . {path}",
                click.get_current_context(),
            )
        raise click.UsageError("there is nothing to set; write it as NAME=VALUE", click.get_current_context())
    pairs = [_pair(each, type_) for each in values]
    named = dict(pairs)
    given = [*(each for each, _ in pairs), *deleted]
    if twice := [each for each in dict.fromkeys(given) if given.count(each) > 1]:
        raise click.UsageError(f"{twice[0]!r} is named twice", click.get_current_context())
    with changing(database, name, settings, timeout=timeout) as (_, root):
        inside = path.strip("/")
        node = root.get_node_path(inside) if create and inside not in ("", ".") else node_at(root, path)
        node.attrs.update(named)
        for each in deleted:
            node.delete_attribute(each)


def _pair(text: str, type_: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.BadParameter(f"{text!r} is not of the form NAME=VALUE", param_hint="NAME=VALUE")
    try:
        return name, _value(value, type_)
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"{value!r} is no {type_}: {error}", param_hint="--type") from error


def _value(text: str, type_: str) -> Any:
    if type_ in ("auto", "json"):
        try:
            return json.loads(text, parse_constant=_no_json)
        except (ValueError, RecursionError):
            if type_ == "json":
                raise
            return text
    if type_ == "bool":
        if text.lower() not in ("true", "false"):
            raise ValueError("use true or false")
        return text.lower() == "true"
    if type_ == "datetime":
        from datetime import datetime

        return datetime.fromisoformat(text)
    return {"int": int, "float": float, "text": str}[type_](text)


def _no_json(name: str) -> Any:
    raise ValueError(f"{name} is not in JSON")
