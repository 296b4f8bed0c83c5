"""The format of ``.npy`` files: their headers, and their rows, a few MB at a time.

Specification: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

from __future__ import annotations

import ast
import io
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from lotdb import ExportError, IngestError, Payload
from lotdb_ingest.signatures import DAMAGED

__all__ = [
    "BLOCK_BYTES",
    "MAGIC",
    "Header",
    "iter_rows",
    "read_header",
    "read_whole",
    "write",
    "write_elements",
]

Array = np.ndarray[Any, Any]

MAGIC = b"\x93NUMPY"
# Some 5000 fields; numpy refuses more than 10 000 bytes by default. The parser takes time that grows
# with the square of some texts.
MAX_HEADER = 1 << 17
# A literal text, or the L after a number. Each alternative can end at the end of the header, so that the time
# grows only with the length.
LONG = re.compile(rb"""('(?:[^'\\]|\\.?)*(?:'|\Z)|"(?:[^"\\]|\\.?)*(?:"|\Z))|(?<=[0-9])L""", re.DOTALL)
# Bytes that are read at a time.
BLOCK_BYTES = 4 << 20
# The same for rows that are scattered in the file: the larger, the fewer passes through the file.
SCATTERED_BYTES = 16 << 20
# Columns up to this length are read whole, even for a few rows: that is faster than seeking to each.
SHORT_COLUMN = 1 << 16
# How often a header is parsed. Before Python 3.11.8 the parser raises a SystemError for a good text if
# another thread parses in the middle: https://github.com/python/cpython/issues/106905
ATTEMPTS = 100
# Structures within structures that a payload can have.
NESTED = 16


@dataclass(frozen=True)
class Header:
    """The header of an ``.npy`` file: shape, order and dtype of the array, and where it begins."""

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype[Any]
    start: int

    @property
    def nbytes(self) -> int:
        """Bytes of data that the header announces."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    def __str__(self) -> str:
        return _cut(f"{self.shape} {self.dtype}")


# -- reading --------------------------------------------------------------------------------------


def read_header(file: IO[bytes], size: int) -> Header:
    """The header of an ``.npy`` file of *size* bytes, at whose beginning *file* is.

    Raises
    ------
    IngestError
        If it is invalid, announces more or less data than are present, or an array that cannot be stored.
    """
    begins = file.read(len(MAGIC) + 2)
    if not begins.startswith(MAGIC):
        raise IngestError("it does not begin as an .npy file does, so it is another or damaged")
    if len(begins) < len(MAGIC) + 2:
        raise _ends_early(begins)
    version = tuple(begins[len(MAGIC) :])
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise IngestError(
            f"it is of version {'.'.join(map(str, version))} of the format, and 1.0 to 3.0 are known; "
            "load it with the numpy that wrote it, and store the array with write_data"
        )
    width = 2 if version == (1, 0) else 4
    announced = file.read(width)
    if len(announced) < width:
        raise _ends_early(begins + announced)
    length = int.from_bytes(announced, "little")
    start = len(begins) + width + length
    if start > size:
        raise IngestError(f"it announces a header of {length} bytes, it has {size} bytes in all; {DAMAGED}")
    if length > MAX_HEADER:
        raise IngestError(
            f"it has a header of {length} bytes, more than {MAX_HEADER} are not read; load it with "
            "numpy.load, and store the array with write_data"
        )
    shape, fortran_order, dtype = _parsed(file.read(length), version)
    header = Header(shape, fortran_order, dtype, start)
    _check_elements(dtype)
    if min(shape, default=0) < 0 or header.nbytes != size - start:
        raise IngestError(
            f"its header announces {header.nbytes} bytes of data ({header}), {size - start} are present; "
            f"{DAMAGED}"
        )
    return header


def _ends_early(begins: bytes) -> IngestError:
    return IngestError(f"it ends after {len(begins)} bytes, within its header; {DAMAGED}")


def read_whole(file: IO[bytes], header: Header) -> Array:
    """The whole array, at whose first byte *file* is."""
    flat = np.empty(math.prod(header.shape), header.dtype)
    _fill(flat, file)
    try:
        return flat.reshape(header.shape, order="F" if header.fortran_order else "C")
    except (ValueError, OverflowError) as error:
        shape = _cut(str(header.shape))
        raise IngestError(f"no array can be of shape {shape} ({error}); {DAMAGED}") from error


def iter_rows(file: IO[bytes], header: Header) -> Iterator[Array]:
    """Blocks of rows of the array at whose first byte *file* is; an array in Fortran order needs seeking."""
    if header.fortran_order and len(header.shape) > 1:
        yield from _scattered_rows(file, header)
        return
    for first, last in _windows(header, BLOCK_BYTES):
        block = np.empty((last - first, *header.shape[1:]), header.dtype)
        _fill(block, file)
        yield block


def _scattered_rows(file: IO[bytes], header: Header) -> Iterator[Array]:
    """Blocks of rows of an array that is stored column by column."""
    # Not by a memory map: a file that is cut short while it is read would end the process.
    start, rows, width = file.tell(), header.shape[0], header.dtype.itemsize
    columns = math.prod(header.shape[1:])
    together = max(1, (1 << 20) // (rows * width)) if rows * width <= SHORT_COLUMN else 1
    for first, last in _windows(header, SCATTERED_BYTES):
        turned = np.empty((columns, last - first), header.dtype)
        for column in range(0, columns, together):
            part = turned[column : column + together]
            if rows * width > SHORT_COLUMN:
                file.seek(start + (column * rows + first) * width)
                _fill(part, file)
                continue
            whole = np.empty((len(part), rows), header.dtype)
            file.seek(start + column * rows * width)
            _fill(whole, file)
            part[...] = whole[:, first:last]
        yield np.ascontiguousarray(turned.reshape(*header.shape[:0:-1], last - first).T)


def _windows(header: Header, block_bytes: int) -> Iterator[tuple[int, int]]:
    """First and last row of each block."""
    rows = header.shape[0]
    step = max(1, block_bytes // max(1, header.row_bytes))
    for first in range(0, rows, step):
        yield first, min(first + step, rows)


def _fill(array: Array, file: IO[bytes]) -> None:
    if array.nbytes == 0:
        return
    room = array.reshape(-1).view(np.uint8).data
    while room:
        count = file.readinto(room)  # type: ignore[attr-defined]
        if not count:
            raise IngestError(f"it ends {len(room)} bytes too early; {DAMAGED}")
        room = room[count:]


def _parsed(text: bytes, version: tuple[int, ...]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether in Fortran order, and dtype that the *text* of a header announces."""
    try:
        if version == (3, 0):
            # Numpy has no public function for UTF-8; as escapes, the letters mean the same in Latin-1.
            text = text.decode("utf-8").encode("ascii", "backslashreplace")
        for _ in range(ATTEMPTS):
            try:
                return _read_by_numpy(_of_python_3(text))
            except SystemError:
                pass
        return _read_by_numpy(_of_python_3(text))
    except Exception as error:
        # Python's own parser, tokenizer and numpy's dtypes read it, and raise whatever they like.
        reason = _cut(f"{type(error).__name__}: {error}")
        raise IngestError(f"its header is invalid: {reason}; {DAMAGED}") from None


def _read_by_numpy(text: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    file = io.BytesIO(len(text).to_bytes(4, "little") + text)
    return np.lib.format.read_array_header_2_0(file, max_header_size=len(text))


def _of_python_3(text: bytes) -> bytes:
    """The header without the L that Python 2 wrote after long numbers; an error if it is no header.

    Numpy would remove it, too, but its tokenizer takes minutes for some texts.
    """
    try:
        ast.literal_eval(text.decode("latin-1"))
    except SyntaxError:
        text = LONG.sub(rb"\1", text)
        ast.literal_eval(text.decode("latin-1"))
    return text


def _check_elements(dtype: np.dtype[Any]) -> None:
    if dtype.hasobject:
        raise IngestError(
            "it holds Python objects, which would have to be unpickled, and that may run any code; if you "
            "trust it, load it with numpy.load(..., allow_pickle=True), and store what is in it"
        )
    if dtype.itemsize == 0 or dtype.subdtype:
        raise IngestError(
            f"its header announces elements of type {_cut(str(dtype))}, which no array can have; {DAMAGED}"
        )
    _check_fields(dtype, 0)


def _check_fields(dtype: np.dtype[Any], nested: int) -> None:
    """Raise ``IngestError`` for a structure that a payload cannot keep."""
    if nested > NESTED:
        raise IngestError(
            f"it has structures within structures, more than {NESTED} deep; store its fields one by one"
        )
    base = dtype.subdtype[0] if dtype.subdtype else dtype
    if base is not dtype:
        _check_fields(base, nested + 1)
    for name in base.names or ():
        field, _, *title = base.fields[name]  # type: ignore[index]
        if title and not isinstance(title[0], str):
            raise IngestError(f"field {name!r} has a title that is not a text; save it without titles")
        _check_fields(field, nested + 1)


def _cut(text: str) -> str:
    return text if len(text) <= 300 else f"{text[:300]}..."


# -- writing --------------------------------------------------------------------------------------


def write(file: IO[bytes], payload: Payload) -> None:
    """Write an array, or a table without missing cells, as an ``.npy`` file.

    Raises
    ------
    ExportError
        If the format cannot hold it.
    """
    file.write(_header_of(payload.dtype, payload.shape))
    write_elements(file, payload)


def write_elements(file: IO[bytes], payload: Payload) -> None:
    """Write the bytes of an array's elements, in C order, a few MB at a time."""
    if not payload.shape:
        file.write(np.asarray(payload.read()).tobytes())
        return
    row_bytes = payload.nbytes // max(1, payload.shape[0])
    for block in payload.iter_blocks(max(1, BLOCK_BYTES // max(1, row_bytes))):
        if isinstance(block, np.ma.MaskedArray):
            raise ExportError("it has missing cells, which an .npy file cannot tell; export it as csv")
        file.write(np.ascontiguousarray(block).view(np.uint8).data if block.nbytes else b"")


def _header_of(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    try:
        descr = np.lib.format.dtype_to_descr(dtype)
        kept = np.lib.format.descr_to_dtype(descr) == dtype
    except ValueError as error:
        raise ExportError(f"an .npy file cannot hold elements of type {dtype}: {error}") from error
    if not kept:
        raise ExportError(f"an .npy file cannot hold elements of type {dtype}")
    about = {"descr": descr, "fortran_order": False, "shape": shape}
    file = io.BytesIO()
    try:
        np.lib.format.write_array_header_1_0(file, about)
    except UnicodeEncodeError:
        return _header_of_version_3(about)
    except ValueError:  # too long for two bytes
        np.lib.format.write_array_header_2_0(file, about)
    return file.getvalue()


def _header_of_version_3(about: dict[str, Any]) -> bytes:
    # Numpy has no public function for it. The data begin at a multiple of 64 bytes.
    text = repr(about).encode()
    text += b" " * (-(len(MAGIC) + 2 + 4 + len(text) + 1) % 64) + b"\n"
    return MAGIC + b"\x03\x00" + len(text).to_bytes(4, "little") + text
