"""Reading images: every frame, in the mode that it has, with what else the file says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from lotdb import Blocks, Ingested, IngestError, SourceFile
from lotdb_ingest.image_checks import check_whole

__all__ = ["CHANNELS", "read"]

#: The same as that at which Pillow refuses an image: more is taken for an attack on the memory.
MAX_PIXELS = 178_956_970

#: Image.open would warn of large images by a limit of the whole process, which is the user's.
OPENERS: dict[str, Any] = {
    "bmp": BmpImagePlugin.BmpImageFile,
    "gif": GifImagePlugin.GifImageFile,
    "jpeg": JpegImagePlugin.JpegImageFile,
    "png": PngImagePlugin.PngImageFile,
    "tiff": TiffImagePlugin.TiffImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
}
#: Channels and dtype of an image, by Pillow's mode.
CHANNELS: dict[str, tuple[int, str]] = {
    "1": (1, "bool"),
    "L": (1, "uint8"),
    "P": (1, "uint8"),
    "I;16": (1, "uint16"),
    "I;16L": (1, "uint16"),
    "I;16B": (1, "uint16"),
    "I": (1, "int32"),
    "F": (1, "float32"),
    "LA": (2, "uint8"),
    "La": (2, "uint8"),
    "PA": (2, "uint8"),
    "RGB": (3, "uint8"),
    "YCbCr": (3, "uint8"),
    "LAB": (3, "uint8"),
    "HSV": (3, "uint8"),
    "RGBA": (4, "uint8"),
    "RGBa": (4, "uint8"),
    "RGBX": (4, "uint8"),
    "CMYK": (4, "uint8"),
}
BITS_PER_SAMPLE = 258
ORIENTATION = 274


def read(source: SourceFile, content: str | None, expected: str) -> Ingested | Mapping[str, Ingested]:
    """The pixels of *source*, whose content looks like format *content*."""
    if content is None:
        raise IngestError(f"it does not begin as a file of format {source.format} does")
    if content != expected:
        raise IngestError(
            f"its content is {content}; pass format='auto' to take it for what it is, or rename it"
        )
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise IngestError(
            "PIL.ImageFile.LOAD_TRUNCATED_IMAGES is set, so damage could not be told; set it to False"
        )
    limit = source.limit("max_pixels", MAX_PIXELS)
    check_whole(content, source.file, source.size)
    with _opened(source, content) as image:
        _check_size(source, image, limit)
        frames = getattr(image, "n_frames", 1)
        _check_depth(source, content, image)
        if frames == 1:
            return Ingested(
                _pixels(image),
                format=content,
                content_type=f"image/{content}",
                metadata=_metadata(image),
            )
        if content == "tiff":
            return _pages(source, image, frames, limit)
        return _animation(source, content, image, frames)


def _opened(source: SourceFile, content: str) -> Image.Image:
    source.file.seek(0)
    image: Image.Image = OPENERS[content](_Unclosed(source.file))
    return image


class _Unclosed:
    """A file that stays open when an image that reads from it is closed."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def close(self) -> None:
        """Nothing: others go on reading."""


def _check_size(source: SourceFile, image: Image.Image, limit: int) -> None:
    pixels = image.width * image.height
    if pixels == 0:
        raise IngestError(f"it announces {image.width} x {image.height} pixels")
    if pixels > limit:
        raise IngestError(
            f"it announces {image.width} x {image.height} = {pixels} pixels, the limit is {limit}; "
            "pass max_pixels= to raise it"
        )
    channels, dtype = CHANNELS.get(image.mode, (4, "uint8"))
    source.check_bytes(pixels * channels * np.dtype(dtype).itemsize)


def _check_depth(source: SourceFile, content: str, image: Image.Image) -> None:
    """Refuse what Pillow would reduce to eight bits."""
    bits: Any = ()
    if content == "png" and source.head[25:26] in (b"\2", b"\4", b"\6"):
        bits = (source.head[24],) * 2
    elif content == "tiff":
        bits = image.tag_v2.get(BITS_PER_SAMPLE, ())  # type: ignore[attr-defined]
    if isinstance(bits, tuple) and len(bits) > 1 and max(bits) > 8:
        raise IngestError(
            f"it has {len(bits)} or more channels of {max(bits)} bits, which would be reduced to 8; "
            "read it with another library, and store the array with write_data"
        )


