#!/usr/bin/env bash
# SimpleITK writes an image of 16 bits to Bio-Rad's format with its bytes swapped: 300 comes back as 11265.
#
# Version:     SimpleITK 2.5.7, numpy 2.4.6
# Expectation: an image of 16 bits of a confocal microscope comes back as it was, or is refused, as types are that the
#              format does not have (int16, float32). Images of 8 bits are right.
# Behaviour:   the format is little-endian, and so is the header that is written. The pixels behind it are turned to
#              big-endian ones. The reader of the same library takes them for little-endian, as the format has it. So
#              small differences become large ones, and a dark image is full of noise. Nothing is raised or warned of.
#              Stacks of images are swapped, too.
# Seen:        300, 301, 302 -> 11265, 11521, 11777; in the file: 01 2c 01 2d 01 2e
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet SimpleITK==2.5.7 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import struct

import numpy as np
import SimpleITK


def copied(array):
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(array), "x.pic")
    return SimpleITK.GetArrayFromImage(SimpleITK.ReadImage("x.pic"))


frame = np.arange(300, 320, dtype=np.uint16).reshape(4, 5)
for given in (frame, np.stack([frame, frame + 7])):
    found = copied(given)
    print(given.ravel()[:3], "->", found.ravel()[:3])
    assert found.dtype == given.dtype and found.shape == given.shape
    assert np.array_equal(found, given.byteswap())

content = open("x.pic", "rb").read()
columns, rows, images = struct.unpack("<3h", content[:6])  # the header, of 76 bytes, is little-endian
words, (mark,) = struct.unpack("<h", content[14:16])[0] == 0, struct.unpack("<h", content[54:56])
print(f"{columns} x {rows} x {images}, 16 bits: {words}, mark {mark}; pixels:", content[76:82].hex(" "))
assert (columns, rows, images, words, mark) == (5, 4, 2, True, 12345)
assert np.array_equal(np.frombuffer(content, ">u2", frame.size, 76), frame.ravel())

small = frame.astype(np.uint8)
assert np.array_equal(copied(small), small)
for refused in (np.int16, np.float32):
    try:
        copied(frame.astype(refused))
    except RuntimeError as error:
        print(refused.__name__, str(error).strip().splitlines()[-1])
    else:
        raise AssertionError(f"{refused.__name__} is taken")
PY
