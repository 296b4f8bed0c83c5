"""Pictures in every mode, files made byte by byte, and what is told of them."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from lotdb import IngestError

RNG = np.random.default_rng(17)
COLOUR = Image.fromarray(RNG.integers(0, 256, (30, 40, 3), np.uint8))


def refused(node, path, **how):
    with pytest.raises(IngestError) as caught:
        node.attach_file(path, **how)
    assert str(path) in str(caught.value)
    assert not node.has_data()
    return str(caught.value)


def about(payload):
    return {name: repr(value) for name, value in payload.metadata.items() if not name.startswith("_")}


def moving(count=4):
    frames = []
    for place in range(count):
        pixels = np.zeros((8, 9, 4), np.uint8)
        pixels[..., 3] = 255
        pixels[place, place] = (255, 10 * place, 0, 255)
        frames.append(Image.fromarray(pixels))
    return frames


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(
    width, height, rows, *, depth=8, colour=0, announce=None, more=b"", bytes_a_row=None, fill=0, last=b""
):
    header = struct.pack(">IIBBBBB", *(announce or (width, height)), depth, colour, 0, 0, 0)
    row = b"\0" + bytes([fill]) * (width if bytes_a_row is None else bytes_a_row)
    pixels = chunk(b"IDAT", zlib.compress(row * rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + more + pixels + last + chunk(b"IEND", b"")


def tiff(tags, pixels, order="<"):
    """A TIFF of one page; unless *tags* tell something else, its pixels are in one strip."""
    tags = {259: 1, 273: 8, 278: tags[257], 279: len(pixels), **tags}
    tags = {tag: value for tag, value in tags.items() if value is not None}
    behind = 8 + len(pixels) + 2 + 12 * len(tags) + 4
    directory, values = struct.pack(order + "H", len(tags)), b""
    for tag, value in sorted(tags.items()):
        several = value if isinstance(value, tuple) else (value,)
        packed = struct.pack(f"{order}{len(several)}I", *several)
        if len(several) > 1:
            values, packed = values + packed, struct.pack(order + "I", behind + len(values))
        directory += struct.pack(order + "HHI", tag, 4, len(several)) + packed
    mark = b"II*\0" if order == "<" else b"MM\0*"
    start = struct.pack(order + "I", 8 + len(pixels))
    return mark + start + pixels + directory + bytes(4) + values
