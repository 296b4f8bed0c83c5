"""Fuzz the ingester of .npy files: python tests/fuzz/fuzz_npy.py -max_total_time=600

With the first argument "headers", only the text of headers is mutated, and the data are as long as announced.
"""

import io
import sys

import harness  # type: ignore[import-not-found]
import numpy as np

from lotdb_ingest.npy import plugin as npy

ROWS = np.arange(12, dtype="int16").reshape(4, 3)
STRUCTURE = np.dtype([("größe", "<i4"), ("データ", ">f8", (2,)), ("name", "U2")], align=True)


def saved(array, version=None):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=version)
    return file.getvalue()


SEEDS = [
    saved(ROWS),
    saved(np.asfortranarray(ROWS.astype("<f8"))),
    saved(ROWS.astype(">f4"), version=(2, 0)),
    saved(np.zeros(3, STRUCTURE), version=(3, 0)),
    saved(np.array(1.5)),
    saved(np.array(["2020-01-01"], "M8[D]")),
    saved(np.array(["text", "æ"])),
    saved(np.empty((0, 3), "c16")),
    saved(ROWS).replace(b"(4, 3)", b"(4L,3)"),  # as Python 2 wrote it
]

HEADERS = [
    "{'descr': [('a', '<f8', (2, 3)), (('title', 'b'), [('c', '|S3'), ('', '|V5')])], 'shape': (2,)}",
    "{'descr': ('<u2', (3,)), 'shape': (1, 0, 2)}",
    "{'descr': 'm8[25s],c16,?,U3', 'shape': ()}",
    "{'descr': '>M8[us]', 'shape': (1, 2, 3)}",
    "{'descr': '|V7', 'shape': (3L,)}",
]


def made(text):
    """A file with the header *text*, and as many zeros as it announces."""
    version, text = text[:1] or b"\1", text[1:].replace(b"'shape'", b"'fortran_order': False, 'shape'", 1)
    head = b"\x93NUMPY" + version + b"\0" + len(text).to_bytes(2 if version == b"\1" else 4, "little") + text
    try:
        shape, _, dtype = np.lib.format.read_array_header_2_0(
            io.BytesIO(len(text).to_bytes(4, "little") + text)
        )
        return head + bytes(min(int(np.prod(shape, dtype=object)) * dtype.itemsize, 1 << 20))
    except Exception:
        return head


if __name__ == "__main__":
    if sys.argv[1:2] == ["headers"]:
        del sys.argv[1]
        seeds = [bytes([version]) + text.encode() for text in HEADERS for version in (1, 2, 3)]
        harness.run(npy, name="x.npy", seeds=seeds, made=made, instrument=[np.lib._format_impl])
    harness.run(npy, name="x.npy", seeds=SEEDS, instrument=[np.lib._format_impl])
