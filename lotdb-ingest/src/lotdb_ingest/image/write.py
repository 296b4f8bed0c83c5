"""Writing images, pixel for pixel where the format allows it; what was written is read again to be sure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from lotdb import ExportError, InvalidOptionError, Payload, TargetFile
from lotdb_ingest.image.about import INVERTED
from lotdb_ingest.image.modes import CHANNELS, OPENERS, dtype_of, last_axis, opened
from lotdb_ingest.image.notes import notes
from lotdb_ingest.image.png import put_chunks
from lotdb_ingest.image.png_deep import mode_of, write_deep
from lotdb_ingest.image.write_tiff import needs_tifffile, put_notes, write_tiff

__all__ = ["write"]

#: The modes that a format holds as they are.
MODES = {
    "bmp": ("1", "L", "P", "RGB"),
    "gif": ("L", "P"),
    "jpeg": ("L", "RGB", "CMYK"),
    "png": ("1", "L", "LA", "P", "I;16", "RGB", "RGBA"),
    "tiff": ("1", "L", "LA", "P", "PA", "I;16", "I", "F", "RGB", "RGBA", "RGBX", "CMYK", "LAB", "YCbCr"),
    "webp": ("RGB", "RGBA"),
}
#: Those of animations, whose frames are shown in RGBA wherever they are read.
ANIMATED = {
    "gif": ("L", "P", "RGB", "RGBA"),
    "png": ("1", "L", "LA", "P", "RGB", "RGBA"),
    "tiff": MODES["tiff"],
    "webp": ("RGB", "RGBA"),
}
GUESSED = ("1", "L", "I;16", "I", "F", "LA", "RGB", "RGBA")
BIG_TIFF_BYTES = 3 << 30


def write(target: TargetFile, payload: Payload, format: str) -> None:
    """Write the pixels of *payload* to *target*."""
    if format == "tiff" and (needs_tifffile(payload) or not _is_of_pillow(payload)):
        write_tiff(target.file, payload)
        return
    if format != "tiff" and payload.metadata.get("white_is_zero") is True:
        raise ExportError(
            f"{target.format} cannot say that white is zero, and would show it inverted; choose tiff, or "
            "store it inverted with write_data, without white_is_zero in its metadata"
        )
    if format == "png" and (mode := mode_of(payload)):
        write_deep(target, payload, mode)
        return
    images = _Images(payload, format)
    if len(images) > 1 and format not in ANIMATED:
        raise ExportError(f"{target.format} holds one image, there are {len(images)}; choose tiff")
    places = ANIMATED if len(images) > 1 else MODES
    if images.mode not in places[format] and (format != "gif" or images.mode not in ANIMATED["gif"]):
        fits = ", ".join(each for each in places if images.mode in places[each]) or "npy"
        raise ExportError(
            f"{target.format} cannot hold images of mode {images.mode} without loss; choose {fits}"
        )
    quality = _quality(target, format)
    options = {**notes(format, images.mode, payload.metadata), **quality}
    if format == "tiff" and options["exif"].get(INVERTED) == 0 and images.mode in ("1", "L"):
        images.inverted = True  # Pillow inverts these modes again as it writes them
    first = images[0]
    if len(images) > 1:
        options |= {"save_all": True, "append_images": _Rest(images)}
        options |= _timing(format, payload.metadata, images)
    if format == "gif":
        options["optimize"] = False  # it would remove unused colours, and renumber the others
    if format == "gif" and len(images) > 1:
        options["disposal"] = 2  # each frame is whole, whatever was shown before
    if format == "tiff" and payload.nbytes > BIG_TIFF_BYTES:
        options["big_tiff"] = True
    try:
        first.save(target.file, OPENERS[format].format, **options)
    except Exception as error:
        if isinstance(error, ExportError):
            raise
        raise ExportError(f"Pillow cannot write it: {str(error) or type(error).__name__}") from error
    images.inverted = False
    if format == "tiff":
        put_notes(target.file, payload.metadata, len(images), named=False)
    if format == "png":
        put_chunks(target.file, payload.metadata)
    is_lossy = format == "jpeg" or (format == "webp" and not quality["lossless"])
    _check_written(target, format, images, is_lossy)


class _Images:
    """The images in a payload, each made when it is needed."""

    def __init__(self, payload: Payload, format: str) -> None:
        self.mode, self._many = _mode(payload)
        self._payload, self._format = payload, format
        self._metadata = payload.metadata
        self.inverted = False

    def __len__(self) -> int:
        return len(self._payload) if self._many else 1

    def __getitem__(self, number: int) -> Image.Image:
        pixels = self._payload[number] if self._many else self._payload.read()
        if self.inverted:
            pixels = ~pixels
        image = _image(pixels, self.mode, self._metadata)
        if self._format == "gif" and self.mode in ("RGB", "RGBA"):
            return _with_palette(image)
        # Frames are cleared away in RGBA, see _timing.
        return image.convert("RGBA") if self._format == "png" and len(self) > 1 else image


class _Rest:
    """All images but the first, as often as Pillow goes through them."""

    def __init__(self, images: _Images) -> None:
        self._images = images

    def __iter__(self) -> Iterator[Image.Image]:
        return (self._images[number] for number in range(1, len(self._images)))


def _is_of_pillow(payload: Payload) -> bool:
    try:
        _mode(payload)
    except ExportError:
        return False
    return True


def _mode(payload: Payload) -> tuple[str, bool]:
    """Pillow's mode for *payload*, and whether it has several frames."""
    dtype, known = payload.dtype.newbyteorder("=").name, payload.metadata.get("mode")
    modes = ([known] if isinstance(known, str) and known in CHANNELS else []) + list(GUESSED)
    fitting = [mode for mode in modes if CHANNELS[mode][1] == dtype]
    for many in (True, False) if "frames" in payload.metadata else (False, True):
        shape = payload.shape[1:] if many else payload.shape
        for mode in fitting:
            if 0 not in payload.shape and shape[2:] == last_axis(mode) and len(shape) >= 2:
                return mode, many
    raise ExportError(
        f"shape {payload.shape} of {payload.dtype} is not that of an image: rows, columns and 1 to 4 "
        "channels of uint8, or one of bool, uint16, int32 or float32; choose npy"
    )