def _pixels(image: Image.Image) -> np.ndarray[Any, Any]:
    if image.mode not in CHANNELS:
        raise IngestError(f"it is of mode {image.mode!r}, which is not known here")
    pixels = np.asarray(image)
    return np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("="))


def _metadata(image: Image.Image) -> dict[str, Any]:
    """What the file says beside the pixels; it is complete only when these have been read."""
    image.load()
    info = image.info
    # The byte order in which 16 bits were stored is no matter of the pixels.
    found: dict[str, Any] = {"mode": "I;16" if image.mode.startswith("I;16") else image.mode}
    if image.mode in ("P", "PA") and image.palette is not None:
        mode = image.palette.mode
        colours = np.array(image.getpalette(mode), np.uint8)
        found |= {"palette": colours.reshape(-1, len(mode)), "palette_mode": mode}
    if "transparency" in info:
        found["transparency"] = info["transparency"]
    for name in ("exif", "icc_profile", "comment", "xmp"):
        if isinstance(info.get(name), bytes):
            found[name] = info[name]
    if ORIENTATION in (exif := image.getexif()):
        found["orientation"] = int(exif[ORIENTATION])
    if "dpi" in info:
        found["dpi"] = tuple(float(each) for each in info["dpi"])
    for name in ("gamma", "compression", "loop"):
        if isinstance(info.get(name), int | float | str):
            found[name] = info[name]
    if text := getattr(image, "text", None):
        found["text"] = {str(key): str(value) for key, value in text.items()}
    return found


def _pages(
    source: SourceFile, image: Image.Image, count: int, limit: int
) -> Ingested | Mapping[str, Ingested]:
    """The pages of a TIFF: one array if they are alike, or else one payload each."""
    likeness, metadata = [], []
    for page in range(count):
        image.seek(page)
        _check_size(source, image, limit)
        _check_depth(source, "tiff", image)
        likeness.append((image.mode, image.size))
        metadata.append(_metadata(image))
    if len(set(likeness)) == 1 and image.mode not in ("P", "PA"):
        about = {**metadata[0], "frames": count}
        return _stacked(source, "tiff", image, count, image.mode, about)
    pages = {}
    for page in range(count):
        image.seek(page)
        pages[f"page_{page + 1}"] = Ingested(
            _pixels(image), format="tiff", content_type="image/tiff", metadata=metadata[page]
        )
    return pages


def _animation(source: SourceFile, content: str, image: Image.Image, count: int) -> Ingested:
    """All frames as they are shown, in RGBA: their own modes and palettes differ from one to the next."""
    about = _metadata(image)
    for name in ("palette", "palette_mode", "transparency"):
        about.pop(name, None)
    durations = []
    for frame in range(count):
        image.seek(frame)
        image.load()
        durations.append(float(image.info.get("duration", 0)))
    about |= {"mode": "RGBA", "frames": count, "durations_ms": durations, "loop": image.info.get("loop")}
    return _stacked(source, content, image, count, "RGBA", about)


def _stacked(
    source: SourceFile, content: str, image: Image.Image, count: int, mode: str, about: dict[str, Any]
) -> Ingested:
    channels, dtype = CHANNELS[mode]
    shape = (image.height, image.width, *((channels,) if channels > 1 else ()))

    def frames() -> Iterator[np.ndarray[Any, Any]]:
        with _opened(source, content) as again:
            for frame in range(count):
                again.seek(frame)
                yield _pixels(again if again.mode == mode else again.convert(mode))[np.newaxis]

    return Ingested(
        Blocks(frames(), np.dtype(dtype), shape, rows=count),
        format=content,
        content_type=f"image/{content}",
        metadata=about,
    )
