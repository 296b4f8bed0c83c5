"""Image files: png, jpeg, tiff, bmp, gif and webp, with all their frames, through Pillow and tifffile.

Pixels come as they are stored: rows and columns, channels last, in the width that the image has them. An
image with a palette gives its indices, and the palette with the metadata. Nothing is turned as EXIF asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lotdb.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lotdb import Ingested, Payload, SourceFile, TargetFile

#: Names of formats, and what a file of that name has to be.
FORMATS = {
    "apng": "png",
    "bmp": "bmp",
    "dib": "bmp",
    "gif": "gif",
    "jfif": "jpeg",
    "jpe": "jpeg",
    "jpeg": "jpeg",
    "jpg": "jpeg",
    "png": "png",
    "tif": "tiff",
    "tiff": "tiff",
    "webp": "webp",
}


@hookimpl
def lotdb_identify_file(source: SourceFile) -> str | None:
    """The image format whose signature the file begins with."""
    head = source.head
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    signatures = {
        b"\x89PNG\r\n\x1a\n": "png",
        b"\xff\xd8\xff": "jpeg",
        b"II*\0": "tiff",
        b"MM\0*": "tiff",
        b"II+\0": "tiff",
        b"MM\0+": "tiff",
        b"GIF87a": "gif",
        b"GIF89a": "gif",
    }
    for signature, format in signatures.items():
        if head.startswith(signature):
            return format
    # Two letters are too few; the size of the header after them has one of a few values.
    return "bmp" if head[:2] == b"BM" and head[14:18] in _BMP_HEADERS else None


_BMP_HEADERS = tuple(size.to_bytes(4, "little") for size in (12, 16, 40, 52, 56, 64, 108, 124))


@hookimpl
def lotdb_ingest_file(source: SourceFile) -> Ingested | Mapping[str, Ingested] | None:
    """The pixels of an image, and its mode, palette, resolution, EXIF and the like; option ``max_pixels``."""
    if source.format not in FORMATS:
        return None
    source.check_options("max_pixels")
    from lotdb_ingest.image.read import read

    return read(source, lotdb_identify_file(source), FORMATS[source.format])


@hookimpl
def lotdb_get_ingest_formats() -> list[str]:
    """The formats that :func:`lotdb_ingest_file` reads."""
    return [*FORMATS]


@hookimpl
def lotdb_get_export_formats() -> list[str]:
    """The formats that :func:`lotdb_export_file` writes."""
    return [*FORMATS]


@hookimpl
def lotdb_export_file(target: TargetFile, payload: Payload) -> bool | None:
    """Write pixels; option ``quality`` for jpeg (95), ``quality`` and ``lossless`` for webp.

    jpeg is lossy, and so is webp if ``quality`` is given or ``lossless`` is False.
    """
    if target.format not in FORMATS or payload.kind != "array":
        return None
    format = FORMATS[target.format]
    target.check_options(*{"jpeg": ("quality",), "webp": ("quality", "lossless")}.get(format, ()))
    from lotdb_ingest.image.write import write

    write(target, payload, format)
    return True
