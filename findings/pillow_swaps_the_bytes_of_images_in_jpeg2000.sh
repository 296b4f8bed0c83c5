#!/usr/bin/env bash
# Pillow converts a big-endian TIFF of 16 bits, as ImageJ writes it, to JPEG 2000 with swapped bytes: 300 is 11265.
#
# Version:     pillow 13.0.0, tifffile 2026.3.3, imagecodecs 2026.3.6, numpy 2.4.6
# Expectation: `Image.open("x.tif").save("x.jp2")` keeps the pixels, as JPEG 2000 is without loss here, or refuses the
#              mode, as PPM, TGA, SGI, BMP and PCX do ("cannot write mode I;16B").
# Behaviour:   such an image is opened as mode I;16B, and shows its right numbers. The writer of JPEG 2000 alone takes
#              its bytes, as they lie in memory, for little-endian ones. Pillow and imagecodecs find the wrong numbers
#              in the file. Nothing is said. PNG and TIFF are right, and so is the little-endian image (I;16).
# Seen:        300, 301, 302 -> I;16B 300, 301, 302 -> JPEG 2000 11265, 11521, 11777
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pillow==13.0.0 tifffile==2026.3.3 imagecodecs==2026.3.6 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import imagecodecs
import numpy as np
import tifffile
from PIL import Image

frame = np.arange(300, 300 + 64 * 64, dtype=np.uint16).reshape(64, 64)
tifffile.imwrite("big.tif", frame, byteorder=">")
tifffile.imwrite("little.tif", frame, byteorder="<")
for name, mode in (("big.tif", "I;16B"), ("little.tif", "I;16")):
    image = Image.open(name)
    assert image.mode == mode and np.array_equal(np.asarray(image), frame)
    for ending in ("png", "tif", "jp2"):
        image.save("copy." + ending)
        found = np.asarray(Image.open("copy." + ending))
        print(name, mode, np.asarray(image)[0, :3], "->", ending, found[0, :3])
        swapped = ending == "jp2" and mode == "I;16B"
        assert np.array_equal(found, frame.byteswap() if swapped else frame)
    with open("copy.jp2", "rb") as file:
        assert np.array_equal(imagecodecs.jpeg2k_decode(file.read()), found)
try:
    Image.open("big.tif").save("copy.ppm")
except OSError as error:
    print(error)
else:
    raise AssertionError("PPM takes the mode now")
PY
