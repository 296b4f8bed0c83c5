"""Sidecars: metadata of a folder's files, in one table for all files or in one file for each."""

from __future__ import annotations

import json
import os
import posixpath
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lotdb.errors import IngestError, InvalidOptionError, shown
from lotdb.files.asking import ask, open_source
from lotdb.files.patterns import check_template, fields_of
from lotdb.interfaces.loader import Loader
from lotdb.interfaces.row_blocks import Blocks

__all__ = ["Sidecar", "SidecarOfAll", "SidecarOfEach", "open_sidecar"]

#: Names of the column that names the files.
FILE = ("file", "path", "filepath", "filename", "file_name")

# A sidecar holds notes; JSON is read as a whole.
MAX_JSON = 256 << 20

Row = dict[str, Any]


class Sidecar:
    """What is said of each file beside it: nothing at all, by this class.

    Attributes
    ----------
    files
        Paths of the sidecars themselves, below the folder.
    """

    files: frozenset[str] = frozenset()

    def about(self, file: str, fields: Mapping[str, str]) -> Row | None:
        """The metadata of *file*, whose path has these *fields*; None if the sidecar does not mention it."""
        return {}

    def left_over(self) -> list[str]:
        """Notes for the report, about entries whose files do not exist."""
        return []


class SidecarOfEach(Sidecar):
    """One sidecar for each file: a JSON object, or a table of one row. Its path has fields of the pattern."""

    def __init__(
        self, root: Path, template: str, found: Sequence[Mapping[str, str]], plugins: Loader
    ) -> None:
        self._root, self._template, self._plugins = root, template, plugins
        self.files = frozenset(posixpath.normpath(template.format_map(fields)) for fields in found)

    def about(self, file: str, fields: Mapping[str, str]) -> Row | None:
        path = self._root / self._template.format_map(fields)
        if not path.exists():
            return None
        if path.suffix.lower() == ".json":
            return _checked(path, _object(path, _load(path)))
        _, rows = _table(path, self._plugins, {})
        if len(rows) != 1:
            raise _wrong(path, f"it has {len(rows)} rows; it is about one file")
        return _checked(path, rows[0])


class SidecarOfAll(Sidecar):
    """One sidecar for all files: a table, or JSON, whose rows name a file or fields of the pattern."""

    def __init__(self, root: Path, path: Path, fields: Sequence[str], plugins: Loader) -> None:
        self._path = path
        self._keys, rows = _rows(path, fields, plugins)
        self._said: dict[tuple[str, ...], Row] = {}
        for number, row in enumerate(rows, 1):
            key = tuple(_text(row.pop(name, None), path, name, number) for name in self._keys)
            if key in self._said:
                raise _wrong(path, f"two rows are about {', '.join(key)}")
            self._said[key] = _checked(path, row)
        self._asked: set[tuple[str, ...]] = set()
        place, base = Path(os.path.abspath(path)), Path(os.path.abspath(root))
        if place.is_relative_to(base):
            self.files = frozenset({place.relative_to(base).as_posix()})
        self._by_file = self._keys[0] in FILE and self._keys[0] not in fields
        self._by_name = self._by_file and all("/" not in key[0] for key in self._said)
        self._named: dict[str, str] = {}

    def about(self, file: str, fields: Mapping[str, str]) -> Row | None:
        key = self._key(unicodedata.normalize("NFC", file), fields)
        self._asked.add(key)
        return self._said.get(key)

    def _key(self, file: str, fields: Mapping[str, str]) -> tuple[str, ...]:
        if not self._by_file:
            return tuple(unicodedata.normalize("NFC", fields[name]) for name in self._keys)
        if not self._by_name:
            return (file,)
        name = posixpath.basename(file)
        other = self._named.setdefault(name, file)
        if other != file and (name,) in self._said:
            raise _wrong(
                self._path,
                f"it names {name!r}, and there are {other!r} and {file!r}; name files by their paths",
            )
        return (name,)

    def left_over(self) -> list[str]:
        rest = [", ".join(key) for key in self._said if key not in self._asked]
        return [f"it says something of {shown(each)}, which is not there" for each in rest]


