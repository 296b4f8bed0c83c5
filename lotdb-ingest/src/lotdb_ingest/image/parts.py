"""What the readers of all image formats share: pixels as arrays, and payloads made from them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from PIL import Image

from lotdb import Blocks, Ingested, IngestError, LotdbError
from lotdb_ingest.image.about import LARGE
from lotdb_ingest.image.modes import CHANNELS, dtype_of, last_axis
from lotdb_ingest.signatures import DAMAGED

#: What the user can do about an image that a library does not decode.
REMEDY = (
    "; it is damaged, or of a kind that is not read: get it again, convert it, for example with: convert IN "
    "OUT.png, or keep its bytes with format='raw'"
)

__all__ = ["bytes_of", "decoding", "ingested", "pixels_of", "rows_of", "with_remedy"]


@contextlib.contextmanager
def decoding(what: str = "", more: Callable[[str], str] = lambda said: "") -> Iterator[None]:
    """Turns an exception of a library into an ``IngestError`` that names *what* was decoded and a remedy.

    *more* gets the library's message, and may return a remedy that is better than the general one.
    """
    try:
        yield
    except LotdbError:
        raise
    except Exception as error:
        said = str(error) or type(error).__name__
        raise IngestError(
            f"its pixels{f' ({what})' if what else ''} cannot be decoded: {said}{more(said) or REMEDY}"
        ) from error


@contextlib.contextmanager
def with_remedy() -> Iterator[None]:
    """Adds a remedy to an ``IngestError`` that has none, such as that of a cut file."""
    try:
        yield
    except IngestError as error:
        said = str(error)
        if "; " in said:
            raise
        raise IngestError(f"{said}; {DAMAGED}") from error


def ingested(content: str, data: Any, said: dict[str, Any]) -> dict[str, Ingested]:
    """The payloads of an image: the pixels, and the notes that are too large for metadata."""
    large = {
        name: value for name, value in said.items() if isinstance(value, str | bytes) and len(value) > LARGE
    }
    little = {name: value for name, value in said.items() if name not in large}
    main = Ingested(data, format=content, content_type=f"image/{content}", metadata=little)
    return {"": main, **{name: Ingested(value, format=content) for name, value in large.items()}}


def bytes_of(image: Image.Image) -> int:
    return dtype_of(image).itemsize * image.width * image.height * CHANNELS[image.mode][0]


def pixels_of(image: Image.Image) -> np.ndarray[Any, Any]:
    dtype, pixels = dtype_of(image), np.asarray(image)
    if dtype.itemsize == pixels.itemsize and dtype.kind != pixels.dtype.kind:
        return np.ascontiguousarray(pixels).view(dtype)  # the same bits, with or without a sign
    return np.ascontiguousarray(pixels, dtype)


def rows_of(image: Image.Image, opened_again: Callable[[], Image.Image]) -> Blocks:
    """The rows of *image*, read when they are needed, so that one image is in memory at a time."""

    def rows() -> Iterator[np.ndarray[Any, Any]]:
        with decoding():
            yield pixels_of(opened_again())

    return Blocks(rows(), dtype_of(image), (image.width, *last_axis(image.mode)), rows=image.height)
