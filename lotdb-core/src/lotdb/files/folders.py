"""Ingesting folders: which file goes to which node, a commit after each batch, a report at the end."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from lotdb.content import payloads
from lotdb.content.defaults import check_backend
from lotdb.errors import (
    DataMismatchError,
    IngestError,
    InvalidDataError,
    InvalidKeyError,
    InvalidOptionError,
    MissingPluginError,
    PayloadExistsError,
    UnsupportedValueError,
    ValueTooLargeError,
    is_refusal,
    nearest,
    shown,
)
from lotdb.files.asking import check_named
from lotdb.files.patterns import check_template, parse
from lotdb.files.provenance import files_of, from_file, is_in, is_known, noted_options, notes_on, says
from lotdb.files.rates import check_asked
from lotdb.files.sidecars import Sidecar, open_sidecar
from lotdb.interfaces.options import (
    UnknownOptionError,
    check_choice,
    check_flag,
    check_limit,
    check_progress,
    is_several,
)
from lotdb.interfaces.sources import ARGUMENTS
from lotdb.keys import check_name
from lotdb.records.entries import own_of
from lotdb.records.own import get_value
from lotdb.segments.payload_form import is_payload
from lotdb.tree import walk
from lotdb.tree.node import Node

__all__ = ["IngestReport", "ingest_tree"]

#: Errors that one file can cause; any other error concerns the database.
_OF_ONE_FILE = (
    DataMismatchError,
    IngestError,
    InvalidDataError,
    InvalidKeyError,
    InvalidOptionError,
    MissingPluginError,
    PayloadExistsError,
    UnsupportedValueError,
    ValueTooLargeError,
)

#: What an option may be that no ingester knows: an argument of ours, misspelt.
_ARGUMENTS = (
    *("pattern", "to", "attributes", "sidecar", "always_hash", "on_error", "batch_size", "progress"),
    *ARGUMENTS,
)

#: So many of the files that do not fit the pattern are named when a report is printed.
_NAMED = 10

Progress = Callable[[int, int, str], None]


@dataclass
class IngestReport:
    """What happened to the files of a folder, each named by its path below that folder.

    Parameters
    ----------
    added
        Files that are newly stored.
    unchanged
        Files that were already stored, with the same size and time, or with the same SHA-256.
    failed
        Files that could not be ingested, each with its error.
    unmatched
        Files that do not match the pattern; links to folders, which are not followed; and LOTDB databases.
    replaced
        Files that replaced an earlier payload.
    vanished
        Files that were ingested from this folder earlier, and do not exist in it any more. Their payloads
        stay.
    notes
        Lists of texts about ingested files: what was not kept, payloads of a replaced file that were deleted,
        that a file is empty, or that its bytes were stored because no plugin reads its format.
    """

    added: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    failed: dict[str, Exception] = field(default_factory=dict)
    unmatched: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)
    notes: dict[str, list[str]] = field(default_factory=dict)
    #: Why some of *unmatched* were left out, if not for the pattern.
    _left_out: dict[str, str] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __str__(self) -> str:
        counts = [
            f"{len(self.added)} added",
            f"{len(self.unchanged)} unchanged",
            f"{len(self.failed)} failed",
        ]
        counts.insert(1, f"{len(self.replaced)} replaced") if self.replaced else None
        counts += [f"{len(self.unmatched)} not matched by the pattern"]
        counts += [f"{len(self.vanished)} vanished"] if self.vanished else []
        lines = [", ".join(counts)]
        lines += _shared((path, str(error)) for path, error in self.failed.items())
        lines += [f"  {path}: has vanished from the folder; what it became stays" for path in self.vanished]
        unfit = [path for path in self.unmatched if path not in self._left_out]
        lines += _shared(self._left_out.items())
        lines += [f"  {path}: does not fit the pattern" for path in unfit[:_NAMED]]
        more = len(unfit) - _NAMED
        lines += [f"  and {more} more do not fit the pattern"] if more > 0 else []
        lines += _shared((path, note) for path, notes in self.notes.items() for note in notes)
        return "\n".join(map(_printable, lines))


def _shared(said: Iterable[tuple[str, str]]) -> Iterator[str]:
    """A line for each file and what is said of it; what many files share is said once."""
    files: dict[str, list[str]] = {}
    for path, text in said:
        files.setdefault(text, []).append(path)
    for text, paths in files.items():
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        yield f"  {paths[0]}{more}: {text}"


def _printable(line: str) -> str:
    # The name of a file may contain line breaks, commands to a terminal, and bytes that are no text.
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in line)


@dataclass(frozen=True)
class _Place:
    """The node and payload of a file, and its fields."""

    file: str
    node: str
    data_attribute: str | None
    fields: dict[str, str]
    attributes: dict[str, str]


def ingest_tree(
    node: Node,
    folder: str | os.PathLike[str],
    pattern: str | None,
    *,
    to: str | None,
    data_attribute: str | None,
    attributes: bool | Collection[str],
    sidecar: str | os.PathLike[str] | None,
    on_error: Literal["report", "raise"],
    batch_size: int | None,
    progress: Progress | None,
    **how: Any,
) -> IngestReport:
    """Ingest the files below *folder*; see ``BaseNode.ingest_tree``."""
    check_choice("on_error", on_error, ("report", "raise"))
    if batch_size is not None and check_limit("batch_size", batch_size) == 0:
        raise InvalidOptionError("batch_size is 0; use the number of files per commit, such as 100")
    check_progress(progress)
    root = _check_folder(folder)
    node._entry()  # which knows the tree
    node._tree.check_writable()
    _check_how(node, how)
    if data_attribute is not None:
        check_name(data_attribute, "payload")
    if batch_size is not None and node._tree.has_changes():
        raise InvalidOptionError(
            "ingest_tree commits after each batch of files, and there are uncommitted changes: "
            "commit or abort them first, or pass batch_size=None to ingest all files as a part of this "
            "transaction"
        )
    report = IngestReport()
    places, said = _places(node, root, pattern, to, data_attribute, attributes, sidecar, report)
    if on_error == "raise" and report.failed:
        raise next(iter(report.failed.values()))
    for number, place in enumerate(places, start=1):
        try:
            became = _take_in(node, root, place, said, report, how)
        except Exception as error:
            if on_error == "raise" or not (isinstance(error, _OF_ONE_FILE) or is_refusal(error)):
                raise
            option = error.option if isinstance(error, UnknownOptionError) else ""
            if option and (meant := nearest(option, _ARGUMENTS, cutoff=0.75)):
                raise InvalidOptionError(f"ingest_tree has no argument {option!r}{meant}") from error
            report.failed[place.file] = error
        else:
            getattr(report, became).append(place.file)
        if batch_size is not None and number % batch_size == 0:
            node._tree.commit()
        if progress is not None:
            progress(number, len(places), place.file)
    if places and len(report.failed) == len(places):
        for failure in report.failed.values():
            if isinstance(failure, UnknownOptionError):  # the call is wrong, and not the files
                raise failure
    if rest := said.left_over():
        report.notes.setdefault(str(sidecar), []).extend(rest)
    report.vanished += _vanished(node, root, {place.file for place in places}, report)
    if batch_size is not None:
        node._tree.commit()
    return report


def _check_how(node: Node, how: Mapping[str, Any]) -> None:
    """Refuse what is wrong for all files before the first one.

    Other options are the ingesters'. Which ones an ingester knows, it says when it reads a file.
    """
    for flag in ("skip_unchanged", "always_hash"):
        check_flag(flag, how[flag])
    if how.get("backend") is not None:
        check_backend(node._tree, how["backend"])
    check_named(how.get("format"), node._tree.plugins)
    check_asked(how.get("samplerate_hz"))
    if how.get("if_exists") is not None:
        payloads.check_if_exists(how["if_exists"])
    if "max_bytes" in how:
        check_limit("max_bytes", how["max_bytes"])
    payloads.check_metadata(node, how.get("metadata"))


def _take_in(
    node: Node, root: Path, place: _Place, said: Sidecar, report: IngestReport, how: dict[str, Any]
) -> Literal["added", "replaced", "unchanged"]:
    """Ingest one file, unless it is already stored; return what happened. An error changes nothing."""
    with node._tree.whole():
        about = said.about(place.file, place.fields)
        target: Any = node.get_node_path(place.node, node_type="data")
        name = target._name(place.data_attribute)
        for field in place.attributes:
            if field == name or payloads.has(target, field):
                raise PayloadExistsError(
                    f"{target._place()} cannot have attribute {field!r}: it is a payload"
                )
        there = _parts(target, name)
        before, version = own_of(target._entry()), target._tree.version
        _attach(target, name, root / place.file, about or {}, **how)
        is_written = target._tree.version != version
        after = own_of(target._entry())
        changed = {
            each: text for each, text in place.attributes.items() if target.get_attribute(each) != text
        }
        if changed:
            target.attrs.update(changed)
        if before == after and not is_written:
            return "unchanged"
        # What has its notes, and what has not: beside payload "data" there may be a "data.x" of the user's.
        gone = [each for each in before[0] if each not in after[0] and is_payload(get_value(before, each))]
        here = _parts(target, name)
        gone += ["/".join(part) for part in there if len(part) > 1 and part not in here]
        lost = [f"payload {each!r} is gone: the file does not have it any more" for each in gone]
        if notes := lost + _notes(target, name, root / place.file, about):
            report.notes[place.file] = notes
        return "replaced" if there and how.get("if_exists") != "append" else "added"


def _parts(target: Node, name: str) -> list[tuple[str, ...]]:
    """The payloads of the file that was taken in as payload *name*, each as the path that leads to it."""
    found = [(*path, part) for path, _, part in from_file(target, name)]
    # One that is there and came from no file is replaced as well.
    return found or ([(name,)] if payloads.has(target, name) else [])


def _attach(
    target: Any,
    name: str,
    path: Path,
    about: dict[str, Any],
    *,
    skip_unchanged: bool,
    always_hash: bool,
    metadata: Mapping[str, Any] | None = None,
    **how: Any,
) -> None:
    """Ingest the file at *path* into *target*, unless it is already stored."""
    # What is appended is not appended again for its notes' sake.
    appended = how.get("if_exists") == "append"
    there = appended or (is_in(target, name, how.get("backend")) and _says(target, name, about))
    skip = skip_unchanged and there
    options = _options(target, **how)
    if skip and not always_hash and is_known(target, name, path, options, appended=appended):
        return
    said = {**about, **(metadata or {})}
    target.attach_file(path, data_attribute=name, metadata=said, skip_unchanged=skip, **how)


def _options(
    target: Node, *, format: str | None = None, samplerate_hz: Any = None, **how: Any
) -> dict[str, Any]:
    """What a file is read by, as it is noted."""
    options = {option: value for option, value in how.items() if option not in _OF_ATTACHING}
    rate = check_asked(samplerate_hz)
    return noted_options(options, target._tree.plugins, format=format, samplerate_hz=rate)


#: Arguments of ``attach_file`` that are none of the ingester's, and do not change what is read.
_OF_ATTACHING = ("database", "backend", "if_exists", "max_bytes")


def _says(target: Node, name: str, about: dict[str, Any]) -> bool:
    """Whether the payloads of a file have these metadata."""
    there = [payloads.get(each, part).metadata for _, each, part in from_file(target, name)] if about else []
    return all(says(notes, key, value) for notes in there for key, value in about.items())


def _notes(target: Node, name: str, path: Path, about: dict[str, Any] | None) -> list[str]:
    """The report's notes about a file that was ingested."""
    notes: dict[str, None] = {}
    if about is None:
        notes["nothing is said of it in a sidecar"] = None
    for _, each, part in from_file(target, name):
        metadata = notes_on(each, part)[-1]  # those of the file that was appended last
        if metadata.get("_source_size_bytes") == 0:
            notes["it is empty"] = None
        if isinstance(hint := metadata.get("hint"), str):
            notes[hint] = None
        for lost in metadata.get("not_kept") or ():
            notes[f"not kept: {lost}"] = None
    return list(notes)


