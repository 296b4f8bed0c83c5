"""What a user, or the file that a table came from, says about how a table is written as text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lotdb import InvalidOptionError, SourceFile

__all__ = [
    "SEPARATOR",
    "Reading",
    "check_decimal",
    "check_flag",
    "check_mark",
    "check_marks_differ",
    "check_names",
    "check_quotechar",
]

READING = ("delimiter", "quotechar", "encoding", "header", "units", "columns", "types", "dates",
           "na_values", "comment", "skip_rows", "decimal", "max_columns", "max_cell")  # fmt: skip

#: Excel's first line that says what stands between cells.
SEPARATOR = re.compile(r'"?sep=(.*?)"?[\r\n]*', re.IGNORECASE)

_TYPE = re.compile(r"text|int|float|bool|U[1-9][0-9]{0,6}")


@dataclass(frozen=True)
class Reading:
    """How a file is read; see ``lotdb_ingest.table``."""

    delimiter: str
    quotechar: str | None = '"'
    encoding: str | None = None
    header: bool = True
    units: bool = False
    columns: tuple[str, ...] | None = None
    types: Mapping[str, str] = field(default_factory=dict)
    na_values: frozenset[str] = frozenset()
    comment: str | None = None
    skip_rows: int = 0
    decimal: str = "."
    max_columns: int = 10_000
    max_cell: int = 1 << 20

    @classmethod
    def asked(cls, source: SourceFile, delimiter: str) -> Reading:
        """What the options of *source* say."""
        source.check_options(*READING)
        given = source.options
        how = cls(
            delimiter=check_mark("delimiter", given.get("delimiter", delimiter)),
            quotechar=check_quotechar(given.get("quotechar", '"')),
            encoding=given.get("encoding"),
            header=check_flag("header", given.get("header", True)),
            units=check_flag("units", given.get("units", False)),
            columns=None if given.get("columns") is None else check_names("columns", given["columns"]),
            types=_types(given.get("types") or {}, given.get("dates") or ()),
            na_values=frozenset(check_names("na_values", given.get("na_values") or ())),
            comment=_comment(given.get("comment")),
            skip_rows=_count("skip_rows", given.get("skip_rows", 0)),
            decimal=check_decimal(given.get("decimal", ".")),
            max_columns=source.limit("max_columns", cls.max_columns),
            max_cell=source.limit("max_cell", cls.max_cell),
        )
        check_marks_differ(how.delimiter, how.quotechar, how.decimal)
        if how.units and not how.header:
            raise InvalidOptionError("units=True needs a header, and header=False says that there is none")
        return how


def check_mark(option: str, mark: Any) -> str:
    """*mark*, if it is a character that can stand between or around cells."""
    if isinstance(mark, str) and len(mark) == 1 and mark not in "\r\n\0\ufeff":
        return mark
    raise InvalidOptionError(f"{option} is {mark!r}; use one character, such as ';'")


def check_marks_differ(delimiter: str, quotechar: str | None, decimal: str) -> None:
    """Raise ``InvalidOptionError`` if two of the signs are the same."""
    if delimiter == quotechar:
        raise InvalidOptionError(f"delimiter and quotechar are both {delimiter!r}; use different ones")
    if delimiter == decimal:
        raise InvalidOptionError(
            f"delimiter and decimal are both {delimiter!r}; pass delimiter=';' if that stands between cells"
        )


def check_decimal(decimal: Any) -> str:
    """*decimal*, if it is a decimal sign."""
    if decimal not in (".", ","):
        raise InvalidOptionError(f"decimal is {decimal!r}; use '.' or ','")
    return str(decimal)


def check_names(option: str, names: Any) -> tuple[str, ...]:
    """*names*, if they are some texts."""
    if not isinstance(names, str | bytes) and isinstance(names, Iterable):
        texts = tuple(names)
        if all(isinstance(text, str) for text in texts):
            return texts
    raise InvalidOptionError(f"{option} is {names!r}; use a sequence of texts")


def check_quotechar(mark: Any) -> str | None:
    """*mark*, if it can stand around cells; None if nothing does."""
    return None if mark is None else check_mark("quotechar", mark)


def check_flag(option: str, value: Any) -> bool:
    """*value*, if it is True or False."""
    if not isinstance(value, bool):
        raise InvalidOptionError(f"{option} is {value!r}; use True or False")
    return value


def _count(option: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InvalidOptionError(f"{option} is {value!r}; use a number of lines, such as 3")
    return value


def _comment(comment: Any) -> str | None:
    if comment is not None and (not isinstance(comment, str) or not comment):
        raise InvalidOptionError(f"comment is {comment!r}; use what such lines begin with, such as '#'")
    return comment


def _types(types: Any, dates: Any) -> dict[str, str]:
    if not isinstance(types, Mapping):
        raise InvalidOptionError(f"types is {types!r}; use a mapping of names of columns to types")
    checked = {}
    for name, type in types.items():
        if not isinstance(name, str) or not isinstance(type, str) or not _TYPE.fullmatch(type):
            raise InvalidOptionError(
                f"types has {name!r}: {type!r}; use names of columns and 'text', 'int', 'float', 'bool', "
                "or 'U20' for texts of at least 20 characters"
            )
        checked[name] = type
    for name in check_names("dates", dates):
        if name in checked:
            raise InvalidOptionError(f"column {name!r} is named in types= and in dates=; use one of them")
        checked[name] = "date"
    return checked
