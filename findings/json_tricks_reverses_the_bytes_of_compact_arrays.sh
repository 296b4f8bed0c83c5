#!/usr/bin/env bash
# json-tricks reverses the bytes of a big-endian array in its compact form: 1 comes back as 16777216.
#
# Version:     json-tricks 3.17.3, numpy 2.4.6
# Expectation: an array comes back with the same numbers, as without ndarray_compact=True; or it is refused, as arrays
#              in Fortran's order and times are.
# Behaviour:   the bytes are stored as they lie in memory, beside the name of the type, which does not say their order.
#              They are read as little-endian ones. The threshold form (ndarray_compact=4) turns it on for arrays of
#              some size, so short ones come back right and long ones wrong. Of an array of objects the three letters
#              of a mark are left: b, 6, 4. Nothing is said.
# Seen:        big-endian int32 1, 2, 3 -> 16777216, 33554432, 50331648; objects 1, None, "a" -> "b", "6", "4"
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet json-tricks==3.17.3 numpy==2.4.6
"$folder/venv/bin/python" -W error - <<'PY'
import json_tricks
import numpy as np


def copied(array, compact):
    found = json_tricks.loads(json_tricks.dumps(array, properties={"ndarray_compact": compact}))
    print(array.dtype, array, f"compact={compact}", "->", found)
    return found


little = np.array([1, 2, 3], "<i4")
big = little.astype(">i4")
assert np.array_equal(copied(little, True), little)
assert np.array_equal(copied(big, False), big)
assert copied(big, True).tolist() == [16777216, 33554432, 50331648]
assert np.array_equal(copied(big, 4), big)
assert copied(np.arange(4, dtype=">i4"), 4).tolist() == [0, 16777216, 33554432, 50331648]
objects = np.array([1, None, "a"], object)
assert copied(objects, False).tolist() == [1, None, "a"]
assert copied(objects, True).tolist() == ["b", "6", "4"]
for refused in (np.asfortranarray(np.eye(3)), np.array(["2024-01-01"], "M8[s]")):
    try:
        copied(refused, True)
    except (AssertionError, ValueError) as error:
        print(refused.dtype, type(error).__name__, error)
    else:
        raise SystemExit("it is taken now")
PY
