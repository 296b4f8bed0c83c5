#!/usr/bin/env bash
# tifffile packs the bits of three masks that lie side by side wrongly, and reads other masks back.
#
# Version:     tifffile 2026.3.3, imageio 2.38.1, rasterio 1.4.4 (GDAL), numpy 2.4.6
# Expectation: a Boolean array of the shape (height, width, 3) comes back as it was, as (3, height, width) does, and as
#              one of uint8 does in both shapes.
# Behaviour:   Booleans are packed, eight to a byte. TIFF wants the three bits of a pixel next to each other.
#              tifffile packs along the width instead: eight columns of one mask to a byte. Its reader expects what
#              TIFF has, and so does GDAL: both give the same wrong masks, of the right shape and type. Images of two
#              and of four channels, and compressed ones, are wrong, too. So is what imageio writes, which hands
#              arrays of Booleans to tifffile. Nothing is said.
# Seen:        2 x 3 pixels, first row (1, 0, 0), second row (0, 0, 1) -> first pixel (1, 1, 1), all others (0, 0, 0)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tifffile==2026.3.3 imageio==2.38.1 rasterio==1.4.4 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W error - <<'PY'
import warnings

import imageio.v3 as imageio
import numpy as np
import rasterio
import tifffile
from rasterio.errors import NotGeoreferencedWarning


def copied(image, **settings):
    tifffile.imwrite("x.tif", image, **settings)
    found = tifffile.imread("x.tif")
    assert found.shape == image.shape and found.dtype == image.dtype
    return found


masks = np.zeros((2, 3, 3), bool)
masks[0, :, 0] = masks[1, :, 2] = True
found = copied(masks, photometric="rgb")
print(masks.astype(int).tolist(), "->", found.astype(int).tolist())
wrong = np.zeros((2, 3, 3), bool)
wrong[0, 0] = True
assert np.array_equal(found, wrong)
with warnings.catch_warnings():
    warnings.simplefilter("ignore", NotGeoreferencedWarning)
    with rasterio.open("x.tif") as other:
        assert np.array_equal(np.moveaxis(other.read(), 0, -1), wrong)

random = np.random.default_rng(0)
for shape in ((20, 30, 3), (20, 32, 3), (20, 30, 4), (20, 30, 2)):
    image = random.integers(0, 2, shape).astype(bool)
    for settings in ({}, {"compression": "zlib"}):
        settings["photometric"] = "rgb" if shape[2] > 2 else "minisblack"
        different = np.mean(copied(image, planarconfig="contig", **settings) != image)
        print(shape, settings, f"{different:.0%} of the bits differ")
        assert different > 0.3
        bytes_ = image.astype("u1")
        assert np.array_equal(copied(bytes_, planarconfig="contig", **settings), bytes_)
    if shape[2] == 3:
        imageio.imwrite("y.tif", image)
        assert np.mean(imageio.imread("y.tif") != image) > 0.3
    planes = np.moveaxis(image, -1, 0).copy()
    assert np.array_equal(copied(planes, photometric="minisblack"), planes)
PY
