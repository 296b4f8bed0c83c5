"""Reading several things at once: neighbours as one, and the others beside each other.

A store at the other end of a network answers after some time, however little it is asked for. So rows of one
array that lie close to each other are asked for together, and several requests are under way at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from persistent import Persistent

from lotdb.errors import DamagedError, system_error
from lotdb.interfaces.at_once import at_once
from lotdb.interfaces.backend import Backend
from lotdb.segments.layout import Array
from lotdb.segments.small_arrays import copy_rows

__all__ = ["Request", "run_all"]

# What lies between two wanted runs of rows is read with them, up to so many bytes.
GAP_BYTES = 64 << 10
# Runs are put together up to so many bytes.
JOINED_BYTES = 4 << 20


class Request:
    """Rows of one array that are wanted: those from *first* on, to be put into *out*."""

    def __init__(self, backend: Backend, locator: Any, first: int, out: Array) -> None:
        self.backend = backend
        self.locator = locator
        self.first = first
        self.out = out
        #: Why it failed, once it has been run.
        self.error: Exception | None = None


def run_all(requests: Sequence[Request]) -> None:
    """Fill all of *requests*; each that fails has its ``error``."""
    if len(requests) == 1 or not any(request.backend.concurrent_reads > 1 for request in requests):
        for request in requests:
            _read([request])
        return
    jobs: dict[int, tuple[Backend, list[list[Request]]]] = {}
    for joined in _joined(requests):
        backend = joined[0].backend
        jobs.setdefault(id(backend), (backend, []))[1].append(joined)
    for backend, several in jobs.values():
        # What belongs to a connection of ZODB is for its own thread.
        shared = [each for each in several if not isinstance(each[0].locator, Persistent)]
        for each in several:
            if isinstance(each[0].locator, Persistent):
                _read(each)
        at_once(_read, shared, backend.concurrent_reads)
        for each in shared:
            for request in each:
                if request.error is not None and not _is_final(request.error):
                    # What failed may be of use in the user's thread only, as a connection of sqlite3 is. That
                    # says nothing about the data.
                    request.error = None
                    _read([request])


def _joined(requests: Iterable[Request]) -> Iterator[list[Request]]:
    """*requests* in groups that are read as one."""
    arrays: dict[tuple[int, Any], list[Request]] = {}
    for request in requests:
        locator = request.locator
        name = locator if isinstance(locator, str) else id(locator)
        arrays.setdefault((id(request.backend), name), []).append(request)
    for same in arrays.values():
        same.sort(key=lambda request: request.first)
        group: list[Request] = []
        first = last = 0
        for request in same:
            end = request.first + len(request.out)
            row_bytes = request.out.nbytes // len(request.out)
            is_near = (request.first - last) * row_bytes <= GAP_BYTES
            is_small = (max(end, last) - first) * row_bytes <= JOINED_BYTES
            if group and not (is_near and is_small and _is_alike(group[0].out, request.out)):
                yield group
                group = []
            if not group:
                first = last = request.first
            group.append(request)
            last = max(last, end)
        yield group


def _is_alike(one: Array, other: Array) -> bool:
    return bool(one.dtype == other.dtype) and one.shape[1:] == other.shape[1:]


def _read(group: list[Request]) -> None:
    one = group[0]
    if len(group) == 1:
        try:
            one.backend.read_into(one.locator, one.first, one.out)
        except Exception as error:
            one.error = error
        return
    last = max(each.first + len(each.out) for each in group)
    try:
        rows = np.empty((last - one.first, *one.out.shape[1:]), one.out.dtype)
        one.backend.read_into(one.locator, one.first, rows)
    except Exception as error:
        # Of one of them, perhaps: each is asked for by itself, for an error of its own. But who waited in
        # vain for the store does not wait once more for each.
        is_out_of_reach = system_error(error, of_a_store=True) is not None
        for each in group:
            if is_out_of_reach:
                each.error = error
            else:
                _read([each])
        return
    for each in group:
        at = each.first - one.first
        copy_rows(rows[at : at + len(each.out)], each.out)


def _is_final(error: Exception) -> bool:
    """Whether *error* would be the same in another thread."""
    return isinstance(error, DamagedError | MemoryError) or system_error(error, of_a_store=True) is not None
