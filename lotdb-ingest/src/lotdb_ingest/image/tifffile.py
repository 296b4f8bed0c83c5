"""Pages of a TIFF that tifffile reads, because Pillow changes their pixels or does not read them."""

from __future__ import annotations

import contextlib
import math
from typing import IO, Any

import numpy as np

from lotdb import IngestError
from lotdb_ingest.image.parts import decoding
from lotdb_ingest.image.plan import shown
from lotdb_ingest.image.tiff import COLOURS, DEPTH, EXTRA_SAMPLES, Page, first

__all__ = ["INSTALL", "Reader", "tifffile"]

try:
    import tifffile
except ImportError:
    tifffile = None  # type: ignore[assignment, unused-ignore]

INSTALL = "pip install 'lotdb-ingest[tiff]'"
PHOTOMETRIC = {
    0: "miniswhite",
    1: "minisblack",
    2: "rgb",
    3: "palette",
    4: "mask",
    5: "separated",
    6: "ycbcr",
    8: "cielab",
    9: "icclab",
    10: "itulab",
    32803: "cfa",
    32844: "logl",
    32845: "logluv",
    34892: "linear_raw",
}


class Reader:
    """The pages of the TIFF in *file*, by their number."""

    def __init__(self, file: IO[bytes]) -> None:
        if tifffile is None:
            raise IngestError(f"Pillow does not read that exactly, and tifffile is not installed: {INSTALL}")
        file.seek(0)
        self._tiff: Any = tifffile.TiffFile(file, name="file.tif")

    def about(self, number: int, page: Page) -> tuple[tuple[int, ...], np.dtype[Any], dict[str, Any]]:
        """Shape and dtype of a page, and what is to be known of its numbers."""
        with _decoding(page):
            found = self._tiff.pages[number]
            if found.dtype is None:
                raise IngestError("its numbers are of no known kind")
            separate, depth, height, width, contiguous = found.shaped
        samples = separate * contiguous
        shape = (depth,) * (depth > 1) + (height, width) + (samples,) * (samples > 1)
        dtype = np.dtype(found.dtype).newbyteorder("=")
        colours = first(page.tags, COLOURS, 1)
        said: dict[str, Any] = {"photometric": PHOTOMETRIC.get(colours, str(colours))}
        if colours == 0:
            said["white_is_zero"] = True
        if EXTRA_SAMPLES in page.tags:
            said["extrasamples"] = page.tags[EXTRA_SAMPLES].tolist()
        bits = found.bitspersample
        if isinstance(bits, int) and bits < dtype.itemsize * 8 and dtype.kind != "b":
            said["bits"] = bits
        if colours == 3 and found.colormap is not None:
            said["palette"] = np.ascontiguousarray(np.asarray(found.colormap).T)
        if first(page.tags, DEPTH, 1) > 1:
            said["frames"] = depth
        return shape, dtype, said

    def read(self, number: int, page: Page, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
        """The pixels of a page, channels last."""
        with _decoding(page):
            found = self._tiff.pages[number]
            pixels = np.asarray(found.asarray(maxworkers=1))
            if pixels.size != math.prod(shape):
                raise IngestError(f"it gives {pixels.size} numbers, {math.prod(shape)} are announced")
            pixels = pixels.reshape(found.shaped)
            # Planes of channels become channels of pixels.
            return np.ascontiguousarray(
                np.moveaxis(pixels, 0, -2).reshape(shape), found.dtype.newbyteorder("=")
            )


def _decoding(page: Page) -> contextlib.AbstractContextManager[None]:
    """Makes what tifffile raises an ``IngestError`` that says what the pixels are."""
    return decoding(
        shown(page.tags), lambda said: f"; install what does: {INSTALL}" if "imagecodecs" in said else ""
    )