def open_sidecar(
    sidecar: Any, root: Path, fields: list[str], found: Sequence[Mapping[str, str]], plugins: Loader
) -> Sidecar:
    """The sidecar for the option *sidecar*; *fields* are those of the pattern, *found* their values."""
    if sidecar is None:
        return Sidecar()
    template = check_template("sidecar", os.fspath(sidecar) if isinstance(sidecar, Path) else sidecar, fields)
    if not template.lower().endswith((".csv", ".tsv", ".tab", ".json")):
        raise InvalidOptionError(f"sidecar is {template!r}; use the path of a csv, tsv or json file")
    if fields_of(template, "sidecar"):
        return SidecarOfEach(root, template, found, plugins)
    path = Path(template.format_map({}))
    # The folder's own comes first; a command line is completed from the working directory.
    path = root / path if (root / path).exists() else path
    if not path.is_file():
        raise IngestError(f"there is no sidecar {template!r} in {str(root)!r}")
    return SidecarOfAll(root, path, fields, plugins)


# -- reading them ---------------------------------------------------------------------------------


def _rows(path: Path, fields: Sequence[str], plugins: Loader) -> tuple[list[str], list[Row]]:
    """The names of the columns that identify the files of a row, and the rows."""
    if path.suffix.lower() != ".json":
        names, _ = _table(path, plugins, {})
        keys = _keys(path, names, fields)
        return keys, _table(path, plugins, {"types": dict.fromkeys(keys, "text")})[1]
    loaded = _load(path)
    if isinstance(loaded, dict):
        return [FILE[0]], [{**_object(path, row), FILE[0]: file} for file, row in loaded.items()]
    if not isinstance(loaded, list):
        raise _wrong(path, "it holds no object and no list of objects")
    rows = [dict(_object(path, row)) for row in loaded]
    return _keys(path, list(rows[0]) if rows else [FILE[0]], fields), rows


def _keys(path: Path, names: list[str], fields: Sequence[str]) -> list[str]:
    of_file = [name for name in FILE if name in names and name not in fields]
    keys = of_file[:1] or [name for name in fields if name in names]
    if not keys:
        known = ", ".join(map(repr, ("file", *fields)))
        raise _wrong(path, f"no column says which file a row is about ({known}); there are: {shown(names)}")
    return keys


def _table(path: Path, plugins: Loader, options: Mapping[str, Any]) -> tuple[list[str], list[Row]]:
    """The names of the columns of a table, and its rows, without what is missing."""
    rows: list[Row] = []
    with open_source(path, format=None, options=options) as source:
        answer = ask(source, plugins)
        data = next((each.data for part in answer.parts for each in part.payloads.values()), None)
        if not isinstance(data, Blocks) or data.kind != "table":
            raise _wrong(path, "it was not read as a table; the formats are in lotdb-ingest")
        names = list(data.dtype.names or ())
        for block in data.blocks:
            cells, mask = np.ma.getdata(block).tolist(), np.ma.getmaskarray(block).tolist()
            for row, gone in zip(cells, mask, strict=True):
                rows.append({n: cell for n, cell, no in zip(names, row, gone, strict=True) if not no})
    return names, rows


def _load(path: Path) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> Row:
        found: Row = {}
        for name, value in pairs:
            if name in found:
                raise ValueError(f"an object has {name!r} twice")
            found[name] = value
        return found

    try:
        if path.stat().st_size > MAX_JSON:
            raise ValueError(f"it has more than {MAX_JSON} bytes; use csv")
        return json.loads(path.read_text("utf-8-sig"), object_pairs_hook=once)
    except (ValueError, RecursionError, OSError) as error:
        raise _wrong(path, str(error)) from error


def _object(path: Path, row: Any) -> Row:
    if not isinstance(row, dict):
        raise _wrong(path, f"{shown(row)} stands where an object of names and values should")
    return row


def _checked(path: Path, row: Row) -> Row:
    for name in row:
        if name.startswith("_"):
            raise _wrong(path, f"it says {name!r}, and LOTDB uses the names that begin with _; rename it")
    return row


def _text(value: Any, path: Path, name: str, number: int) -> str:
    if not isinstance(value, str) or not value:
        raise _wrong(path, f"row {number} has no text as {name!r}, which says what it is about")
    return unicodedata.normalize("NFC", value.replace("\\", "/") if name in FILE else value)


def _wrong(path: Path, reason: str) -> IngestError:
    return IngestError(f"cannot take metadata from {str(path)!r}: {reason}")
