"""``bits`` is the bit depth that the header names, also if a sample takes more bits than that."""

import struct

import numpy as np
import pytest

from lotdb import BaseNode
from lotdb_ingest.audio.headers import extended

VALUES = np.array([0, 1, -1, 5, 2047, -2048])


def wav(bits, width, *, valid=None):
    """A wav file of VALUES in the upper *bits* (or *valid*) bits of samples of *width* bytes."""
    samples = (VALUES << 8 * width - min(valid or bits, bits)).astype("<i4")
    row = samples.view("u1").reshape(-1, 4)[:, :width].tobytes()
    form = struct.pack("<HHIIHH", 1 if valid is None else 0xFFFE, 1, 8000, 8000 * width, width, bits)
    if valid is not None:
        guid = b"\x01\0\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71"
        form += struct.pack("<HHI", 22, valid, 4) + guid
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(row)) + row
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def aiff(bits, width):
    row = (VALUES << 8 * width - bits).astype(">i4").view("u1").reshape(-1, 4)[:, 4 - width :].tobytes()
    form = struct.pack(">HIH", 1, len(VALUES), bits) + extended(8000.0)
    sound = bytes(8) + row
    chunks = b"COMM" + struct.pack(">I", len(form)) + form + b"SSND" + struct.pack(">I", len(sound)) + sound
    return b"FORM" + struct.pack(">I", 4 + len(chunks)) + b"AIFF" + chunks


@pytest.mark.parametrize(
    ("name", "content", "bits", "dtype", "shift"),
    [
        ("a.wav", wav(12, 2), 12, "int16", 4),
        ("a.wav", wav(16, 2), 16, "int16", 0),
        ("a.wav", wav(20, 3), 20, "int32", 4),
        ("a.wav", wav(16, 2, valid=12), 12, "int16", 4),
        ("a.wav", wav(32, 4, valid=20), 20, "int32", 12),
        ("a.wav", wav(24, 3, valid=24), 24, "int32", 0),
        ("a.wav", wav(24, 3, valid=0xFFFF), 24, "int32", 0),
        ("a.aiff", aiff(12, 2), 12, "int16", 4),
        ("a.aiff", aiff(20, 3), 20, "int32", 4),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else str(value),
)
def test_bits_are_those_that_the_header_names(tmp_path, name, content, bits, dtype, shift):
    (tmp_path / name).write_bytes(content)
    node = BaseNode("root").get_data_node("sound")
    payload = node.attach_file(tmp_path / name)
    assert (payload.metadata["bits"], payload.dtype) == (bits, dtype)
    assert payload.read().tolist() == (VALUES << shift).tolist()
    # What goes out is as wide as what came in.
    for suffix in ("wav", "aiff", "caf"):
        payload.export(tmp_path / f"out.{suffix}")
        again = node.attach_file(tmp_path / f"out.{suffix}", data_attribute="again")
        assert again.read().tolist() == payload.read().tolist()