def _vanished(node: Node, root: Path, there: set[str], report: IngestReport) -> list[str]:
    """Files that payloads below *node* came from, and that are no longer in the folder."""
    base = os.path.join(os.path.abspath(root), "")
    found: set[str] = set()
    for each in walk.everything(node):
        own = own_of(each._entry())
        for name, stored in zip(own[0], own[1:], strict=True):
            if is_payload(stored):
                found.update(files_of(each, name))
    below = {os.path.abspath(path)[len(base) :] for path in found if os.path.abspath(path).startswith(base)}
    gone = sorted(path.replace(os.sep, "/") for path in below)
    unseen = tuple(f"{folder}/" for folder in report.failed)
    return [path for path in gone if path not in there and not f"{path}/".startswith(unseen)
            and not os.path.lexists(root / path)]  # fmt: skip


# -- files and patterns ---------------------------------------------------------------------------


def _check_folder(folder: Any) -> Path:
    if not isinstance(folder, str | os.PathLike) or not isinstance(os.fspath(folder), str):
        raise InvalidOptionError(f"folder is {shown(folder)}; use the path of a folder, as text")
    root = Path(folder)
    if not os.path.isdir(root):  # which takes any name: pathlib's fails with one that is too long
        raise IngestError(f"cannot ingest {str(root)!r}: it is not a folder")
    return root


