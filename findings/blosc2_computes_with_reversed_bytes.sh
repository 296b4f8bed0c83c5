#!/usr/bin/env bash
# blosc2 computes with the bytes of big-endian arrays in the wrong order: 1 + 1 is 16777217.
#
# Version:     blosc2 4.14.1, numpy 2.4.6
# Expectation: expressions of blosc2 arrays give what the same ones give for numpy arrays, or refuse a type.
# Behaviour:   an array of >i4 or >f8, as it comes from FITS, SEG-Y or netCDF, is stored and read back rightly, dtype
#              included. An expression or a sum takes its bytes for little-endian ones, and gives a result of a plain
#              int32 or float64. So ten volts are next to none. Nothing is said.
# Seen:        [1, 2] of >i4: + 1 -> [16777217, 33554433], sum -> 50331648; [10.0, 20.0] of >f8: * 2 -> below 1e-300
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet blosc2==4.14.1 numpy==2.4.6
"$folder/venv/bin/python" -W error::UserWarning - <<'PY'
import blosc2
import numpy as np

counts = np.array([1, 2], ">i4")
volts = np.array([10.0, 20.0], ">f8")
for given in (counts, volts):
    stored = blosc2.asarray(given)
    assert stored.dtype == given.dtype
    assert np.array_equal(stored[:], given)
found = (blosc2.asarray(counts) + 1)[:]
print(counts, "+ 1 ->", found, found.dtype)
assert found.tolist() == [16777217, 33554433]
print("sum", counts.sum(), "->", blosc2.sum(blosc2.asarray(counts)))
assert blosc2.sum(blosc2.asarray(counts)) == 50331648
found = (blosc2.asarray(volts) * 2)[:]
print(volts, "* 2 ->", found, found.dtype)
assert (np.abs(found) < 1e-300).all()
little = (blosc2.asarray(counts.astype("<i4")) + 1)[:]
assert little.tolist() == [2, 3]
PY
