"""Ingest one file: store its contents as payloads, with notes that say which file they came from.

The metadata of each payload hold the notes about its own files. The node has attributes of the same names.
They are the notes of the first payload that came from a file; a second file does not overwrite them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lotdb.content import attributes, payloads
from lotdb.content.defaults import BACKEND, DATA_ATTRIBUTE, SAMPLERATE, check_kept
from lotdb.content.payload import Payload
from lotdb.content.payloads import Request, Written
from lotdb.errors import (
    DataMismatchError,
    IngestError,
    InvalidDataError,
    InvalidKeyError,
    PayloadExistsError,
    UnsupportedValueError,
    ValueTooLargeError,
)
from lotdb.files.asking import (
    BESIDE,
    SHA256,
    Answered,
    Part,
    about_beside,
    about_source,
    ask,
    measured,
    open_source,
)
from lotdb.files.provenance import (
    ABOUT,
    APPENDED,
    GIVEN,
    OPTIONS,
    PATH,
    PAYLOADS,
    ROWS,
    Earlier,
    digest,
    earlier,
    first_of,
    given_on,
    hashes,
    is_in,
    is_unchanged,
    mark_of,
    noted_options,
    rows_of_others,
    says,
)
from lotdb.files.rates import Asked, Place, agree, check_asked
from lotdb.interfaces.ingester import Ingested
from lotdb.interfaces.options import MAX_BYTES, check_flag
from lotdb.interfaces.row_blocks import Blocks
from lotdb.interfaces.sources import SourceFile
from lotdb.keys import check_name
from lotdb.records.entries import own_of, type_of
from lotdb.records.own import get_value, position, without_value
from lotdb.tree import graft
from lotdb.tree.node import Node, class_of
from lotdb.tree.walk import has_children

__all__ = ["attach_file"]

# The notes that are also attributes of the node.
ON_NODE = (PATH, "_source_filename", "_source_format", "_source_samplerate_hz")


def attach_file(
    node: Node,
    filepath: str | os.PathLike[str],
    request: Request,
    *,
    samplerate_hz: Asked = None,
    use_defaults: bool = False,
    format: str | None = None,
    skip_unchanged: bool = False,
    keeps_rows: bool = False,
    max_bytes: int = MAX_BYTES,
) -> Payload:
    """Let an ingester read a file, and store the result. If that fails, the tree does not change.

    The options of *request* go to the ingester. *samplerate_hz* replaces the rate of *request*. With
    *use_defaults*, the defaults of the nodes apply where the caller gives no value. With *keeps_rows*, a
    payload to which others have appended rows is not replaced.
    """
    name = check_name(request.name, "payload")
    asked = check_asked(samplerate_hz)
    skip_unchanged = check_flag("skip_unchanged", skip_unchanged)
    payloads.check_if_exists(request.if_exists)
    tree = node._tree
    tree.check_writable()
    payloads.check_metadata(node, request.metadata, name)
    payloads.find(node, name)
    options = noted_options(request.options, tree.plugins, format=format, samplerate_hz=asked)
    request = request._replace(name=name)
    with tree.whole(), tree.stage.all_or_nothing():
        with open_source(filepath, format=format, options=request.options, max_bytes=max_bytes) as source:
            appended = request.if_exists == "append"
            skip = skip_unchanged and (appended or is_in(node, name, request.backend))
            if skip and is_unchanged(node, name, source, options, appended=appended):
                return first_of(node, name)
            taking = _Taking(node, filepath, source, request, asked, options, use_defaults, keeps_rows)
            taking.read(ask(source, tree.plugins, is_named=bool(format)))
        taking.put()
        return taking.announce()  # within the block, because a listener may raise, which undoes all


@dataclass
class _Target:
    """A node that gets something from the file."""

    part: Part
    several: dict[str, Ingested]
    node: Node
    made: bool
    #: The attributes that the node gets, in their stored form.
    stored: dict[str, Any] = field(default_factory=dict)
    mark: dict[str, Any] | None = None
    gone: set[str] = field(default_factory=set)
    written: list[Written] = field(default_factory=list)
    said: list[Request] = field(default_factory=list)


class _Taking:
    """The ingestion of one file: `read` writes all rows, then `put` records them on the nodes."""

    def __init__(
        self,
        node: Node,
        filepath: str | os.PathLike[str],
        source: SourceFile,
        request: Request,
        asked: Asked,
        options: Mapping[str, Any],
        use_defaults: bool,
        keeps_rows: bool,
    ) -> None:
        self._node, self._filepath, self._source = node, filepath, source
        self._request, self._asked, self._use_defaults = request, asked, use_defaults
        self._name = request.name
        self._replaces = request.if_exists == "replace"
        self._keeps_rows = keeps_rows and self._replaces
        self._notes: dict[str, Any] = {PATH: os.fspath(filepath), **about_source(source)}
        if options:
            self._notes[OPTIONS] = dict(options)
        self._targets: list[_Target] = []

    # -- reading -----------------------------------------------------------------------------------

    def read(self, answer: Answered) -> None:
        """Write the rows of all payloads of *answer*. The nodes do not change yet."""
        several = {part.path: _by_payload(self._name, part.payloads, self._filepath) for part in answer.parts}
        # Nodes also get marks if the file sets attributes. A mark tells these attributes from the user's.
        gives: list[Mapping[str, Any]] = [part.attributes for part in answer.parts]
        gives += [ingested.attributes for own in several.values() for ingested in own.values()]
        self._is_marked = len(answer.parts) > 1 or any(gives)
        self._with_children = {part.path[:-1] for part in answer.parts if part.path}
        self._earlier = Earlier(self._node, self._name, self._notes[PATH], several)
        for part in answer.parts:
            self._targets.append(self._target(part, several[part.path]))
        rates = self._rates()
        later = self._shifts()
        for target in self._targets:
            if self._replaces:
                target.gone = self._earlier.gone(target.part.path, target.node)
            self._check_rows(target.node, (*target.several, *target.gone))
            self._prepare(target)
            notes = dict(self._notes)
            if target.several and list(target.several) != [self._name]:
                notes[PAYLOADS], notes[ABOUT] = list(target.several), self._name
            for name, ingested in target.several.items():
                rate = rates[target.part.path, name]
                ingested = _later(ingested, later.get(target.part.path))
                self._write(target, name, ingested, {**notes, **_about_format(ingested)}, rate, answer)
        answer.check_options()
        self._note_what_came_late()

    def _check_rows(self, node: Node, names: Iterable[str]) -> None:
        """Raise if one of these payloads has rows that no file gave it, and that nobody asked to replace."""
        for name in names if self._keeps_rows else ():
            if more := rows_of_others(node, name):
                raise PayloadExistsError(
                    f"{_what(self._filepath, self._source.format)}: it would replace payload {name!r} of "
                    f"{node._place()}, to which rows were appended that are in no file ({more}); pass "
                    "if_exists='replace' to delete them, or another data_attribute= to keep both"
                )

    def _target(self, part: Part, several: dict[str, Ingested]) -> _Target:
        """The node for *part*; it is created if it does not exist."""
        node, made, wanted = self._node, False, part.node_type
        if part.path:
            made = part.path not in node
            node = node.get_node_path(list(part.path))
        if wanted is None and several and part.path and not type_of(node._entry()):
            wanted = "data"
        old = mark_of(node, self._name, part.path) or {}
        if wanted and old.get("made") and old.get("type") == type_of(node._entry()) != wanted:
            node._put_type(wanted)  # the file chose the old type, so it may change it
        if wanted:
            node = self._as_kind_of(node, wanted)
        return _Target(part, several, node, made)

    def _as_kind_of(self, node: Node, node_type: str) -> Node:
        """*node* as a node of *node_type*; ``IngestError`` if its type is unrelated to *node_type*."""
        there = type_of(node._entry())
        if there and there != node_type:
            wanted, own = class_of(node._tree.plugins, node_type), class_of(node._tree.plugins, there)
            if not issubclass(wanted, own) and not issubclass(own, wanted):
                raise IngestError(
                    f"{_what(self._filepath, self._source.format)}: it wants {node._place()} to be of type "
                    f"{node_type!r}, and that is of type {there!r}; take the file in at another node"
                )
        return node._as_type(node_type)

    def _rates(self) -> dict[Place, float | None]:
        found, defaults = {}, {}
        for target in self._targets:
            for name, ingested in target.several.items():
                place = (target.part.path, name)
                found[place] = ingested
                # Appended rows take the rate of the existing payload.
                if self._use_defaults and not self._is_appended(target.node, name):
                    defaults[place] = _default(target.node, SAMPLERATE)
        return agree(found, self._asked, defaults, data_attribute=self._name, filepath=self._filepath)

    def _is_appended(self, node: Node, name: str) -> bool:
        return self._request.if_exists == "append" and payloads.has(node, name)

    def _shifts(self) -> dict[tuple[str, ...], float]:
        """Seconds to add to the appended events of each node: the duration of its sampled payload."""
        if self._request.if_exists != "append":
            return {}
        durations: dict[tuple[str, ...], float | None] = {}
        for target in self._targets:
            for name, ingested in target.several.items():
                if ingested.samplerate_hz is not None and payloads.has(target.node, name):
                    durations.setdefault(target.part.path, payloads.get(target.node, name).duration_s)
        first = next(iter(durations.values()), None)
        shifts = {target.part.path: durations.get(target.part.path, first) for target in self._targets}
        return {path: seconds for path, seconds in shifts.items() if seconds}

    def _prepare(self, target: _Target) -> None:
        """Check and encode the attributes that the node gets, and make its mark."""
        node, path = target.node, target.part.path
        named = dict(target.part.attributes)
        for ingested in target.several.values():
            named.update(ingested.attributes)
        on_node: dict[str, Any] = {}
        if target.several:
            first, ingested = next(iter(target.several.items()))
            known = attributes.read(node, ABOUT, None)
            if known is None or known in target.several or known in target.gone or not hashes(node, known):
                all_notes = {**self._notes, **_about_format(ingested)}
                on_node = {name: all_notes[name] for name in ON_NODE if name in all_notes} | {ABOUT: first}
        for name in target.several:
            if name in named or name in (*ON_NODE, ABOUT, GIVEN):
                raise InvalidKeyError(
                    f"{name!r} cannot be the payload: it is an attribute that the file sets"
                )
        with _in_the_file(self._filepath, self._source.format):
            stored = attributes.encode(node, named)
            target.stored = self._unless_the_users(target, stored) | attributes.encode(node, on_node)
        if target.made and self._name != "data" and DATA_ATTRIBUTE in node._hidden:
            target.stored[DATA_ATTRIBUTE] = self._name  # as on the node to which the file is attached
        if self._is_marked:
            old = mark_of(node, self._name, path) or {}
            kept = {} if self._replaces else dict(old.get("attributes", {}))
            target.mark = {
                PATH: self._notes[PATH],
                SHA256: self._notes[SHA256],
                "made": target.made or bool(old.get("made")),
                "type": type_of(node._entry()),
                # Digests of the values in the file. A value with another digest was set by the user.
                "attributes": kept | {name: digest(value) for name, value in stored.items()},
            }
            # There may be nodes below that came from another file, which is not replaced.
            stays = not self._replaces or not self._earlier.is_replaced(old)
            if path in self._with_children or (old.get("children") and stays):
                target.mark["children"] = True

    def _unless_the_users(self, target: _Target, stored: dict[str, Any]) -> dict[str, Any]:
        """*stored* without the attributes that the user has set since the file was last ingested."""
        mark = mark_of(target.node, self._name, target.part.path)
        if mark is None and not any(hashes(target.node, name) for name in target.several):
            return stored
        own, given = own_of(target.node._entry()), given_on(target.node)
        return {
            name: value
            for name, value in stored.items()
            if position(own[0], name) < 0 or (name, digest(get_value(own, name))) in given
        }

    def _write(
        self,
        target: _Target,
        name: str,
        ingested: Ingested,
        notes: dict[str, Any],
        rate: float | None,
        answer: Answered,
    ) -> None:
        node, backend = target.node, self._request.backend
        appends = self._is_appended(node, name)
        if backend is None and not appends:
            backend = ingested.backend
            if backend is None and self._use_defaults:
                backend = _default(node, BACKEND) or _default(self._node, BACKEND)
        request = self._request._replace(
            name=name,
            backend=backend,
            samplerate_hz=rate,
            content_type=ingested.content_type,
            options={},
        )
        rows = None if appends else _known_rows(ingested.data)
        if rows is not None:
            notes[ROWS] = rows  # as nearly always, so that nothing is noted late
        request = _with_notes(node, ingested, notes, request)
        before = payloads.get(node, name).nbytes if appends else 0
        with _in_the_file(self._filepath, ingested.format):
            written = payloads.write_rows(node, ingested.data, request)
        if not isinstance(ingested.data, Blocks) and not measured(ingested.data):
            record = written.record
            answer.count(record.rows * record.layout.row_bytes - before)
        target.written.append(written)
        target.said.append(request)

    def _note_what_came_late(self) -> None:
        """Note how many rows there are, and the files that the ingester opened only while its blocks were
        read.
        """
        beside = about_beside(self._source)
        self._notes |= beside
        for target in self._targets:
            for number, (written, request) in enumerate(zip(target.written, target.said, strict=True)):
                metadata = dict(request.metadata or {})
                latest = metadata[APPENDED][-1] if APPENDED in metadata else metadata
                late = {}
                if beside and latest.get(BESIDE) != beside[BESIDE]:
                    late.update(beside)
                if written.record.shape:
                    others = rows_of_others(target.node, written.name) if APPENDED in metadata else 0
                    late[ROWS] = written.record.rows - others
                if not late.items() <= latest.items():
                    latest.update(late)
                    target.written[number] = payloads.with_metadata(target.node, written, metadata)

    # -- recording ---------------------------------------------------------------------------------

    def put(self) -> None:
        """Record payloads and attributes on all nodes, and delete what the file no longer contains."""
        if self._replaces:
            self._take_away()
        root = self._targets[0].mark
        if root is not None:
            # When the file is ingested again, these counts show whether all of it is still stored.
            root.update(self._notes)
            root["nodes"] = len(self._targets)
            root["payloads"] = sum(len(target.written) for target in self._targets)
        for target in self._targets:
            node, path, gone = target.node, target.part.path, set(target.gone)
            old, given = mark_of(node, self._name, path), (target.mark or {}).get("attributes", {})
            if self._replaces and old is not None and self._earlier.is_replaced(old):
                gone |= set(earlier(node, given, old)) - self._others_give(node, path)
            if not target.several and attributes.read(node, ABOUT, None) in gone:
                gone |= {*ON_NODE, ABOUT} & set(own_of(node._entry())[0])
            marks = _marks(node, self._name, path, target.mark)
            if marks is not None:
                with _in_the_file(self._filepath, self._source.format):
                    target.stored |= attributes.encode(node, {GIVEN: marks})
            elif old is not None:
                gone.add(GIVEN)
            payloads.put(node, target.written, target.stored, gone)

    def _take_away(self) -> None:
        """Clear the nodes that the file no longer contains, from the bottom up.

        A node loses what this file gave it, and is deleted if the file made it and nothing else is left.
        """
        here = {target.part.path for target in self._targets}
        for path, node, mark in reversed(self._earlier.nodes()):
            if path in here or not self._earlier.is_replaced(mark):
                continue
            gone = self._earlier.gone(path, node)
            self._check_rows(node, sorted(gone))
            gone |= set(earlier(node, {}, mark)) - self._others_give(node, path)
            own = own_of(node._entry())
            if attributes.read(node, ABOUT, None) in gone:
                gone |= {*ON_NODE, ABOUT} & set(own[0])
            marks = _marks(node, self._name, path, None)
            if marks is None:
                gone.add(GIVEN)
            elif mark.get("made"):
                _hand_over(marks)
            for name in gone:
                own = without_value(own, name)
            # The node was made with this one default. Another default is the user's, and keeps the node.
            if mark.get("made") and set(own[0]) <= {DATA_ATTRIBUTE} and not has_children(node._entry()):
                parent = node._parent
                assert isinstance(parent, Node)
                graft.delete_node(parent, node._key, only_node=False)
            else:
                stored = {} if marks is None else attributes.encode(node, {GIVEN: marks})
                payloads.put(node, [], stored, gone)

    def _others_give(self, node: Node, path: tuple[str, ...]) -> set[str]:
        """The attributes of *node* that another file gave it as well, with the same values."""
        own, given = own_of(node._entry()), given_on(node, but=(self._name, path))
        return {
            name for name, of in given if position(own[0], name) >= 0 and digest(get_value(own, name)) == of
        }

    def announce(self) -> Payload:
        """Tell the listeners, and return the first payload of the file."""
        told = [payloads.announce(target.node, target.written) for target in self._targets]
        return next(payload for several in told for payload in several)


def _marks(node: Node, name: str, path: tuple[str, ...], mark: Mapping[str, Any] | None) -> Any:
    """All marks of *node*, with *mark* for this file and path, or without one; None if none are left."""
    given = attributes.read(node, GIVEN, None)
    given = dict(given) if isinstance(given, dict) else {}
    marks = dict(given.pop(name, {}))
    marks.pop("/".join(path), None)
    if mark is not None:
        marks["/".join(path)] = dict(mark)
    if marks:
        given[name] = marks
    return given or None


def _hand_over(marks: dict[str, dict[str, dict[str, Any]]]) -> None:
    """Note another file as the maker of the node, so that the node is deleted with the last of its files."""
    of_trees = [mark for those in marks.values() for path, mark in those.items() if path]
    for mark in of_trees[:1]:
        mark["made"] = True


def _default(node: Node, name: str) -> Any:
    """The default of *node* that is stored under *name*, or None."""
    value = attributes.read(node, name, None) if name in node._hidden else None
    if value is None or (isinstance(value, str) and not value):
        return None
    return check_kept(node._place, name, value)


def _by_payload(data_attribute: str, several: Mapping[str, Ingested], filepath: Any) -> dict[str, Ingested]:
    """What was read, under the names of the payloads to write."""
    named: dict[str, Ingested] = {}
    for name, ingested in several.items():
        try:
            payload = check_name(f"{data_attribute}.{name}" if name else data_attribute, "payload")
        except InvalidKeyError as error:
            raise IngestError(f"{_what(filepath, ingested.format)}: {error}") from error
        if payload in named:
            raise IngestError(
                f"{_what(filepath, ingested.format)}: two of its parts would be payload {payload!r}"
            )
        named[payload] = ingested
    return named


@contextlib.contextmanager
def _in_the_file(filepath: Any, format: str) -> Iterator[None]:
    """Name the file in the error if something in it cannot be stored."""
    try:
        yield
    except (InvalidDataError, UnsupportedValueError, ValueTooLargeError) as error:
        raise IngestError(f"{_what(filepath, format)}: {error}") from error
    except DataMismatchError as error:
        raise DataMismatchError(f"{_what(filepath, format)}: {error}") from error


def _what(filepath: Any, format: str) -> str:
    return f"cannot ingest {os.fspath(filepath)!r} as {format}"


def _known_rows(data: Any) -> int | None:
    """How many rows *data* will have as a payload, if that is known before they are written."""
    if isinstance(data, Blocks):
        return None if data.rows is None else int(data.rows)
    return len(data) if type(data) is np.ndarray and data.ndim else None


def _with_notes(node: Node, ingested: Ingested, notes: dict[str, Any], request: Request) -> Request:
    """*request* with the metadata to store: those of the file, those of the caller, and the notes."""
    said = request.metadata or {}
    if request.if_exists != "append" or not payloads.has(node, request.name):
        return request._replace(metadata={**ingested.metadata, **said, **notes})
    # The metadata of the first file stay. Those of the new file that differ go into its notes.
    there = payloads.get(node, request.name).metadata
    others = {key: value for key, value in ingested.metadata.items() if not says(there, key, value)}
    appended = [*there.get(APPENDED, []), {**others, **notes}]
    return request._replace(metadata={**said, APPENDED: appended}, content_type=None)


def _about_format(ingested: Ingested) -> dict[str, Any]:
    notes: dict[str, Any] = {"_source_format": ingested.format}
    if ingested.samplerate_hz is not None:
        notes["_source_samplerate_hz"] = ingested.samplerate_hz
    return notes


def _later(ingested: Ingested, seconds: float | None) -> Ingested:
    """*ingested* with *seconds* added to ``onset_s``, if it is a table of events."""
    names = getattr(getattr(ingested.data, "dtype", None), "names", None) or ()
    if not seconds or "onset_s" not in names or ingested.samplerate_hz is not None:
        return ingested
    table = ingested.data
    if table.dtype["onset_s"].kind != "f":
        raise IngestError(f"onset_s is {table.dtype['onset_s']}, and takes no seconds; it has to be float64")
    if isinstance(table, Blocks):
        return replace(ingested, data=replace(table, blocks=_shifted(table.blocks, seconds)))
    return replace(ingested, data=next(_shifted([table], seconds)))


def _shifted(blocks: Any, seconds: float) -> Iterator[Any]:
    for block in blocks:
        block = block.copy()
        block["onset_s"] += seconds
        yield block
