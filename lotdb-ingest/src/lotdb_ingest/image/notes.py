"""What an exported image file contains beside the pixels, as far as its format allows."""

from __future__ import annotations

import struct
from typing import Any

from PIL import Image, PngImagePlugin

from lotdb import ExportError
from lotdb_ingest.image.about import INVERTED, ORIENTATION, TEXT_TAGS, XMP_KEY
from lotdb_ingest.image.jpeg import segments
from lotdb_ingest.image.modes import EXIF_DIRECTORIES

__all__ = ["notes"]

XMP = 700
#: Tags that say how pixels are stored, which is not that of the file that the EXIF came from.
STRUCTURE = {
    *range(254, 267),
    273,
    *range(277, 285),
    317,
    *range(320, 326),
    330,
    338,
    339,
    347,
    *range(512, 533),
}
#: Compressions of a TIFF that lose nothing: for images of any kind, and for those of two colours.
COMPRESSIONS = ("raw", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits", "lzma", "zstd")
OF_TWO_COLOURS = ("tiff_ccitt", "group3", "group4")
#: What each format has a place for, by the names that Pillow and our metadata have for it.
PLACES = {
    "bmp": ("dpi",),
    "gif": ("comment",),
    "jpeg": ("comment", "dpi", "icc_profile", "xmp"),
    "png": ("dpi", "icc_profile"),
    "tiff": ("dpi", "icc_profile"),
    "webp": ("icc_profile", "xmp"),
}
TYPES: dict[str, type | tuple[type, ...]] = {
    "comment": bytes,
    "dpi": (tuple, list),
    "icc_profile": bytes,
    "xmp": bytes,
}


def notes(format: str, mode: str, metadata: dict[str, Any]) -> dict[str, Any]:
    """Arguments for Pillow's ``save``, from what is known of an image of *mode*."""
    options: dict[str, Any] = {
        name: metadata[name] for name in PLACES[format] if isinstance(metadata.get(name), TYPES[name])
    }
    if "transparency" in metadata and format in ("png", "gif") and mode in ("1", "L", "I;16", "P", "RGB"):
        options["transparency"] = metadata["transparency"]
        if format == "gif" and not isinstance(metadata["transparency"], int):
            raise ExportError("gif cannot hold colours that are half transparent; choose png")
    if format == "png":
        options["pnginfo"] = _chunks(metadata)
    if format == "jpeg" and (extra := segments(metadata)):
        options["extra"] = extra
    if format in ("jpeg", "png", "webp") and (exif := _exif(metadata)):
        options["exif"] = exif
    if format == "tiff":
        options["exif"] = _tags(metadata)
        known = (*COMPRESSIONS, *(OF_TWO_COLOURS if mode == "1" else ()))
        # Pillow cannot write EXIF's directories into a compressed file.
        if metadata.get("compression") in known and not any(
            tag in options["exif"] for tag in EXIF_DIRECTORIES
        ):
            options["compression"] = metadata["compression"]
    return options


def _exif(metadata: dict[str, Any]) -> Any:
    """The EXIF that there was, or one with the orientation alone."""
    if isinstance(metadata.get("exif"), bytes):
        return metadata["exif"]
    exif = Image.Exif()
    if isinstance(metadata.get("orientation"), int):
        exif[ORIENTATION] = metadata["orientation"]
    return exif.tobytes() if len(exif) else None


def _tags(metadata: dict[str, Any]) -> Image.Exif:
    exif = Image.Exif()
    if isinstance(metadata.get("exif"), bytes):
        exif.load(metadata["exif"])
        for tag in STRUCTURE & set(exif):
            del exif[tag]
    for tag, name in TEXT_TAGS.items():
        if isinstance(metadata.get(name), str):
            # As bytes, because Pillow would replace letters outside of ASCII by question marks.
            exif[tag] = metadata[name].encode()
    if isinstance(metadata.get("orientation"), int):
        exif[ORIENTATION] = metadata["orientation"]
    if isinstance(metadata.get("xmp"), bytes):
        exif[XMP] = metadata["xmp"]
    if metadata.get("white_is_zero") is True:
        exif[INVERTED] = 0
    return exif


def _chunks(metadata: dict[str, Any]) -> PngImagePlugin.PngInfo:
    chunks = PngImagePlugin.PngInfo()
    if "gamma" in metadata:
        chunks.add(b"gAMA", struct.pack(">I", round(metadata["gamma"] * 100_000)))
    if "chromaticity" in metadata:
        chunks.add(b"cHRM", struct.pack(">8I", *(round(each * 100_000) for each in metadata["chromaticity"])))
    if "srgb" in metadata:
        chunks.add(b"sRGB", bytes([metadata["srgb"]]))
    if isinstance(metadata.get("xmp"), bytes):
        chunks.add_itxt(XMP_KEY, metadata["xmp"].decode("utf-8", "surrogateescape"))
    for key, texts in metadata.get("text", {}).items():
        for text in texts if isinstance(texts, list) else [texts]:
            chunks.add_text(key, text)
    return chunks
