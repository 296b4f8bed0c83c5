#!/usr/bin/env bash
# numcodecs' BitRound, which shortens floats for compression, turns some NaNs into zero and others into infinity.
#
# Version:     numcodecs 0.16.6, zarr 3.1.6, numpy 2.4.6
# Expectation: a missing reading stays NaN, whatever is kept of the bits of the others. Infinity does stay as it is, and
#              so does numpy's own NaN.
# Behaviour:   the bits of a float are taken for an integer, and rounded up or down to those that are kept. In a NaN
#              whose low bits are set, that carries over into the exponent and the sign. The NaN of all ones, which
#              memory filled with 0xff holds, becomes 0, the one that CUDA computes with (0x7fffffff) -0, and R's NA
#              infinity: values that no test for missing ones finds. Nothing is said. As a filter of zarr it does the
#              same.
# Seen:        float32 7fc00000, 7fffffff, ffffffff, 7f800001 -> nan, -0.0, 0.0, inf; float64 R's NA -> inf
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numcodecs==0.16.6 zarr==3.1.6 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import warnings

import numcodecs
import numpy as np
import zarr

warnings.simplefilter("error")
bits = [0x7FC00000, 0x7FFFFFFF, 0xFFFFFFFF, 0x7F800001]
given = np.array([*bits, 0x7F800000, 0x3FC00000], np.uint32).view(np.float32)  # and infinity, and 1.5
assert np.isnan(given[:4]).all() and given[4] == np.inf and given[5] == 1.5
for keepbits in (3, 10, 20):
    codec = numcodecs.BitRound(keepbits)
    found = np.asarray(codec.decode(codec.encode(given.copy())))
    print(keepbits, [f"{each:08x}" for each in bits], "->", found[:4].tolist())
    assert found.dtype == given.dtype and np.isnan(found[0])
    assert found[1] == 0 and np.signbit(found[1]) and found[2] == 0 and not np.signbit(found[2])
    assert found[3] == np.inf and found[4] == np.inf and found[5] == 1.5

missing = np.array([0x7FF00000000007A2], np.uint64).view(np.float64)  # R's NA
codec = numcodecs.BitRound(10)
assert np.isnan(missing[0]) and np.asarray(codec.decode(codec.encode(missing.copy())))[0] == np.inf

warnings.simplefilter("ignore")  # zarr says of each codec of numcodecs that it is not part of its specification
from numcodecs import zarr3  # noqa: E402

array = zarr.create_array("x.zarr", shape=6, dtype="float32", filters=[zarr3.BitRound(keepbits=10)], fill_value=-1.0)
array[:] = np.frombuffer(b"\xff" * 4 + np.float32(1.5).tobytes() + b"\xff" * 16, np.float32)
found = zarr.open_array("x.zarr", mode="r")[:]
print("zarr, all but one of them filled with 0xff:", found.tolist())
assert found.tolist() == [0.0, 1.5, 0.0, 0.0, 0.0, 0.0]
PY
