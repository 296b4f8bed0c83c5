"""What records name of payloads: blobs, locators, and if wanted the arrays themselves."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Any

from lotdb.errors import DamagedError
from lotdb.interfaces.backend import is_locator, iter_locators
from lotdb.segments.layout import Layout
from lotdb.segments.payload_form import is_payload_anywhere
from lotdb.segments.payload_record import PayloadRecord
from lotdb.storage.classes import find_class
from lotdb.storage.committed import Record
from lotdb.storage.compat import unpickler

__all__ = ["Named"]


class Named:
    """What is named by the records that are added."""

    def __init__(self) -> None:
        self._blobs = bytearray()
        self._locators: dict[str, None] = {}
        #: By backend and locator, the layout of the array and how many rows of it are named.
        self.arrays: dict[tuple[str, str], tuple[Layout, int]] = {}

    def add(self, record: Record) -> None:
        """Note what *record* names."""
        if record.is_blob:
            self._blobs += record.oid + record.tid + (b"+" if record.data else b"?")
        if b"seg-" not in record.data:
            return
        self._locators.update(dict.fromkeys(iter_locators(record.data)))
        for payload in _payloads(record.data):
            self._note(payload)

    def blobs(self) -> Iterator[tuple[bytes, bytes, bool]]:
        """Object id and transaction id of each blob, and whether it must have a file.

        A record without data, by which a creation was undone, may have one.
        """
        for at in range(0, len(self._blobs), 17):
            one = bytes(self._blobs[at : at + 17])
            yield one[:8], one[8:16], one[16:] == b"+"

    def locators(self, backend: str) -> Iterator[str]:
        """Locators of *backend*, and those that nobody knows the backend of: their records make no sense."""
        known = set()
        for name, locator in self.arrays:
            known.add(locator)
            if name == backend:
                yield locator
        yield from (each for each in self._locators if each not in known)

    def _note(self, payload: PayloadRecord) -> None:
        for segment in payload.segments:
            if isinstance(segment.locator, str):
                key = payload.layout.backend, segment.locator
                rows = self.arrays[key][1] if key in self.arrays else 0
                self.arrays[key] = payload.layout, max(rows, segment.first + segment.rows)


def _payloads(data: bytes) -> Iterator[PayloadRecord]:
    """The records of payloads with locators in the record *data* of ZODB."""
    reading = unpickler(BytesIO(data), find_class, _stand_in)
    try:
        reading.load()
        waiting = [reading.load()]
    except Exception:  # what cannot be decoded is copied as it is
        return
    while waiting:
        state = waiting.pop()
        if not isinstance(state, tuple):
            continue
        if is_payload_anywhere(state):
            if any(is_locator(part[0]) for part in state[-1]):
                try:
                    yield PayloadRecord.decode(state)
                except DamagedError:
                    continue  # an attribute that looks like one
        else:
            waiting += state


def _stand_in(reference: Any) -> Any:
    """An object that stands for the one that is referred to; nothing is ever loaded into it."""
    if type(reference) is not tuple or not isinstance(reference[1], type):
        return None
    kind: Any = reference[1]
    return kind.__new__(kind)
