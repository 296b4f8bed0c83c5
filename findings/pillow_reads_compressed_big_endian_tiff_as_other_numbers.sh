#!/usr/bin/env bash
# Pillow reads a compressed big-endian TIFF of floats with its bytes swapped: 300 comes back as 5.4e-41.
#
# Version:     pillow 13.0.0, tifffile 2026.3.3, imagecodecs 2026.3.6, rasterio 1.4.4, numpy 2.4.6
# Expectation: compression changes no number: an image reads the same with and without it, in each byte order.
# Behaviour:   of uncompressed files Pillow turns the bytes itself. Compressed ones it has unpacked by libtiff, which
#              turns them already, and then it turns them again. So float32 and signed integers of 16 and 32 bits are
#              wrong with each compression, in files whose order is not that of the machine. Nothing is raised or warned
#              of. uint16 is right. tifffile and GDAL read all of them.
# Seen:        float32 300, 301: none -> 300, 301; zlib, lzw, packbits -> 5.39e-41, 1.18e-38; int16 -> 11265, 11521;
#              int32 -> 738263040, 755040256
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pillow==13.0.0 tifffile==2026.3.3 imagecodecs==2026.3.6 rasterio==1.4.4 \
    numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PY'
import numpy as np
import rasterio
import tifffile
from PIL import Image

wrong = set()
for dtype in ("float32", "int16", "int32", "uint16"):
    frame = np.arange(300, 300 + 64 * 64).reshape(64, 64).astype(dtype)
    for order in "<>":
        for compression in (None, "zlib", "lzw", "packbits"):
            tifffile.imwrite("x.tif", frame, byteorder=order, compression=compression)
            with Image.open("x.tif") as image:
                found = np.asarray(image)
            with rasterio.open("x.tif") as file:
                assert np.array_equal(file.read(1), frame)
            assert np.array_equal(tifffile.imread("x.tif"), frame)
            if order == ">":
                print(dtype, compression, image.mode, frame[0, :2], "->", found[0, :2])
            if not np.array_equal(found, frame):
                wrong.add((dtype, order, compression is not None))
                assert np.array_equal(found.astype(dtype).byteswap(), frame)
assert wrong == {("float32", ">", True), ("int16", ">", True), ("int32", ">", True)}
PY
