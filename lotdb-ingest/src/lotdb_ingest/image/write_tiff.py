"""Writing a TIFF beyond what Pillow does: numbers of any width, and tags by their numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import IO, Any

import numpy as np

from lotdb import ExportError, Payload
from lotdb_ingest.image.about import ORIENTATION, RESOLUTION, TEXT_TAGS, UNIT
from lotdb_ingest.image.tags import ascii_tag, packed, put_tags, rational
from lotdb_ingest.image.tifffile import INSTALL, tifffile

__all__ = ["needs_tifffile", "put_notes", "write_tiff"]

XMP, ICC_PROFILE, COLOUR_MAP = 700, 34675, 320
BIG_TIFF_BYTES = 3 << 30
#: Compressions that lose nothing, by Pillow's name and by their number.
COMPRESSIONS = {
    "tiff_lzw": 5,
    "tiff_adobe_deflate": 8,
    "tiff_deflate": 32946,
    "packbits": 32773,
    "lzma": 34925,
    "zstd": 50000,
}
#: What all pages say, unless one of them says something else.
OF_ALL_PAGES = ("dpi", "icc_profile", "orientation", "resolution")
DTYPES = "?bBhHiIlLqQefdFD"


def needs_tifffile(payload: Payload) -> bool:
    """Whether the pixels came in through tifffile."""
    return tifffile is not None and isinstance(payload.metadata.get("photometric"), str)


def write_tiff(file: IO[bytes], payload: Payload) -> None:
    """Write *payload* with tifffile, and its notes; what was written is read again to be sure.

    Raises
    ------
    ExportError
        If tifffile is not installed, or cannot hold it.
    """
    metadata = payload.metadata
    many, channels = _layout(payload)
    if tifffile is None:
        raise ExportError(
            f"Pillow cannot write {payload.dtype} of shape {payload.shape}; {INSTALL}, or choose npy"
        )
    bits = metadata.get("bits")
    options: dict[str, Any] = {
        "photometric": _photometric(metadata, channels),
        "metadata": None,
        "software": False,
    }
    if channels > 1:
        options["planarconfig"] = "contig"
        if isinstance(metadata.get("extrasamples"), list):
            options["extrasamples"] = metadata["extrasamples"]
    if isinstance(bits, int) and payload.dtype.kind == "u" and bits < payload.dtype.itemsize * 8:
        options["bitspersample"] = bits
    else:
        options["compression"] = COMPRESSIONS.get(str(metadata.get("compression")))
    if options["photometric"] == "palette":
        options["colormap"] = np.asarray(metadata["palette"], np.uint16).T
    file.seek(0)
    try:
        with tifffile.TiffWriter(file, byteorder="<", bigtiff=payload.nbytes > BIG_TIFF_BYTES) as writer:
            for page in _pages(payload, many):
                writer.write(page, **options)
    except Exception as error:
        raise ExportError(f"tifffile cannot write it: {str(error) or type(error).__name__}") from error
    put_notes(file, metadata, len(payload) if many else 1, named=True)
    file.seek(0)
    with tifffile.TiffFile(file, name="file.tif") as written:
        for number, page in enumerate(_pages(payload, many)):
            if written.pages[number].asarray(maxworkers=1).tobytes() != page.tobytes():
                raise ExportError("tiff would not hold it exactly; choose npy")


def put_notes(file: IO[bytes], metadata: Mapping[str, Any], count: int, *, named: bool) -> None:
    """Put the notes of each of *count* pages into the TIFF in *file*; *named* ones too if none are there."""
    others = metadata.get("pages")
    pages = [_tags(metadata, named=named)]
    shared = {name: metadata[name] for name in OF_ALL_PAGES if name in metadata}
    for number in range(1, count):
        of_page = others[number] if isinstance(others, list) and number < len(others) else {}
        pages.append(_tags({**shared, **(of_page if isinstance(of_page, Mapping) else {})}, named=True))
    if any(pages):
        put_tags(file, pages)


def _tags(metadata: Mapping[str, Any], *, named: bool) -> dict[int, tuple[int, int, bytes] | None]:
    found: dict[int, tuple[int, int, bytes] | None] = dict(packed(metadata.get("tags")))
    if named:
        found |= dict.fromkeys((RESOLUTION, RESOLUTION + 1, UNIT))  # tifffile says one dot without a unit
    if _is_pair(metadata.get("resolution")):
        across, down = metadata["resolution"]
        found |= {RESOLUTION: rational(across), RESOLUTION + 1: rational(down), UNIT: (3, 1, b"\1\0")}
    if not named:
        return found
    for tag, name in TEXT_TAGS.items():
        if isinstance(metadata.get(name), str):
            found[tag] = ascii_tag(metadata[name])
    if isinstance(metadata.get("orientation"), int):
        found[ORIENTATION] = (3, 1, metadata["orientation"].to_bytes(2, "little"))
    if _is_pair(metadata.get("dpi")):
        across, down = metadata["dpi"]
        found |= {RESOLUTION: rational(across), RESOLUTION + 1: rational(down), UNIT: (3, 1, b"\2\0")}
    for tag, name, type in ((XMP, "xmp", 1), (ICC_PROFILE, "icc_profile", 7)):
        if isinstance(metadata.get(name), bytes):
            found[tag] = (type, len(metadata[name]), metadata[name])
    return found


def _is_pair(value: Any) -> bool:
    return isinstance(value, tuple | list) and len(value) == 2 and all(0 < each < 2**31 for each in value)


def _photometric(metadata: Mapping[str, Any], channels: int) -> str:
    known = metadata.get("photometric")
    if known == "palette" and "palette" not in metadata:
        known = None
    if metadata.get("white_is_zero") is True:
        return "miniswhite"
    if isinstance(known, str):
        return known
    return "rgb" if channels >= 3 else "minisblack"


def _layout(payload: Payload) -> tuple[bool, int]:
    """Whether there are several pages, and how many channels each has."""
    shape, metadata = payload.shape, payload.metadata
    many = "frames" in metadata
    axes = len(shape) - many
    if "photometric" not in metadata and axes == 3 and not many and shape[-1] not in (2, 3, 4):
        many, axes = True, 2
    if "photometric" not in metadata and len(shape) == 4 and not many:
        many, axes = True, 3
    if payload.dtype.char not in DTYPES or axes not in (2, 3) or 0 in shape:
        raise ExportError(
            f"shape {shape} of {payload.dtype} is not that of an image: rows, columns and channels of "
            "numbers or bool; choose npy"
        )
    return many, shape[-1] if axes == 3 else 1


def _pages(payload: Payload, many: bool) -> Iterator[np.ndarray[Any, Any]]:
    for number in range(len(payload) if many else 1):
        page = payload[number] if many else payload.read()
        yield np.ascontiguousarray(page, page.dtype.newbyteorder("="))