def _places(
    node: Node,
    root: Path,
    pattern: str | None,
    to: str | None,
    data_attribute: str | None,
    attributes: bool | Collection[str],
    sidecar: Any,
    report: IngestReport,
) -> tuple[list[_Place], Sidecar]:
    """Where each file below *root* goes; what does not match, or cannot be listed, goes to the report."""
    expression, fields = parse("**/*" if pattern is None else pattern)
    levels = "/".join(f"{{{name}}}" for name in fields)
    to = levels if to is None else check_template("to", to, fields)
    named = None if data_attribute is None else check_template("data_attribute", data_attribute, fields)
    kept = _check_attributes(attributes, fields)
    matched: dict[str, dict[str, str]] = {}
    others: list[str] = []
    for file in _files(root, report):
        match = expression.fullmatch(file)
        if match is None:
            others.append(file)
        else:
            matched[file] = match.groupdict()
    said = open_sidecar(sidecar, root, fields, list(matched.values()), node._tree.plugins)
    report.unmatched += [file for file in others if file not in said.files]
    places: dict[tuple[str, str | None], _Place] = {}
    of_node: dict[str, _Place] = {}
    for file, found in matched.items():
        if file in said.files:
            continue
        place = _Place(
            file=file,
            # Without fields, only its path distinguishes a file from others.
            node=_normal(to.format_map(found) or file),
            data_attribute=None if named is None else _normal(named.format_map(found)),
            fields=found,
            attributes={name: found[name] for name in kept},
        )
        other = places.setdefault((place.node, place.data_attribute), place)
        if other is not place:
            raise InvalidOptionError(
                f"{other.file!r} and {file!r} would be the same payload of node {place.node!r}; "
                "use a pattern with more fields, and all of them in to= or data_attribute="
            )
        other = of_node.setdefault(place.node, place)
        for name in kept:
            if other.attributes[name] != found[name]:
                raise InvalidOptionError(
                    f"{other.file!r} and {file!r} would give attribute {name!r} of node {place.node!r} "
                    "different values; leave it out of attributes=, or put it into to="
                )
    return list(places.values()), said


