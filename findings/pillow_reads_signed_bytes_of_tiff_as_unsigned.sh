#!/usr/bin/env bash
# Pillow reads signed bytes of TIFF as unsigned ones, and unsigned numbers of 32 bits as signed: -1 becomes 255.
#
# Version:     Pillow 13.0.0, tifffile 2026.3.3, numpy 2.4.6
# Expectation: pixels come back as the numbers that the file says it holds, if need be in a larger type, as int16
#              comes back as int32; or the file is refused, as big-endian uint32 and float64 are.
# Behaviour:   the image of int8 opens in mode L, which has no sign: -1 is 255, -128 is 128. That of uint32 opens in
#              mode I, which has one: all from 2147483648 on is negative. The release notes of Pillow 10.0.0 say that
#              TIFF of signed bytes can be read. The order of pixels is lost, and with it each threshold and mean.
#              Nothing is said.
# Seen:        int8 -128, -1, 0, 127 -> uint8 128, 255, 0, 127; uint32 3000000000 -> int32 -1294967296
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet Pillow==13.0.0 tifffile==2026.3.3 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W error - <<'PY'
import numpy as np
import tifffile
from PIL import Image, UnidentifiedImageError


def found(pixels, order="<"):
    tifffile.imwrite("x.tif", pixels, byteorder=order)
    assert np.array_equal(tifffile.imread("x.tif"), pixels)
    with Image.open("x.tif") as image:
        read = np.asarray(image)
    print(pixels.dtype, pixels.ravel(), "->", image.mode, read.dtype, read.ravel())
    return read


def numbers(dtype, *values):
    return np.array([values], dtype)


shorts = numbers(np.int16, -32768, -1, 0, 32767)
assert np.array_equal(found(shorts), shorts)
signed = numbers(np.int8, -128, -1, 0, 127)
for order in "<>":
    read = found(signed, order)
    assert read.dtype == np.uint8 and np.array_equal(read, signed.view(np.uint8))
unsigned = numbers(np.uint32, 0, 2147483647, 3000000000, 4294967295)
read = found(unsigned)
assert read.dtype == np.int32 and np.array_equal(read, unsigned.view(np.int32))
for refused, order in ((unsigned, ">"), (unsigned.astype(float), "<")):
    try:
        found(refused, order)
    except UnidentifiedImageError:
        print(refused.dtype, order, "is refused")
    else:
        raise AssertionError("it can be read now")
PY
