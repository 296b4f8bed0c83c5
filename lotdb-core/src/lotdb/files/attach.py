"""Taking a file in: its contents become a payload, and notes with it say where it came from.

Each payload keeps the notes of its own files. The attributes of the same names on the node tell of the first
payload that came from a file, so that a second one does not overwrite them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from lotdb.content import attributes, payloads
from lotdb.content.payload import Payload
from lotdb.content.payloads import Request, Written
from lotdb.errors import (
    DataMismatchError,
    IngestError,
    InvalidDataError,
    InvalidKeyError,
    UnsupportedValueError,
    ValueTooLargeError,
)
from lotdb.files.asking import TIME, about_source, ask, notes_of, open_source
from lotdb.interfaces.ingester import MAX_BYTES, Ingested, SourceFile
from lotdb.keys import check_name
from lotdb.ranges import check_rate
from lotdb.records.entries import own_of
from lotdb.tree.node import Node
from lotdb.values import values

__all__ = ["attach_file", "files_of", "from_file", "is_known", "notes_on", "says"]

SHA256 = "_source_sha256"
PATH = "_source_filepath"
# The payloads that a file became, if not just the one that was asked for.
PAYLOADS = "_source_payloads"
# Notes of the files that were appended to a payload.
APPENDED = "_source_appended"
# On a node: which payload its notes are about. On one of several payloads: what the file was taken in as.
ABOUT = "_source_data_attribute"
# The notes that a node has as well.
ON_NODE = (PATH, "_source_filename", "_source_format", "_source_samplerate_hz")


def attach_file(
    node: Node,
    filepath: str | os.PathLike[str],
    request: Request,
    *,
    default_rate: float | None = None,
    format: str | None = None,
    skip_unchanged: bool = False,
    max_bytes: int = MAX_BYTES,
) -> Payload:
    """Have a file read by its ingester, and store what it gives; the node is as it was if that fails.

    The options of *request* are those of the ingester.
    """
    data_attribute = check_name(request.name, "payload")
    rate, if_exists = check_rate(request.samplerate_hz), request.if_exists
    tree = node._tree
    tree.check_writable()
    payloads.check_metadata(node, request.metadata)
    payloads.find(node, data_attribute)
    mark = tree.stage.mark()
    with (
        tree.stage.all_or_nothing(),
        open_source(filepath, format=format, options=request.options, max_bytes=max_bytes) as source,
    ):
        if skip_unchanged and _came_from(node, data_attribute, source):
            return payloads.get(node, data_attribute)
        several = _by_payload(data_attribute, ask(source, tree.plugins), filepath)
        if skip_unchanged and all(_came_from(node, name, source) for name in several):
            return payloads.get(node, next(iter(several)))
        notes = {PATH: os.fspath(filepath), **about_source(source)}
        if list(several) != [data_attribute]:
            notes[PAYLOADS], notes[ABOUT] = list(several), data_attribute
        gone = _outdated(node, data_attribute, several, notes[PATH]) if if_exists == "replace" else set()
        on_node = _for_node(node, several, notes, gone)
        # Beside what is sampled, what is not, such as a table of events, has no rate either.
        is_sampled = any(ingested.samplerate_hz is not None for ingested in several.values())
        if if_exists == "append" and is_sampled:
            several = _later(node, several)
        written = [
            _write(
                node,
                ingested,
                {**notes, **_about_format(ingested)},
                replace(
                    request,
                    name=name,
                    samplerate_hz=None
                    if is_sampled and ingested.samplerate_hz is None
                    else rate or _agreed_rate(filepath, ingested, default_rate),
                    content_type=ingested.content_type,
                    options={},
                ),
            )
            for name, ingested in several.items()
        ]
    with tree.stage.all_or_nothing(mark):  # the node's type, or a listener, may refuse it
        return payloads.record(node, written, on_node, gone)[0]


def _by_payload(data_attribute: str, several: Mapping[str, Ingested], filepath: Any) -> dict[str, Ingested]:
    """What was read, by the names that the payloads get."""
    named: dict[str, Ingested] = {}
    for name, ingested in several.items():
        try:
            payload = check_name(f"{data_attribute}.{name}" if name else data_attribute, "payload")
        except InvalidKeyError as error:
            raise IngestError(f"{_what(filepath, ingested)}: {error}") from error
        if payload in named:
            raise IngestError(f"{_what(filepath, ingested)}: two of its parts would be payload {payload!r}")
        named[payload] = ingested
    return named


@contextlib.contextmanager
def _in_the_file(filepath: Any, ingested: Ingested) -> Iterator[None]:
    """Says which file it was that holds what cannot be stored."""
    try:
        yield
    except (InvalidDataError, UnsupportedValueError, ValueTooLargeError) as error:
        raise IngestError(f"{_what(filepath, ingested)}: {error}") from error
    except DataMismatchError as error:
        raise DataMismatchError(f"{_what(filepath, ingested)}: {error}") from error


def _what(filepath: Any, ingested: Ingested) -> str:
    return f"cannot ingest {os.fspath(filepath)!r} as {ingested.format}"


def _write(node: Node, ingested: Ingested, notes: dict[str, Any], request: Request) -> Written:
    name, said = request.name, request.metadata or {}
    request = replace(request, metadata={**ingested.metadata, **said, **notes})
    if request.if_exists == "append" and payloads.has(node, name):
        # What is known of the file that was there first stays; what this one says otherwise, with its notes.
        there = payloads.get(node, name).metadata
        others = {key: value for key, value in ingested.metadata.items() if not says(there, key, value)}
        appended = [*there.get(APPENDED, []), {**others, **notes}]
        request = replace(request, metadata={**said, APPENDED: appended}, content_type=None)
    with _in_the_file(notes[PATH], ingested):
        return payloads.write_rows(node, ingested.data, request)


def says(metadata: Mapping[str, Any], name: str, value: Any) -> bool:
    """Whether *metadata* have this very value."""
    # As stored, and as text: arrays do not compare, NaN is the same as NaN, and 1 is not the same as True.
    stored = [values.encode(each, name=name) for each in (metadata[name], value)] if name in metadata else []
    return len(stored) == 2 and repr(stored[0]) == repr(stored[1])


def _about_format(ingested: Ingested) -> dict[str, Any]:
    notes: dict[str, Any] = {"_source_format": ingested.format}
    if ingested.samplerate_hz is not None:
        notes["_source_samplerate_hz"] = ingested.samplerate_hz
    return notes


def from_file(node: Node, name: str) -> list[str]:
    """The payloads that there are of the file that became payload *name*, or several called so."""
    own = own_of(node._entry())
    names = [each for each in own[0] if each == name or each.startswith(f"{name}.")]
    return sorted(each for each in names if _hashes(node, each))


def files_of(node: Node, name: str) -> list[str]:
    """Paths of the files that payload *name* came from, as they were given."""
    return [about[PATH] for about in notes_on(node, name) if PATH in about]


def is_known(node: Node, name: str, path: str | os.PathLike[str]) -> bool:
    """Whether the file at *path* is as it was when payload *name* was made of it, without reading it.

    It is taken for the same if it has the same size and time, to the nanosecond, and is the same file of its
    disk. Of a file that had just been written when it was taken in, no time is noted.
    """
    try:
        notes = notes_of(os.stat(path))
    except OSError:
        return False
    if TIME not in notes:
        return False
    for part in [name] if payloads.has(node, name) else from_file(node, name):
        for about in notes_on(node, part):
            if notes.items() <= about.items():
                parts = about.get(PAYLOADS)
                others = [each for each in parts if each != part] if isinstance(parts, list) else []
                return all(_has_note(node, each, notes) for each in others)
    return False


def _has_note(node: Node, name: str, notes: Mapping[str, Any]) -> bool:
    return any(notes.items() <= about.items() for about in notes_on(node, name))


def _came_from(node: Node, name: str, source: SourceFile) -> bool:
    """Whether payload *name* came from a file with the same hash."""
    return source.sha256 in _hashes(node, name)


def _hashes(node: Node, name: str) -> set[Any]:
    """Hashes of the files that payload *name* came from; none if it came from no file."""
    return {each[SHA256] for each in notes_on(node, name) if SHA256 in each}


def notes_on(node: Node, name: str) -> list[dict[str, Any]]:
    """The notes of each file that payload *name* came from."""
    if not payloads.has(node, name):
        return []
    notes = payloads.get(node, name).metadata
    return [notes, *notes.get(APPENDED, ())]


def _outdated(node: Node, data_attribute: str, several: Mapping[str, Ingested], path: str) -> set[str]:
    """Payloads of the file that *several* replace, and that they do not have.

    What an earlier file had beside payload *data_attribute*, such as its events, would be taken for what the
    new one has. A file that gives no such payload, as an archive of arrays, may have been put beside another
    one on purpose: what is there goes if it is all of the same file. What came from elsewhere stays. A
    relative path may lead elsewhere by now; the file is the same only if another of its payloads is replaced.
    """
    own = own_of(node._entry())[0]
    below = f"{data_attribute}."
    others = [
        each for each in own if each not in several and (each == data_attribute or each.startswith(below))
    ]
    replaced = {
        sha256
        for name in several
        if path in [about.get(PATH) for about in notes_on(node, name)]
        for sha256 in _hashes(node, name)
    }
    gone = {each for each in others if _is_of(node, each, data_attribute, path)}
    if not os.path.isabs(path):
        gone = {each for each in gone if (hashes := _hashes(node, each)) and hashes <= replaced}
    for about in notes_on(node, data_attribute) if data_attribute in several else ():
        for part in set(others) & set(_parts(about)):
            if (hashes := _hashes(node, part)) and hashes <= _hashes(node, data_attribute):
                gone.add(part)
    return gone


def _is_of(node: Node, name: str, data_attribute: str, path: str) -> bool:
    """Whether all of payload *name* came of the file at *path*, when it was taken in as *data_attribute*."""
    notes = notes_on(node, name)
    return bool(notes) and all(
        isinstance(there := about.get(PATH), str)
        and os.path.isabs(there) == os.path.isabs(path)
        and os.path.normpath(there) == os.path.normpath(path)
        # One part of a file may have been taken in by itself, as a payload of another name.
        and (
            name == data_attribute
            # What was computed from a part may have been given its notes, but is none of the file's payloads.
            or (name in _parts(about) and about.get(ABOUT, data_attribute) == data_attribute)
        )
        for about in notes
    )


def _parts(about: Mapping[str, Any]) -> list[Any]:
    """The payloads that a file became, if not just the one that was asked for."""
    parts = about.get(PAYLOADS)
    return parts if isinstance(parts, list) else []


def _for_node(
    node: Node, several: Mapping[str, Ingested], notes: Mapping[str, Any], gone: Collection[str]
) -> dict[str, Any]:
    """The attributes that the node gets, in their stored form."""
    named: dict[str, Any] = {}
    for ingested in several.values():
        named.update(ingested.attributes)
    first, ingested = next(iter(several.items()))
    known = attributes.read(node, ABOUT, None)
    if known is None or known in several or known in gone or not _hashes(node, known):
        all_notes = {**notes, **_about_format(ingested)}
        named.update({name: all_notes[name] for name in ON_NODE if name in all_notes}, **{ABOUT: first})
    for name in several:
        if name in named or name in (*ON_NODE, ABOUT):
            raise InvalidKeyError(f"{name!r} cannot be the payload: it is an attribute that the file sets")
    return attributes.encode(node, named)


def _later(node: Node, several: Mapping[str, Ingested]) -> dict[str, Ingested]:
    """*several* to be appended: events begin as much later as what is sampled is long already."""
    sampled = next(name for name, ingested in several.items() if ingested.samplerate_hz is not None)
    duration_s = payloads.get(node, sampled).duration_s if payloads.has(node, sampled) else None
    later = dict(several)
    for name, ingested in several.items():
        names = getattr(getattr(ingested.data, "dtype", None), "names", None) or ()
        if duration_s and "onset_s" in names and ingested.samplerate_hz is None:
            table = ingested.data.copy()
            table["onset_s"] += duration_s
            later[name] = replace(ingested, data=table)
    return later


def _agreed_rate(filepath: Any, ingested: Ingested, default: float | None) -> float | None:
    announced = ingested.samplerate_hz
    if announced is not None and default is not None and announced != default:
        raise DataMismatchError(
            f"{os.fspath(filepath)!r} is sampled at {announced:g} Hz, the node's default is {default:g} Hz; "
            "pass samplerate_hz= to decide"
        )
    # Texts and bytes have no rows that could be so many a second.
    kind = getattr(ingested.data, "kind", None)
    if isinstance(ingested.data, str | bytes | bytearray | memoryview) or kind in ("text", "bytes"):
        default = None
    return default if announced is None else announced
