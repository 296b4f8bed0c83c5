"""The ingester of images keeps what an ingester promises."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from lotdb.testing import IngesterTests, Sample
from lotdb_ingest.image import plugin as image

PIXELS = np.random.default_rng(3).integers(0, 256, (6, 5, 3), np.uint8)


def encoded(picture, format, **options):
    file = io.BytesIO()
    picture.save(file, format, **options)
    return file.getvalue()


class TestImageIngester(IngesterTests):
    @pytest.fixture
    def plugin(self):
        return image

    @pytest.fixture
    def samples(self):
        colour = Image.fromarray(PIXELS)
        grey = Image.fromarray(PIXELS[..., 0])
        indexed = colour.quantize(8)
        jpeg = encoded(colour, "JPEG")
        frames = [Image.fromarray(PIXELS + shift).convert("RGBA") for shift in (0, 50, 100)]
        pages = np.stack([np.asarray(frame) for frame in frames])
        wide = Image.fromarray(PIXELS.astype(np.uint16)[..., 0] * 257)
        animated = {"save_all": True, "append_images": frames[1:], "duration": 30}
        two_colours = [Image.fromarray(PIXELS[..., 0] // 128 * shift) for shift in (1, 100, 200)]
        shown = np.stack([np.asarray(each.convert("RGBA")) for each in two_colours])
        samples = [
            Sample("a.png", encoded(colour, "PNG", dpi=(300, 300)), PIXELS, metadata={"mode": "RGB"}),
            Sample("grey.PNG", encoded(grey, "PNG"), PIXELS[..., 0]),
            Sample("indexed.png", encoded(indexed, "PNG"), np.asarray(indexed), metadata={"mode": "P"}),
            Sample("b.jpg", jpeg, np.asarray(Image.open(io.BytesIO(jpeg))), exported=False),
            Sample("c.tif", encoded(colour, "TIFF"), PIXELS),
            Sample("pages.tiff", encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:]), pages),
            Sample("d.bmp", encoded(colour, "BMP"), PIXELS),
            Sample("e.webp", encoded(colour, "WEBP", lossless=True), PIXELS),
            Sample("f.gif", encoded(indexed, "GIF", optimize=False), np.asarray(indexed)),
            Sample("frames.png", encoded(frames[0], "PNG", **animated), pages, metadata={"frames": 3}),
            Sample("frames.webp", encoded(frames[0], "WEBP", lossless=True, **animated), pages),
            Sample(
                "frames.gif",
                encoded(two_colours[0], "GIF", **{**animated, "append_images": two_colours[1:]}),
                shown,
                metadata={"durations_ms": [30.0] * 3},
            ),
            Sample("lzw.tif", encoded(wide, "TIFF", compression="tiff_lzw"), np.asarray(wide)),
            Sample("one.tif", encoded(grey.convert("1"), "TIFF"), np.asarray(grey.convert("1"))),
            Sample("indexed.bmp", encoded(indexed, "BMP"), np.asarray(indexed)),
        ]
        # An altered header announces images of any size, and millions of pixels take their time.
        return [replace(sample, options={"max_pixels": 5000}) for sample in samples]

    @pytest.fixture
    def backends(self):
        return ["blob", "zarr"]
