"""NumPy's ``.npy`` files.

Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lotdb import Ingested, IngestError, SourceFile
from lotdb.hookspecs import hookimpl

MAGIC = b"\x93NUMPY"
# Numpy refuses headers over 10 000 characters by default, which is some 600 fields.
MAX_HEADER = 1 << 20


@hookimpl
def lotdb_ingest_file(source: SourceFile) -> Ingested | None:
    """The array of a ``.npy`` file, exactly as it was saved."""
    begins = source.file.read(len(MAGIC)) == MAGIC
    source.file.seek(0)
    if source.format != "npy":
        return None
    source.check_options()
    if not begins:
        raise IngestError("the file does not begin as an .npy file does")
    return Ingested(data=_read(source), format="npy", content_type="application/x-npy")


def _read(source: SourceFile) -> np.ndarray[Any, Any]:
    version = np.lib.format.read_magic(source.file)
    # The header of versions 2 and 3 differs in nothing that is read here.
    read_header = (
        np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    )
    shape, fortran_order, dtype = read_header(source.file, max_header_size=MAX_HEADER)
    if dtype.hasobject:
        raise IngestError("it holds Python objects, which would have to be unpickled")
    count = 1
    for length in shape:
        count *= length
    # Compared before anything is allocated: a header can announce whatever it likes.
    announced, present = count * dtype.itemsize, source.size - source.file.tell()
    if min(shape, default=0) < 0 or dtype.itemsize == 0 or announced != present:
        raise IngestError(
            f"its header announces {announced} bytes of data ({shape} {dtype}), {present} are present"
        )
    flat = np.empty(count, dtype)
    if source.file.readinto(flat.view(np.uint8).data) != announced:  # type: ignore[attr-defined]
        raise IngestError("it ends too early")
    return flat.reshape(shape, order="F" if fortran_order else "C")
