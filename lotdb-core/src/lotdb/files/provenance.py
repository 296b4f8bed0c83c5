"""What is known of the files that payloads and nodes came from: what to skip, and what is no longer theirs.

Each payload keeps the notes of its own files. The nodes that a file gave have, if it gave them attributes or
is a tree, a *mark* as well: what the file gave them, so that it can be taken away again, and nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from lotdb.content import attributes, payloads
from lotdb.content.payload import Payload
from lotdb.errors import LotdbError
from lotdb.files.asking import BESIDE, SHA256, TIME, notes_of
from lotdb.interfaces.sources import SourceFile
from lotdb.records.entries import own_of
from lotdb.records.own import get_value, position
from lotdb.tree import walk
from lotdb.tree.node import Node
from lotdb.values import values
from lotdb.values.plain import ValueTypes

__all__ = [
    "ABOUT",
    "APPENDED",
    "GIVEN",
    "OPTIONS",
    "PATH",
    "PAYLOADS",
    "ROWS",
    "Earlier",
    "digest",
    "earlier",
    "files_of",
    "first_of",
    "from_file",
    "given_on",
    "hashes",
    "is_in",
    "is_known",
    "is_unchanged",
    "mark_of",
    "marked",
    "noted_options",
    "notes_on",
    "rows_of_others",
    "says",
]

PATH = "_source_filepath"
# The payloads that a file became, if not just the one that was asked for.
PAYLOADS = "_source_payloads"
# How many rows of the payload its files have given it.
ROWS = "_source_rows"
# Notes of the files that were appended to a payload.
APPENDED = "_source_appended"
# What the user passed that the file was read by.
OPTIONS = "_source_options"
# On a node: which payload its notes are about. On one of several payloads: what the file was taken in as.
ABOUT = "_source_data_attribute"
# On a node: what files gave it, by the name that each was taken in as, and by its place below that node.
GIVEN = "_source_given"

Mark = dict[str, Any]


# -- notes of payloads ----------------------------------------------------------------------------


def notes_on(node: Node, name: str) -> list[dict[str, Any]]:
    """The notes of each file that payload *name* came from."""
    if not payloads.has(node, name):
        return []
    notes = payloads.get(node, name).metadata
    return [notes, *notes.get(APPENDED, ())]


def hashes(node: Node, name: str) -> set[Any]:
    """Hashes of the files that payload *name* came from; none if it came from no file."""
    return {each[SHA256] for each in notes_on(node, name) if SHA256 in each}


def files_of(node: Node, name: str) -> list[str]:
    """Paths of the files that payload *name* came from, as they were given."""
    return [about[PATH] for about in notes_on(node, name) if PATH in about]


def rows_of_others(node: Node, name: str) -> int:
    """How many rows payload *name* has that were appended to those of its files; 0 if it is of no file."""
    notes = notes_on(node, name)
    noted = notes[-1].get(ROWS) if notes else None
    if type(noted) is not int:
        return 0
    return max(payloads.get(node, name).shape[0] - noted, 0) if payloads.get(node, name).shape else 0


def from_file(node: Node, name: str) -> Iterator[tuple[tuple[str, ...], Node, str]]:
    """The payloads that there are of the file that was taken in as payload *name* of *node*.

    Each with the node that it is on, and the path of that node below *node*.
    """
    for path, each, _ in marked(node, name):
        for own in _called(each, name):
            if hashes(each, own):
                yield path, each, own


def first_of(node: Node, name: str) -> Payload:
    """The first payload of the file that was taken in as payload *name* of *node*."""
    _, there, first = next(from_file(node, name))
    order = [each for each in _parts(notes_on(there, first)[0]) if isinstance(each, str)]
    return payloads.get(there, next((each for each in order if payloads.has(there, each)), first))


def _called(node: Node, name: str) -> list[str]:
    """The attributes and payloads that are called *name*, or as one of several."""
    return sorted(each for each in own_of(node._entry())[0] if each == name or each.startswith(f"{name}."))


def says(metadata: Mapping[str, Any], name: str, value: Any) -> bool:
    """Whether *metadata* have this very value."""
    # As stored, and as text: arrays do not compare, NaN is the same as NaN, and 1 is not the same as True.
    stored = [values.encode(each, name=name) for each in (metadata[name], value)] if name in metadata else []
    return len(stored) == 2 and repr(stored[0]) == repr(stored[1])


# -- marks of nodes -------------------------------------------------------------------------------


def mark_of(node: Node, name: str, path: tuple[str, ...] = ()) -> Mark | None:
    """The mark of the file that was taken in as *name* by the node from which *path* leads to this one."""
    given = attributes.read(node, GIVEN, None)
    marks = given.get(name) if isinstance(given, dict) else None
    # By its place: a copy that a user made elsewhere is the user's.
    mark = marks.get("/".join(path)) if isinstance(marks, dict) else None
    return mark if isinstance(mark, dict) else None


def given_on(node: Node, *, but: tuple[str, tuple[str, ...]] | None = None) -> set[tuple[str, str]]:
    """The attributes that files gave to *node*, each with its digest; *but* for the file of that mark."""
    given = attributes.read(node, GIVEN, None)
    found: set[tuple[str, str]] = set()
    for name, marks in given.items() if isinstance(given, dict) else ():
        for path, mark in marks.items() if isinstance(marks, dict) else ():
            if (name, path) != (but and (but[0], "/".join(but[1]))) and isinstance(mark, dict):
                found.update(dict(mark.get("attributes", {})).items())
    return found


def marked(node: Node, name: str) -> Iterator[tuple[tuple[str, ...], Node, Mark]]:
    """The nodes of the file that was taken in as *name* by *node*, which is the first; with their paths."""
    waiting: list[tuple[tuple[str, ...], Node]] = [((), node)]
    while waiting:
        path, each = waiting.pop()
        mark = mark_of(each, name, path)
        if mark is None and path:
            continue
        yield path, each, mark or {}
        if mark is not None and mark.get("children"):
            waiting += [((*path, child._key), child) for child, _ in walk.children(each)]


def digest(stored: Any) -> str:
    """By what an attribute is known to be as a file gave it."""
    return hashlib.sha256(repr(stored).encode("utf-8", "surrogatepass")).hexdigest()[:16]


# -- whether a file has changed -------------------------------------------------------------------


def noted_options(options: Mapping[str, Any], extra: ValueTypes, **more: Any) -> dict[str, Any]:
    """What is noted of *options*, and of *more* unless it is None: that by which the file is read."""
    given = {**options, **{name: value for name, value in more.items() if value is not None}}
    noted = {}
    for name, value in sorted(given.items()):
        noted[name] = dict(value) if isinstance(value, Mapping) else value
        try:
            values.encode(noted[name], name=name, extra=extra)
        except LotdbError:
            noted[name] = _unkept(value)
    return noted


def _unkept(value: Any) -> str:
    # Unlike any other, and unlike itself the next time: nobody could tell whether it is the same.
    return f"a {type(value).__name__}, which is not kept ({os.urandom(4).hex()})"


def is_unchanged(
    node: Node, name: str, source: SourceFile, options: Mapping[str, Any], *, appended: bool = False
) -> bool:
    """Whether *node* has as *name* all of *source*, read with the same options; files beside it included.

    With *appended*, others may have come behind it.
    """
    mark = mark_of(node, name)
    if mark is not None and not appended:
        return _is_same(mark, source, options) and _is_whole(node, name, mark)
    for each, part in _first_parts(node, name):
        for about in notes_on(each, part):
            if _is_same(about, source, options):
                return all(source.sha256 in hashes(each, other) for other in _parts(about))
    return False


def is_in(node: Node, name: str, backend: str | None) -> bool:
    """Whether what the file of payload *name* became is in *backend*, if one is asked for."""
    return backend is None or all(
        payloads.get(each, part).backend == backend for _, each, part in from_file(node, name)
    )


def _first_parts(node: Node, name: str) -> list[tuple[Node, str]]:
    """The payloads by which a file is known."""
    if payloads.has(node, name):
        return [(node, name)]
    return [(each, part) for _, each, part in from_file(node, name)]


def _is_same(about: Mapping[str, Any], source: SourceFile, options: Mapping[str, Any]) -> bool:
    if about.get(SHA256) != source.sha256 or not _has_options(about, options):
        return False
    beside = about.get(BESIDE)
    return not beside or _beside_is_same(beside, source)


def _has_options(about: Mapping[str, Any], options: Mapping[str, Any]) -> bool:
    noted = about.get(OPTIONS, {})
    return (not noted and not options) or says({OPTIONS: noted}, OPTIONS, dict(options))


def _beside_is_same(beside: Any, source: SourceFile) -> bool:
    # Apart from what the ingester asks for: a changed file may belong to others by now.
    apart = SourceFile(source.path, source.file, source.size, source.format, max_bytes=source.max_bytes)
    with contextlib.closing(apart._together):
        try:
            for name, about in beside.items():
                other = apart.beside(f"./{name}", required=False)
                if (None if other is None else other.sha256) != (about and about.get(SHA256)):
                    return False
        except LotdbError:
            return False
    return True


def _is_whole(node: Node, name: str, mark: Mark) -> bool:
    """Whether all is there that the file gave."""
    nodes = found = 0
    for _, each, other in marked(node, name):
        nodes += other.get(SHA256) == mark[SHA256]
        found += sum(mark[SHA256] in hashes(each, own) for own in _called(each, name))
        if other.get(SHA256) == mark[SHA256]:
            names = own_of(each._entry())[0]
            if any(position(names, given) < 0 for given in other.get("attributes", ())):
                return False
    return (nodes, found) == (mark.get("nodes"), mark.get("payloads"))


def is_known(
    node: Node,
    name: str,
    path: str | os.PathLike[str],
    options: Mapping[str, Any],
    *,
    appended: bool = False,
) -> bool:
    """Whether the file at *path* is as it was when payload *name* was made of it, without reading it.

    It is taken for the same if it has the same size and time, to the nanosecond, and is the same file of its
    disk, and so are those beside it. Of a file that had just been written when it was taken in, no time is
    noted.
    """
    try:
        notes = notes_of(os.stat(path))
    except OSError:
        return False
    if TIME not in notes:
        return False
    mark = mark_of(node, name)
    if mark is not None and not appended:
        return _is_as_noted(mark, path, notes, options) and _is_whole(node, name, mark)
    for each, part in _first_parts(node, name):
        for about in notes_on(each, part):
            if _is_as_noted(about, path, notes, options):
                return all(_has_note(each, other, notes) for other in _parts(about) if other != part)
    return False


def _is_as_noted(
    about: Mapping[str, Any],
    path: str | os.PathLike[str],
    notes: Mapping[str, Any],
    options: Mapping[str, Any],
) -> bool:
    if not notes.items() <= about.items() or not _has_options(about, options):
        return False
    beside = about.get(BESIDE)
    if not isinstance(beside, dict):
        return True
    for name, other in beside.items():
        place = Path(path).parent / name
        if other is None:
            if os.path.lexists(place):
                return False
            continue
        try:
            there = notes_of(os.stat(place))
        except OSError:
            return False
        if TIME not in there or not there.items() <= other.items():
            return False
    return True


def _has_note(node: Node, name: str, notes: Mapping[str, Any]) -> bool:
    return any(notes.items() <= about.items() for about in notes_on(node, name))


def _parts(about: Mapping[str, Any]) -> list[Any]:
    """The payloads that a file became, if not just the one that was asked for."""
    parts = about.get(PAYLOADS)
    return parts if isinstance(parts, list) else []


# -- what a file no longer gives ------------------------------------------------------------------


class Earlier:
    """What files gave that are replaced by another one, or by the same as it is now.

    What an earlier file had beside payload *name*, such as its events, would be taken for what the new one
    has. A file that gives no such payload, as an archive of arrays, may have been put beside another one on
    purpose: what is there goes if it is all of the same file. What came from elsewhere stays. A relative path
    may lead elsewhere by now; the file is the same only if another of its payloads is replaced.
    """

    def __init__(
        self, node: Node, name: str, path: str, new: Mapping[tuple[str, ...], Collection[str]]
    ) -> None:
        self._node, self._name, self._path, self._new = node, name, path, new
        self._nodes = list(marked(node, name))
        there = {path: each for path, each, _ in self._nodes}
        #: Hashes of what is replaced by a file of the same path; and of payload *name* itself.
        self._replaced = {
            sha256
            for at, names in new.items()
            if (each := there.get(at)) is not None
            for own in names
            if path in files_of(each, own)
            for sha256 in hashes(each, own)
        }
        self._superseded = hashes(node, name) if name in new.get((), ()) else set()

    def nodes(self) -> list[tuple[tuple[str, ...], Node, Mark]]:
        """The nodes that may have something of them, those above first."""
        return sorted(self._nodes, key=lambda found: len(found[0]))

    def gone(self, path: tuple[str, ...], node: Node) -> set[str]:
        """The payloads that go from *node*, at *path*."""
        new = self._new.get(path, ())
        others = [each for each in _called(node, self._name) if each not in new]
        gone = {each for each in others if self._is_of(node, each)}
        if not os.path.isabs(self._path):
            gone = {each for each in gone if (of := hashes(node, each)) and of <= self._replaced}
        for part in others:
            of = hashes(node, part)
            if of and of <= self._superseded and self._is_part(path, node, part):
                gone.add(part)
        return gone

    def _is_part(self, path: tuple[str, ...], node: Node, part: str) -> bool:
        # What was computed from a part may have been given its notes, but is none of the file's payloads.
        if not path:
            return any(part in _parts(about) for about in notes_on(self._node, self._name))
        return part == self._name or any(part in _parts(about) for about in notes_on(node, part))

    def _is_of(self, node: Node, name: str) -> bool:
        """Whether all of payload *name* came of the file, when it was taken in under the same name."""
        notes = notes_on(node, name)
        return bool(notes) and all(
            _is_path(about.get(PATH), self._path)
            # One part of a file may have been taken in by itself, as a payload of another name.
            and (
                name == self._name
                # What was computed from a part may have been given its notes, but is none of the payloads.
                or (name in _parts(about) and about.get(ABOUT, self._name) == self._name)
            )
            for about in notes
        )

    def is_replaced(self, mark: Mark) -> bool:
        """Whether *mark* is of a file that is replaced."""
        if mark.get(SHA256) in self._replaced | self._superseded:
            return True
        return os.path.isabs(self._path) and _is_path(mark.get(PATH), self._path)


def _is_path(there: Any, path: str) -> bool:
    return (
        isinstance(there, str)
        and os.path.isabs(there) == os.path.isabs(path)
        and os.path.normpath(there) == os.path.normpath(path)
    )


def earlier(node: Node, stored: Mapping[str, Any], mark: Mark) -> dict[str, str]:
    """Those attributes of *mark* that *node* still has as they were given, with their digests.

    *stored* is what the file gives now, in its stored form, and does not count.
    """
    own = own_of(node._entry())
    return {
        name: of
        for name, of in dict(mark.get("attributes", {})).items()
        if name not in stored and position(own[0], name) >= 0 and digest(get_value(own, name)) == of
    }
