"""Taking in whole folders: which file goes to which node, one commit a batch, a report at the end."""

from __future__ import annotations

import os
import re
import string
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lotdb.errors import (
    DataMismatchError,
    IngestError,
    InvalidDataError,
    InvalidKeyError,
    InvalidOptionError,
    LotdbError,
    PayloadExistsError,
    shown,
)
from lotdb.ingester import check_limit
from lotdb.records import own_of

if TYPE_CHECKING:
    from lotdb.nodes import BaseNode

__all__ = ["IngestReport", "ingest_tree"]

#: What one file can be to blame for; anything else concerns the database.
_OF_ONE_FILE = (
    DataMismatchError,
    IngestError,
    InvalidDataError,
    InvalidKeyError,
    InvalidOptionError,
    PayloadExistsError,
)

Progress = Callable[[int, int, str], None]


@dataclass
class IngestReport:
    """What became of the files of a folder, each by its path below that folder.

    Parameters
    ----------
    added
        Files that were taken in.
    unchanged
        Files that were there already, with the same SHA-256.
    failed
        Files that could not be taken in, and why.
    unmatched
        Files that do not fit the pattern; links to folders, which are not followed; and databases.
    """

    added: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    failed: dict[str, LotdbError] = field(default_factory=dict)
    unmatched: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        counts = f"{len(self.added)} added, {len(self.unchanged)} unchanged, {len(self.failed)} failed"
        such = f", such as {self.unmatched[0]}" if self.unmatched else ""
        lines = [f"{counts}, {len(self.unmatched)} not matched by the pattern{such}"]
        lines += [f"  {path}: {error}" for path, error in self.failed.items()]
        return "\n".join(map(_printable, lines))


def _printable(line: str) -> str:
    # The name of a file may hold anything: line breaks, commands to a terminal, what is no text.
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in line)


@dataclass(frozen=True)
class _Place:
    """Where a file goes."""

    file: str
    node: str
    data_attribute: str | None


def ingest_tree(
    node: BaseNode,
    folder: str | os.PathLike[str],
    pattern: str | None,
    *,
    to: str | None,
    data_attribute: str | None,
    on_error: Literal["report", "raise"],
    batch_size: int | None,
    progress: Progress | None,
    **how: Any,
) -> IngestReport:
    """Take in the files below *folder*; see ``BaseNode.ingest_tree``."""
    if on_error not in ("report", "raise"):
        raise InvalidOptionError(f"on_error is {shown(on_error)}; use 'report' or 'raise'")
    if batch_size is not None and check_limit("batch_size", batch_size) == 0:
        raise InvalidOptionError("batch_size is 0; use the number of files a commit, such as 100")
    root = _check_folder(folder)
    node._entry()  # which knows the tree
    node._tree.check_writable()
    if batch_size is not None and node._tree.has_changes():
        raise InvalidOptionError(
            "ingest_tree commits after each batch of files, and there are changes that are not committed: "
            "commit or abort them first, or pass batch_size=None to take all files in as a part of this "
            "transaction"
        )
    report = IngestReport()
    places = _places(root, pattern, to, data_attribute, report)
    if on_error == "raise" and report.failed:
        raise next(iter(report.failed.values()))
    for number, place in enumerate(places, start=1):
        try:
            added = _take_in(node, root, place, how)
        except _OF_ONE_FILE as error:
            if on_error == "raise":
                raise
            report.failed[place.file] = error
        else:
            (report.added if added else report.unchanged).append(place.file)
        if batch_size is not None and number % batch_size == 0:
            node._tree.commit()
        if progress is not None:
            progress(number, len(places), place.file)
    if batch_size is not None:
        node._tree.commit()
    return report


def _take_in(node: BaseNode, root: Path, place: _Place, how: dict[str, Any]) -> bool:
    """Whether the file was taken in; it may be there already. After an error the tree is as it was."""
    with node._tree.whole():
        target = node.get_data_node(place.node)
        before = own_of(target._entry())
        target.attach_file(root / place.file, data_attribute=place.data_attribute, **how)
        return before != own_of(target._entry())


# -- files and patterns ---------------------------------------------------------------------------


