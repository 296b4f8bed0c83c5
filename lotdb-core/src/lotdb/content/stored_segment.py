"""Where some rows of a payload are stored, as users are told."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["StoredSegment"]


@dataclass(frozen=True)
class StoredSegment:
    """Where some rows of a payload are stored.

    They are the rows *first_row* to *first_row + rows* of the payload, and the rows *array_row* to
    *array_row + rows* of a stored array, which other payloads may share. ``files`` are the paths and sizes in
    bytes of the files that hold that array; empty before it is written, and if it lies in a record of the
    tree. ``record_bytes`` is what these rows take in such a record, 0 if they are in files.
    """

    first_row: int
    rows: int
    files: tuple[tuple[str, int], ...]
    array_row: int
    record_bytes: int = 0

    @property
    def bytes_on_disk(self) -> int:
        """Size of all these files, or of the rows in a record."""
        return sum(size for _, size in self.files) + self.record_bytes