def _image(pixels: np.ndarray[Any, Any], mode: str, metadata: dict[str, Any]) -> Image.Image:
    size = (pixels.shape[1], pixels.shape[0])
    if mode == "1":
        grey = Image.frombytes("L", size, (pixels.astype(np.uint8) * 255).tobytes())
        return grey.convert("1", dither=Image.Dither.NONE)
    little = pixels.dtype.newbyteorder("<") if mode == "I;16" else pixels.dtype.newbyteorder("=")
    image = Image.frombytes(mode, size, np.ascontiguousarray(pixels, little).tobytes())
    if mode in ("P", "PA"):
        palette = metadata.get("palette")
        colours = (
            np.arange(256, dtype=np.uint8).repeat(3) if palette is None else np.asarray(palette, np.uint8)
        )
        image.putpalette(colours.tobytes(), metadata.get("palette_mode", "RGB"))
    return image


def _with_palette(image: Image.Image) -> Image.Image:
    """The image in the colours that it has, which a GIF may have 256 of, one of them transparent."""
    pixels = np.asarray(image.convert("RGBA"))
    if not np.isin(pixels[..., 3], (0, 255)).all():
        raise ExportError("gif cannot hold pixels that are half transparent; choose png, webp or tiff")
    colours, indices = np.unique(pixels.reshape(-1, 4), axis=0, return_inverse=True)
    if len(colours) > 256 or np.count_nonzero(colours[:, 3] == 0) > 1:
        raise ExportError("gif cannot hold an image of more than 256 colours; choose png, webp or tiff")
    found = Image.frombytes("P", image.size, indices.astype(np.uint8).tobytes())
    found.putpalette(np.ascontiguousarray(colours[:, :3]).tobytes())
    if (colours[:, 3] == 0).any():
        found.info["transparency"] = int(np.flatnonzero(colours[:, 3] == 0)[0])
    return found


def _quality(target: TargetFile, format: str) -> dict[str, Any]:
    """How much may be lost, for the formats that can lose something."""
    quality, lossless = target.options.get("quality"), target.options.get("lossless")
    if quality is not None and (isinstance(quality, bool) or quality not in range(101)):
        raise InvalidOptionError(f"quality is {quality!r}; use a whole number from 0 to 100")
    if lossless not in (None, True, False):
        raise InvalidOptionError(f"lossless is {lossless!r}; use True or False")
    if format == "jpeg":
        return {"quality": 95 if quality is None else quality}
    if format != "webp":
        return {}
    lossless = quality is None if lossless is None else lossless
    return {"lossless": lossless, "exact": lossless} | ({} if quality is None else {"quality": quality})


def _timing(format: str, metadata: dict[str, Any], images: _Images) -> dict[str, Any]:
    if format == "tiff":
        return {}
    durations = metadata.get("durations_ms")
    options: dict[str, Any] = {}
    if isinstance(durations, list) and len(durations) == len(images):
        options["duration"] = [each if format == "png" else round(each) for each in durations]
    if isinstance(metadata.get("loop"), int):
        options["loop"] = metadata["loop"]
    if format == "png":
        # Pillow joins equal frames; it does not if they are to be cleared away differently.
        options["disposal"] = [number % 2 for number in range(len(images))]
    return options


def _check_written(target: TargetFile, format: str, images: _Images, is_lossy: bool) -> None:
    with opened(format, target.file) as written:
        count = getattr(written, "n_frames", 1)
        if count != len(images):
            raise ExportError(
                f"{target.format} would join equal frames: of {len(images)} it keeps {count}; choose png, "
                "tiff or npy"
            )
        for number in range(0 if is_lossy else count):
            written.seek(number)
            written.load()
            if not _is_same(written, images[number]):
                raise ExportError(f"{target.format} would not hold it exactly; choose {_others(format)}")


def _is_same(written: Image.Image, image: Image.Image) -> bool:
    if written.mode != image.mode and {written.mode, image.mode} != {"L", "P"}:
        written, image = written.convert("RGBA"), image.convert("RGBA")
    pixels = np.asarray(image)
    if dtype_of(written) != dtype_of(image) or not np.array_equal(np.asarray(written), pixels):
        return False
    if image.mode not in ("P", "PA"):
        return True
    indices = np.unique(pixels if image.mode == "P" else pixels[..., 0])
    return np.array_equal(_colours(written)[indices], _colours(image)[indices])


def _colours(image: Image.Image) -> np.ndarray[Any, Any]:
    """The colour of each index; black for an index without a colour."""
    if image.mode == "L":
        return np.arange(256, dtype=np.uint8).repeat(3).reshape(256, 3)
    colours = np.zeros((256, 3), np.uint8)
    palette = np.array(image.getpalette() or [], np.uint8).reshape(-1, 3)[:256]
    colours[: len(palette)] = palette
    return colours


def _others(format: str) -> str:
    return " or ".join(each for each in ("png", "tiff", "npy") if each != format)