def _check_attributes(asked: Any, fields: list[str]) -> list[str]:
    """The fields that become attributes."""
    if isinstance(asked, bool):
        kept = fields if asked else []
    elif isinstance(asked, str) or not isinstance(asked, Collection) or not is_several(asked):
        raise InvalidOptionError(f"attributes is {shown(asked)}; use True, or names of fields: ['speaker']")
    else:
        kept = list(asked)
    for name in kept:
        if name not in fields:
            there = ", ".join(map(repr, fields)) or "none"
            raise InvalidOptionError(f"attributes has {shown(name)}, which is no field (there: {there})")
        if name.startswith("_"):
            raise InvalidOptionError(
                f"{name!r} cannot be an attribute: LOTDB uses the names that begin with _"
            )
    return kept


def _normal(name: str) -> str:
    # As for keys, so that two spellings of one name are noticed as one node.
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
        links = {name for name in names.intersection(folders) if Path(parent, name).is_symlink()}
        left_out = {name for name in names if f"{name}.".startswith(databases)} | links
        for name in sorted(left_out):
            path = (below / name).as_posix()
            report.unmatched.append(path)
            report._left_out[path] = "a link to a folder" if name in links else "part of a database"
        folders[:] = sorted((names - left_out).intersection(folders))
        for name in sorted((names - left_out).intersection(files)):
            yield (below / name).as_posix()
