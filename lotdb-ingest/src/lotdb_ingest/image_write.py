"""Writing images, pixel for pixel where the format allows it."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

from lotdb import ExportError, InvalidOptionError, Payload, TargetFile
from lotdb_ingest.image_read import CHANNELS, OPENERS

__all__ = ["write"]

#: The modes that a format holds as they are.
MODES = {
    "bmp": ("1", "L", "P", "RGB"),
    "gif": ("L", "P"),
    "jpeg": ("L", "RGB", "CMYK"),
    "png": ("1", "L", "LA", "P", "I;16", "RGB", "RGBA"),
    "tiff": ("1", "L", "LA", "P", "PA", "I;16", "I", "F", "RGB", "RGBA", "CMYK", "LAB", "YCbCr"),
    "webp": ("RGB", "RGBA"),
}
ANIMATED = ("gif", "png", "tiff", "webp")


def write(target: TargetFile, payload: Payload, format: str) -> None:
    """Write the pixels of *payload* to *target*."""
    metadata = payload.metadata
    mode, frames = _mode(payload, metadata)
    modes = (*MODES[format], "RGB", "RGBA") if format == "gif" else MODES[format]
    if mode not in modes:
        fits = ", ".join(each for each in MODES if mode in MODES[each]) or "npy"
        raise ExportError(f"{target.format} cannot hold images of mode {mode} without loss; choose {fits}")
    if frames and format not in ANIMATED:
        raise ExportError(f"{target.format} holds one image, there are {len(payload)}; choose tiff")
    images = [_image(pixels, mode, metadata) for pixels in (payload if frames else [payload.read()])]
    if not images:
        raise ExportError("there is no image in it")
    if format == "gif" and mode in ("RGB", "RGBA"):
        images = [_with_palette(image) for image in images]
    options = _options(target, format, metadata, mode)
    if frames:
        options |= {"save_all": True, "append_images": images[1:]} | _timing(format, metadata, len(images))
    if format == "gif" and frames:
        options["disposal"] = 2  # each frame is whole, whatever was shown before
    try:
        images[0].save(target.file, OPENERS[format].format, **options)
    except (OSError, ValueError, KeyError) as error:
        raise ExportError(f"Pillow cannot write it: {error}") from error
    if frames:
        _check_frames(target, format, len(images))


def _mode(payload: Payload, metadata: dict[str, Any]) -> tuple[str, bool]:
    """Pillow's mode for *payload*, and whether there are several frames."""
    dtype = payload.dtype.newbyteorder("=").name
    known = metadata.get("mode")
    frames = "frames" in metadata
    for mode in (known, "1", "L", "I;16", "I", "F", "LA", "RGB", "RGBA"):
        if mode not in CHANNELS:
            continue
        channels, wanted = CHANNELS[mode]
        pixels = payload.shape[1:] if frames else payload.shape
        if dtype == wanted and _is_image(pixels, channels):
            return mode, frames
        if not frames and dtype == wanted and payload.ndim == 4 and _is_image(payload.shape[1:], channels):
            return mode, True
    raise ExportError(
        f"shape {payload.shape} of {payload.dtype} is not that of an image: rows, columns and 1 to 4 "
        "channels of uint8, or one of bool, uint16, int32 or float32"
    )


def _is_image(shape: tuple[int, ...], channels: int) -> bool:
    return 0 not in shape and (len(shape) == 2 if channels == 1 else len(shape) == 3 and shape[2] == channels)


def _image(pixels: np.ndarray[Any, Any], mode: str, metadata: dict[str, Any]) -> Image.Image:
    size = (pixels.shape[1], pixels.shape[0])
    if mode == "1":
        grey = Image.frombytes("L", size, (pixels.astype(np.uint8) * 255).tobytes())
        return grey.convert("1", dither=Image.Dither.NONE)
    little = pixels.dtype.newbyteorder("<") if mode == "I;16" else pixels.dtype.newbyteorder("=")
    image = Image.frombytes(mode, size, np.ascontiguousarray(pixels, little).tobytes())
    if mode in ("P", "PA"):
        palette = metadata.get("palette")
        colours = np.arange(256, dtype=np.uint8).repeat(3) if palette is None else np.asarray(palette)
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


def _options(target: TargetFile, format: str, metadata: dict[str, Any], mode: str) -> dict[str, Any]:
    """What Pillow is told beside the pixels."""
    options: dict[str, Any] = {
        name: metadata[name] for name in ("exif", "icc_profile", "dpi") if name in metadata
    }
    if format in ("bmp", "gif"):
        options = {name: value for name, value in options.items() if name == "dpi" and format == "bmp"}
    if "transparency" in metadata and format in ("png", "gif") and mode in ("P", "L", "RGB", "1", "I;16"):
        options["transparency"] = metadata["transparency"]
    if "comment" in metadata and format in ("jpeg", "gif"):
        options["comment"] = metadata["comment"]
    if format == "png" and metadata.get("text"):
        options["pnginfo"] = PngImagePlugin.PngInfo()
        for key, text in metadata["text"].items():
            options["pnginfo"].add_text(key, text)
    if format == "gif":
        options["optimize"] = False  # it would leave out colours that are not used, and number the rest anew
    quality = target.options.get("quality")
    if quality is not None and (isinstance(quality, bool) or quality not in range(101)):
        raise InvalidOptionError(f"quality is {quality!r}; use a whole number from 0 to 100")
    if format == "jpeg":
        options["quality"] = 95 if quality is None else quality
    if format == "webp":
        options |= {"lossless": True, "exact": True} if quality is None else {"quality": quality}
    return options


def _timing(format: str, metadata: dict[str, Any], count: int) -> dict[str, Any]:
    if format == "tiff":
        return {}
    durations = metadata.get("durations_ms")
    options: dict[str, Any] = {}
    if isinstance(durations, list) and len(durations) == count:
        options["duration"] = [round(each) for each in durations]
    if isinstance(metadata.get("loop"), int):
        options["loop"] = metadata["loop"]
    return options


def _check_frames(target: TargetFile, format: str, count: int) -> None:
    """Refuse a file into which Pillow has drawn several equal frames as one."""
    target.file.seek(0)
    written = getattr(OPENERS[format](target.file), "n_frames", 1)
    if written != count:
        raise ExportError(
            f"{target.format} would join equal frames: of {count} it keeps {written}; choose tiff or npy"
        )
