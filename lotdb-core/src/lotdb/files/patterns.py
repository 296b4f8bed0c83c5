"""Patterns of paths with fields, and templates into which the values of the fields are filled."""

from __future__ import annotations

import re
import string
from typing import Any

from lotdb.errors import InvalidOptionError, shown

__all__ = ["check_template", "fields_of", "parse"]


def parse(pattern: Any) -> tuple[re.Pattern[str], list[str]]:
    """*pattern* as a regular expression, and the names of its fields in order."""
    if not isinstance(pattern, str):
        raise InvalidOptionError(
            f"pattern is {shown(pattern)}; use a text such as '{{speaker}}/{{take}}.wav'"
        )
    parts: list[str] = []
    fields: list[str] = []
    pieces = _split(pattern, "pattern")
    suffix = ""
    if pieces and pieces[-1][1] is None and (found := _SUFFIX.search(pieces[-1][0])):
        suffix = found[0]
        pieces[-1] = (pieces[-1][0].removesuffix(suffix), None)
    for text, name in pieces:
        parts += [_WILDCARDS.get(piece) or re.escape(piece) for piece in re.split(r"(\*\*/|\*|\?)", text)]
        if name is None:
            continue
        if name in fields:
            parts.append(f"(?P={name})")
        else:
            fields.append(name)
            parts.append(f"(?P<{name}>[^/]+?)")
    # Cameras and recorders write suffixes in capitals.
    return re.compile("".join(parts) + f"(?i:{re.escape(suffix)})"), fields


_SUFFIX = re.compile(r"(?:\.[A-Za-z0-9]+)+\Z")

_WILDCARDS = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}


def _split(template: str, option: str) -> list[tuple[str, str | None]]:
    """The pieces of text of *template*, each with the name of the field that follows it."""
    try:
        pieces = list(string.Formatter().parse(template))
    except ValueError as error:
        raise InvalidOptionError(f"{option} is {template!r}: {error}") from error
    for _, name, format, conversion in pieces:
        if name is not None and not name.isidentifier():
            raise InvalidOptionError(
                f"{option} is {template!r}: {{{name}}} is no field; use a name, such as {{speaker}}"
            )
        if format or conversion:
            raise InvalidOptionError(
                f"{option} is {template!r}: fields are taken as they are; use {{{name}}} without more"
            )
    return [(text, name) for text, name, _, _ in pieces]


def fields_of(template: str, option: str) -> list[str]:
    """The names of the fields of *template*."""
    return [name for _, name in _split(template, option) if name is not None]


def check_template(option: str, template: Any, fields: list[str]) -> str:
    """*template*, if it is a text whose fields are all in the pattern."""
    if not isinstance(template, str):
        raise InvalidOptionError(f"{option} is {shown(template)}; use a text such as '{{speaker}}/{{take}}'")
    for name in fields_of(template, option):
        if name not in fields:
            there = ", ".join(f"{{{field}}}" for field in fields) or "none"
            raise InvalidOptionError(
                f"{option} has the field {{{name}}}, which the pattern has not (there: {there})"
            )
    return template