def _check_folder(folder: Any) -> Path:
    if not isinstance(folder, str | os.PathLike) or not isinstance(os.fspath(folder), str):
        raise InvalidOptionError(f"folder is {shown(folder)}; use the path of a folder, as text")
    root = Path(folder)
    if not root.is_dir():
        raise IngestError(f"cannot ingest {str(root)!r}: it is not a folder")
    return root


def _places(
    root: Path, pattern: str | None, to: str | None, data_attribute: str | None, report: IngestReport
) -> list[_Place]:
    """Where each file below *root* goes; what does not match, or cannot be listed, goes to the report."""
    expression, fields = _parse("**/*" if pattern is None else pattern)
    levels = "/".join(f"{{{name}}}" for name in fields)
    to = levels if to is None else _check_template("to", to, fields)
    named = None if data_attribute is None else _check_template("data_attribute", data_attribute, fields)
    places: dict[tuple[str, str | None], _Place] = {}
    for file in _files(root, report):
        match = expression.fullmatch(file)
        if match is None:
            report.unmatched.append(file)
            continue
        found = match.groupdict()
        place = _Place(
            file=file,
            # Without fields, its path is all that tells a file apart.
            node=_normal(to.format_map(found) or file),
            data_attribute=None if named is None else _normal(named.format_map(found)),
        )
        other = places.setdefault((place.node, place.data_attribute), place)
        if other is not place:
            raise InvalidOptionError(
                f"{other.file!r} and {file!r} would be the same payload of node {place.node!r}; "
                "use a pattern with more fields, and all of them in to= or data_attribute="
            )
    return list(places.values())


def _normal(name: str) -> str:
    # As keys are, so that two files whose names are written in two ways are found to be for one node.
    return unicodedata.normalize("NFC", name)


def _files(root: Path, report: IngestReport) -> Iterator[str]:
    """Paths of all files below *root*, with "/" between their parts, in order; hidden ones are left out."""

    def not_listed(error: OSError) -> None:
        folder = Path(error.filename).relative_to(root).as_posix()
        report.failed[folder] = IngestError(f"cannot list the folder {error.filename!r}: {error.strerror}")

    for parent, folders, files in os.walk(root, onerror=not_listed):
        below = Path(parent).relative_to(root)
        names = {name for name in (*folders, *files) if not name.startswith(".")}
        # A database has a file called <name>.lotdb, and the names of all others begin with its name.
        databases = tuple(name.removesuffix("lotdb") for name in files if name.endswith(".lotdb"))
        left_out = {name for name in names if f"{name}.".startswith(databases)}
        left_out |= {name for name in names.intersection(folders) if Path(parent, name).is_symlink()}
        report.unmatched += sorted((below / name).as_posix() for name in left_out)
        folders[:] = sorted((names - left_out).intersection(folders))
        for name in sorted((names - left_out).intersection(files)):
            yield (below / name).as_posix()


def _parse(pattern: Any) -> tuple[re.Pattern[str], list[str]]:
    """The regular expression that *pattern* stands for, and the names of its fields in order."""
    if not isinstance(pattern, str):
        raise InvalidOptionError(
            f"pattern is {shown(pattern)}; use a text such as '{{speaker}}/{{take}}.wav'"
        )
    parts: list[str] = []
    fields: list[str] = []
    for text, name in _split(pattern, "pattern"):
        parts += [_WILDCARDS.get(piece) or re.escape(piece) for piece in re.split(r"(\*\*/|\*|\?)", text)]
        if name is None:
            continue
        if name in fields:
            parts.append(f"(?P={name})")
        else:
            fields.append(name)
            parts.append(f"(?P<{name}>[^/]+?)")
    return re.compile("".join(parts)), fields


_WILDCARDS = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}


def _split(template: str, option: str) -> list[tuple[str, str | None]]:
    """The pieces of text of *template*, each with the name of the field behind it."""
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


def _check_template(option: str, template: Any, fields: list[str]) -> str:
    if not isinstance(template, str):
        raise InvalidOptionError(f"{option} is {shown(template)}; use a text such as '{{speaker}}/{{take}}'")
    for _, name in _split(template, option):
        if name is not None and name not in fields:
            there = ", ".join(f"{{{field}}}" for field in fields) or "none"
            raise InvalidOptionError(
                f"{option} has the field {{{name}}}, which the pattern has not (there: {there})"
            )
    return template
