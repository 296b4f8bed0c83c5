"""Reading images: all frames, in their own mode, and the notes in the file."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from PIL import Image, ImageFile

from lotdb import Blocks, Ingested, IngestError, SourceFile
from lotdb_ingest import signatures
from lotdb_ingest.image.about import about
from lotdb_ingest.image.checks import check_whole
from lotdb_ingest.image.gif import about_gif
from lotdb_ingest.image.jpeg import about_jpeg
from lotdb_ingest.image.modes import check_exact, dtype_of, last_axis, opened
from lotdb_ingest.image.parts import bytes_of, decoding, ingested, pixels_of, rows_of, with_remedy
from lotdb_ingest.image.png import about_png
from lotdb_ingest.image.png_deep import is_deep, read_deep
from lotdb_ingest.image.read_tiff import read_tiff
from lotdb_ingest.image.tiff import check_tiff
from lotdb_ingest.image.webp import about_webp

__all__ = ["read"]

#: The same as that at which Pillow refuses an image: more is taken for an attack on the memory.
MAX_PIXELS = 178_956_970
#: For these formats Pillow also checks its own limit: it warns, and refuses images with twice as many pixels.
PILLOWS_LIMIT = {"gif": 1, "webp": 2, "png": 1}


def read(source: SourceFile, content: str | None, expected: str) -> dict[str, Ingested]:
    """The pixels of *source*, whose content looks like format *content*."""
    if content is None:
        known = signatures.content_or_raw(source.head)
        raise IngestError(f"it does not begin as a file of format {source.format} does{known}")
    if content != expected:
        raise IngestError(f"its content is {content}; pass format='auto' to read it as that, or rename it")
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise IngestError(
            "PIL.ImageFile.LOAD_TRUNCATED_IMAGES is set, so damage could not be told; set it to False"
        )
    check_size = partial(_check_size, source, content, source.limit("max_pixels", MAX_PIXELS))
    if content == "tiff":
        with decoding(), with_remedy():
            return read_tiff(source, check_tiff(source.file, source.size, check_size))
    with with_remedy():
        frames = check_whole(content, source.file, source.size, check_size)
    with decoding(), opened(content, source.file) as image:
        if content == "png" and is_deep(image, source.head):
            pixels, more = read_deep(source, image)
            image.load()  # reads also what follows the pixels
            return ingested(content, pixels, {**_said(source, content, image), **more})
        check_exact(image, source.head)
        frames = frames or int(getattr(image, "n_frames", 1))
        if frames == 1:
            source.check_bytes(bytes_of(image))
            pixels = pixels_of(image)
            several = ingested(content, pixels, _said(source, content, image))
            return several if content != "jpeg" else {**several, **_more_jpegs(source, image, check_size)}
        return _animation(source, content, image, frames)


def _check_size(source: SourceFile, content: str, limit: int, width: int, height: int) -> None:
    pixels = width * height
    if pixels == 0:
        raise IngestError(f"it announces {width} x {height} pixels")
    if pixels > limit:
        raise IngestError(
            f"it announces {width} x {height} = {pixels} pixels, the limit is {limit}; "
            "pass max_pixels= to raise it"
        )
    # Each pixel has a byte at least; the whole is known when the mode is.
    source.check_bytes(pixels)
    if content in ("gif", "webp"):
        _check_pillows_limit(content, pixels)


def _check_pillows_limit(content: str, pixels: int) -> None:
    if Image.MAX_IMAGE_PIXELS is None:
        return
    limit = Image.MAX_IMAGE_PIXELS * PILLOWS_LIMIT[content]
    if pixels > limit:
        raise IngestError(
            f"it announces {pixels} pixels, Pillow's own limit for this kind of {content} is {limit}; "
            "set PIL.Image.MAX_IMAGE_PIXELS to raise it"
        )


def _said(source: SourceFile, content: str, image: Image.Image) -> dict[str, Any]:
    """The notes in the file: those that Pillow reads, and those that it leaves out."""
    said = about(image, source.head)
    if content == "png":
        more = about_png(source.file, source.size)
        if "text" in more:
            more["text"] = {**said.get("text", {}), **more["text"]}
        return {**said, **more}
    if content == "gif":
        return {**said, **about_gif(source.file)}
    if content == "webp":
        return {**said, **about_webp(source.file)}
    return {**said, **about_jpeg(image)} if content == "jpeg" else said


def _more_jpegs(source: SourceFile, image: Any, check_size: Any) -> dict[str, Ingested]:
    """Further images in a JPEG, such as previews and gain maps (Multi-Picture Format, CIPA DC-007)."""
    try:
        places = [(each["DataOffset"], each["Size"]) for each in (image._getmp() or {})[0xB002][1:]]
    except (KeyError, SyntaxError, TypeError):
        return {}
    found: dict[str, Ingested] = {}
    size, length_of_all = bytes_of(image), 0
    for number, (offset, length) in enumerate(places, 2):
        start = min(image.info["mpoffset"] + offset, source.size)
        if _part(source, start, 3).getvalue() != b"\xff\xd8\xff":
            continue  # a program that changed the first image and left the index as it was
        length = min(length, source.size - start)
        length_of_all += length
        if length_of_all > source.size:
            raise IngestError(f"its images have {length_of_all} bytes together, the file has {source.size}")
        part = partial(_part, source, start, length)
        check_whole("jpeg", part(), length, check_size)
        with opened("jpeg", part()) as another:
            size += bytes_of(another)
            source.check_bytes(size)
            rows = rows_of(another, partial(_opened_part, part))
            found[f"image_{number}"] = ingested("jpeg", rows, {**about(another, b""), **about_jpeg(another)})[
                ""
            ]
    return found


def _opened_part(part: Callable[[], io.BytesIO]) -> Image.Image:
    return opened("jpeg", part())


def _part(source: SourceFile, start: int, length: int) -> io.BytesIO:
    source.file.seek(start)
    return io.BytesIO(source.file.read(length))


def _animation(source: SourceFile, content: str, image: Image.Image, count: int) -> dict[str, Ingested]:
    """All frames as they are shown, in RGBA, because modes and palettes may differ between frames."""
    source.check_bytes(count * image.width * image.height * 4)
    _check_pillows_limit(content, image.width * image.height)
    # The image of a PNG that is shown where animations are not.
    still: dict[str, Ingested] = {}
    if getattr(image, "default_image", False):
        still["default_image"] = ingested(content, pixels_of(image), about(image, source.head))[""]
    first = len(still)
    durations = []
    for frame in range(first, count):
        image.seek(frame)
        image.load()
        durations.append(float(image.info.get("duration", 0)))
    said = _said(source, content, image)
    for name in ("palette", "palette_mode", "transparency"):
        said.pop(name, None)
    said |= {"mode": "RGBA", "frames": count - first, "durations_ms": durations}
    said["loop"] = image.info.get("loop")
    return {**_stacked(source, content, image, count, said, first), **still}


def _stacked(
    source: SourceFile, content: str, image: Image.Image, count: int, said: dict[str, Any], first: int = 0
) -> dict[str, Ingested]:
    """Frames from the *first* one on, which are read when they are needed."""
    mode = said["mode"]
    dtype = np.dtype("uint8") if mode == "RGBA" else dtype_of(image)
    shape = (image.height, image.width, *last_axis(mode))

    def frames() -> Iterator[np.ndarray[Any, Any]]:
        with decoding(), opened(content, source.file) as again:
            for frame in range(first, count):
                again.seek(frame)
                again.load()  # the mode of a frame is known when it was read
                yield pixels_of(again.convert("RGBA") if mode == "RGBA" else again)[np.newaxis]

    return ingested(content, Blocks(frames(), dtype, shape, rows=count - first), said)
