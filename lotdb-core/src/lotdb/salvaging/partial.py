"""The rows of a damaged payload that can be read, as payloads of their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lotdb.errors import DamagedError
from lotdb.segments.layout import Array, Layout, Segment
from lotdb.segments.payload_record import PayloadRecord
from lotdb.segments.stage import Stage
from lotdb.tree.tree import Tree

__all__ = ["readable_rows", "rows_of"]

# Rows are tried in pieces of about so many bytes, and copied in such.
_TRIED_BYTES, _COPIED_BYTES = 256 << 10, 4 << 20


def readable_rows(record: PayloadRecord, stage: Stage) -> list[tuple[int, int]]:
    """The runs of rows that are as they were stored, each with its first row and that after its last.

    A segment is tried as a whole; of one that is damaged, its blocks, if they have checksums of their own.
    """
    runs: list[tuple[int, int]] = []
    layout, first = record.layout, 0
    if not layout.row_bytes:
        return []
    for segment in record.segments:
        for start, stop in _runs_of(layout, segment, stage):
            start, stop = first + start, first + stop
            if runs and runs[-1][1] == start:
                runs[-1] = runs[-1][0], stop
            else:
                runs.append((start, stop))
        first += segment.rows
    return runs


def _runs_of(layout: Layout, segment: Segment, stage: Stage) -> Iterator[tuple[int, int]]:
    try:
        for _ in stage.read_whole(layout, segment, _COPIED_BYTES):
            pass
    except DamagedError:
        pass
    else:
        yield 0, segment.rows
        return
    try:
        if not segment.step and not stage.backend_of(layout.backend).checks_windows:
            return  # its rows have no checksum but that of all
    except DamagedError:
        return
    step = segment.step or max(_TRIED_BYTES // layout.row_bytes, 1)
    for start in range(0, segment.rows, step):
        stop = min(start + step, segment.rows)
        try:
            stage.read_into(
                layout, (segment,), start, stage.room_for(layout, (segment,), start, stop - start)
            )
        except DamagedError:
            continue
        yield start, stop


def rows_of(record: PayloadRecord, stage: Stage, target: Tree, start: int, stop: int) -> PayloadRecord:
    """The record of a payload in *target* with the rows *start* to *stop* of *record*, which can be read."""
    old = record.layout
    layout = target.layout(old.backend, old.dtype, old.row_shape, target.decode_options(old))
    step = max(_COPIED_BYTES // old.row_bytes, 1)

    def blocks() -> Iterator[Array]:
        for first in range(start, stop, step):
            rows = min(step, stop - first)
            block = stage.room_for(old, record.segments, first, rows)
            stage.read_into(old, record.segments, first, block)
            yield block

    layout = target.noted(layout, record.samplerate_hz, record.metadata)
    segments = target.stage.write_blocks(layout, blocks(), stop - start)
    return replace(record, shape=(stop - start, *old.row_shape), layout=layout, segments=segments)
