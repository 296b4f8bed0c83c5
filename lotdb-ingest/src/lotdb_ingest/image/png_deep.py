"""PNG with 16 bits per channel, which Pillow reduces to 8: imagecodecs reads it, and it is written here.

Source: PNG (Third Edition, https://www.w3.org/TR/png-3/).
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image

from lotdb import ExportError, IngestError, Payload, SourceFile, TargetFile
from lotdb_ingest.image.modes import CHANNELS
from lotdb_ingest.image.notes import notes
from lotdb_ingest.image.png import SIGNATURE, chunk, put_chunks
from lotdb_ingest.image.tifffile import INSTALL

__all__ = ["is_deep", "mode_of", "read_deep", "write_deep"]

try:
    import imagecodecs
except ImportError:
    imagecodecs = None  # type: ignore[assignment, unused-ignore]

#: Pillow's mode by the colour type; Pillow itself makes grey with alpha RGBA.
MODES = {2: "RGB", 4: "LA", 6: "RGBA"}
#: What a TIFF calls such pixels, by that mode.
ABOUT: dict[str, dict[str, Any]] = {
    "RGB": {"photometric": "rgb"},
    "RGBA": {"photometric": "rgb", "extrasamples": [2]},
    "LA": {"photometric": "minisblack", "extrasamples": [2]},
}
PIECE = 1 << 20


def is_deep(image: Any, head: bytes) -> bool:
    """Whether a PNG that begins with *head* is one image of several channels of 16 bits."""
    return head[24] == 16 and head[25] in MODES and not image.is_animated


def read_deep(source: SourceFile, image: Image.Image) -> tuple[np.ndarray[Any, Any], dict[str, Any]]:
    """The pixels of *source*, which is whole, and what is to be known of them."""
    mode = MODES[source.head[25]]
    channels = CHANNELS[mode][0]
    source.check_bytes(2 * channels * image.width * image.height)
    if imagecodecs is None:
        raise IngestError(
            f"it has {channels} channels of 16 bits, which Pillow would reduce to 8; install what reads "
            f"them: {INSTALL}"
        )
    source.file.seek(0)
    pixels = np.asarray(imagecodecs.png_decode(source.file.read()))
    # A colour that is transparent comes as a channel that is not in the file.
    pixels = np.ascontiguousarray(pixels[..., :channels])
    if pixels.shape != (image.height, image.width, channels) or pixels.dtype != np.uint16:
        raise IngestError(
            f"it gives {pixels.dtype} of shape {pixels.shape}, and announces {channels} channels of 16 bits; "
            "read it with another library, and store the array with write_data"
        )
    return pixels, {"mode": mode, **ABOUT[mode]}


def mode_of(payload: Payload) -> str | None:
    """Pillow's mode for *payload*, if it is an image of several 16-bit channels; None otherwise."""
    said = payload.metadata
    if payload.dtype.newbyteorder("=") != np.uint16 or len(payload.shape) != 3 or 0 in payload.shape:
        return None
    mode = next((each for each in ABOUT if CHANNELS[each][0] == payload.shape[2]), None)
    if mode is None or "frames" in said:
        return None
    colours = {name: said[name] for name in ("photometric", "extrasamples") if name in said}
    return mode if said.get("mode") == mode or colours == ABOUT[mode] else None


def write_deep(target: TargetFile, payload: Payload, mode: str) -> None:
    """Write *payload* as colours of 16 bits, and its notes as Pillow writes them."""
    if imagecodecs is None:
        raise ExportError(f"png of 16 bits a channel could not be read again to be sure; {INSTALL}")
    pixels = payload.read()
    height, width, channels = pixels.shape
    shallow = io.BytesIO()
    Image.new(mode, (width, height)).save(shallow, "PNG", **notes("png", mode, payload.metadata))
    put_chunks(shallow, payload.metadata)
    content = shallow.getvalue()
    file, place, is_written = target.file, len(SIGNATURE), False
    file.write(SIGNATURE)
    while place < len(content):
        length, name = struct.unpack_from(">I4s", content, place)
        data = content[place + 8 : place + 8 + length]
        place += 12 + length
        if name == b"IHDR":
            data = data[:8] + b"\x10" + data[9:]
        if name != b"IDAT":
            file.write(chunk(name, data))
        elif not is_written:
            rows = np.zeros((height, 1 + 2 * channels * width), np.uint8)  # which begin with: no filter
            rows[:, 1:] = pixels.astype(">u2").reshape(height, -1).view(np.uint8)
            packed = zlib.compress(rows.data)
            for start in range(0, len(packed), PIECE):
                file.write(chunk(name, packed[start : start + PIECE]))
            is_written = True
    file.seek(0)
    if not np.array_equal(imagecodecs.png_decode(file.read())[..., :channels], pixels):
        raise ExportError("png would not hold it exactly; choose tiff or npy")
