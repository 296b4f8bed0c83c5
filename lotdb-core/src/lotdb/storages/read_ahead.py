"""Records that are read before they are asked for, because others beside them were.

A record names the ones below it, in the order in which a walk asks for them. Where each question takes its
time, as to a server, the next ones are read along with one that is asked for. Somebody who looks here and
there gets one at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

__all__ = ["Loaded", "ReadAhead"]

#: A record, and the id of its transaction.
Loaded = tuple[bytes, bytes]

# So many records are read at once in a walk that goes on, after one, then a few.
_MOST, _FASTER = 64, 4

# What is kept of records that are not asked for, and of names of records.
_KEPT_BYTES, _KEPT_NAMES = 8 << 20, 20_000


class _Row:
    """Ids of records that are in one record, and the place of the last one that was asked for."""

    __slots__ = ("last", "oids")

    def __init__(self, oids: list[bytes]) -> None:
        self.oids = oids
        self.last = -1


class ReadAhead:
    """What one connection reads ahead.

    Parameters
    ----------
    read
        Reads several records at once: id, record and id of its transaction of each that is there.
    """

    def __init__(self, read: Callable[[list[bytes]], Iterable[tuple[bytes, bytes, bytes]]]) -> None:
        self._read = read
        self._places: dict[bytes, tuple[_Row, int]] = {}
        self._found: dict[bytes, Loaded] = {}
        self._found_bytes = 0
        self._pace = 1

    def expect(self, oids: list[bytes]) -> None:
        """Note that these records may be asked for, in this order."""
        if len(self._places) > _KEPT_NAMES:
            self._places.clear()
        row = _Row(oids)
        for place, oid in enumerate(oids):
            self._places[oid] = row, place

    def take(self, oid: bytes) -> Loaded | None:
        """The record *oid*, if it has been read, or is read now; None if it has to be read alone."""
        noted = self._places.pop(oid, None)
        if noted is None:
            return None
        row, place = noted
        if place:  # at the first one, a walk goes on in the next row
            self._pace = min(self._pace * _FASTER, _MOST) if place == row.last + 1 else 1
        row.last = place
        if oid not in self._found and self._pace > 1:
            self._read_on(row, place)
        found = self._found.pop(oid, None)
        if found is not None:
            self._found_bytes -= len(found[0])
        return found

    def _read_on(self, row: _Row, place: int) -> None:
        following = row.oids[place + 1 : place + self._pace]
        some = [each for each in following if each in self._places and each not in self._found]
        if not some:
            return
        if self._found_bytes > _KEPT_BYTES:
            self.forget()
        for oid, record, tid in self._read([row.oids[place], *some]):
            self._found[oid] = record, tid
            self._found_bytes += len(record)

    def forget(self) -> None:
        """Drop what was read: it is of a moment that is over."""
        self._found.clear()
        self._found_bytes = 0
