#!/usr/bin/env bash
# OpenCV reads numbers from 2**31 on out of its own YAML, JSON and XML files as 0, and stores int64 cut to 32 bits.
#
# Version:     opencv-python-headless 5.0.0.93, numpy 2.4.6
# Expectation: a matrix of uint32, a type that OpenCV 5 has, comes back from `FileStorage` as it was; one of int64, if
#              it is not stored as such, is refused where its numbers do not fit.
# Behaviour:   the text has the right numbers of uint32, and names the type. The reader makes 0 of each number that does
#              not fit into 31 bits, so full scale and the upper half of the range are silence. Of int64 the lower 32
#              bits are written, as int32. Nothing is said.
# Seen:        uint32 5, 2147483647, 2147483648, 4294967295 -> 5, 2147483647, 0, 0; int64 9007199254740993 -> int32 1
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet opencv-python-headless==5.0.0.93 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W error::UserWarning - <<'PY'
import cv2
import numpy as np


def stored(values, name):
    storage = cv2.FileStorage(name, cv2.FILE_STORAGE_WRITE)
    storage.write("x", values)
    storage.release()
    storage = cv2.FileStorage(name, cv2.FILE_STORAGE_READ)
    try:
        return storage.getNode("x").mat()
    finally:
        storage.release()


given = np.array([[5, 2**31 - 1, 2**31, 2**32 - 1]], np.uint32)
for name in ("x.yml", "x.json", "x.xml"):
    found = stored(given, name)
    with open(name) as file:
        text = file.read()
    print(name, given.tolist(), "->", found.dtype, found.tolist())
    assert all(str(number) in text for number in given[0])
    assert found.dtype == np.uint32 and found.tolist() == [[5, 2**31 - 1, 0, 0]]
found = stored(np.array([[2**53 + 1, 2**31, -5]]), "x.yml")
print("int64", [2**53 + 1, 2**31, -5], "->", found.dtype, found.tolist())
assert found.dtype == np.int32 and found.tolist() == [[1, -(2**31), -5]]
PY
