"""Fuzz the ingester of images: python tests/fuzz/fuzz_image.py png -max_total_time=600

The first argument is the format: png, jpeg, tiff, gif, bmp or webp. Without one, it is told by the content.
The checksums of a PNG are put right, as mutation alone would never do.
"""

import io
import sys
import zlib

import harness  # type: ignore[import-not-found]
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

from lotdb_ingest.image import plugin as image

PIXELS = np.random.default_rng(5).integers(0, 256, (6, 5, 4), np.uint8)
COLOUR = Image.fromarray(PIXELS[..., :3])
MODULES = [
    BmpImagePlugin,
    GifImagePlugin,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
]


def saved(picture, format, more=(), **options):
    file = io.BytesIO()
    several = {"save_all": True, "append_images": list(more)} if more else {}
    picture.save(file, format, **several, **options)
    return file.getvalue()


def seeds():
    """Small files by format."""
    alpha, grey, indexed = Image.fromarray(PIXELS), COLOUR.convert("L"), COLOUR.quantize(4)
    wide = Image.fromarray(PIXELS.view(np.uint16)[..., 0])
    frames = [Image.fromarray(np.roll(PIXELS, shift, axis=0)) for shift in (1, 2)]
    exif, text = Image.Exif(), PngImagePlugin.PngInfo()
    exif[274] = 6
    text.add_text("Title", "text", zip=True)
    text.add_itxt("XML:com.adobe.xmp", "<x/>")
    deflated = {"compression": "tiff_adobe_deflate"}
    return {
        "png": [
            saved(COLOUR, "PNG", pnginfo=text, exif=exif, dpi=(72, 72), icc_profile=b"profile"),
            saved(indexed, "PNG", transparency=1),
            saved(wide, "PNG"),
            saved(grey.convert("1"), "PNG"),
            saved(alpha, "PNG", frames, duration=[10, 20, 30], disposal=[0, 1, 2], blend=[0, 1, 0]),
        ],
        "jpeg": [
            saved(COLOUR, "JPEG", exif=exif, comment=b"comment", icc_profile=b"profile", dpi=(72, 72)),
            saved(grey, "JPEG", progressive=True),
            saved(COLOUR.convert("CMYK"), "JPEG"),
            saved(COLOUR, "MPO", [grey.convert("RGB")]),
        ],
        "tiff": [
            saved(COLOUR, "TIFF", exif=exif, dpi=(72, 72), description=b"text"),
            saved(wide, "TIFF", **deflated),
            saved(indexed, "TIFF", compression="tiff_lzw"),
            saved(alpha, "TIFF", frames, compression="packbits"),
            saved(grey.convert("1"), "TIFF", [COLOUR], big_tiff=True),
            saved(COLOUR, "TIFF", compression="jpeg"),
        ],
        "gif": [
            saved(indexed, "GIF", comment=b"comment"),
            saved(frames[0], "GIF", frames, duration=[10, 20, 30], disposal=[1, 2, 3], loop=2),
        ],
        "bmp": [saved(each, "BMP") for each in (COLOUR, indexed, grey.convert("1"), alpha)],
        "webp": [
            saved(alpha, "WEBP", lossless=True, exif=exif, icc_profile=b"profile"),
            saved(COLOUR, "WEBP"),
            saved(alpha, "WEBP", frames, lossless=True, duration=20),
        ],
    }


def with_checksums(content):
    """A PNG with the right checksum behind each chunk."""
    parts, place = [content[:8]], 8
    while place + 12 <= len(content):
        end = place + 8 + int.from_bytes(content[place : place + 4], "big")
        chunk = content[place:end]
        parts.append(chunk + zlib.crc32(chunk[4:]).to_bytes(4, "big"))
        place = end + 4
    return b"".join([*parts, content[place:]])


if __name__ == "__main__":
    options = {"max_pixels": 1 << 18, "max_bytes": 1 << 25}
    by_format = seeds()
    if sys.argv[1:] and sys.argv[1] in by_format:
        format = sys.argv.pop(1)
        how = {"seeds": by_format[format], "made": with_checksums if format == "png" else bytes}
    else:
        format = "auto"
        how = {"seeds": [seed for each in by_format.values() for seed in each]}
    harness.run(image, name=f"x.{format}", options={"format": format, **options}, instrument=MODULES, **how)
