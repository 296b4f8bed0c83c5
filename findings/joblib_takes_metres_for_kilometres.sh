#!/usr/bin/env bash
# joblib's Memory gives the result for 3 m to a call with 3 km: the unit of an array does not count.
#
# Version:     joblib 1.6.0, astropy 8.0.2, unyt 3.2.0, numpy 2.4.6
# Expectation: a function runs again for another argument, as documented. 3 m and 3 km are not equal, and are pickled
#              to other bytes. Masks that differ are other arguments, too.
# Behaviour:   of an array, the hash takes the numbers, the shape, the type and the name of the class. What a subclass
#              of numpy's array has beside that is left out: the unit of astropy's and of unyt's, and the mask of a
#              masked image of bytes. So the result that was stored first, perhaps by a run of last week, is given to
#              each of them. Nothing is said. (A masked array of larger numbers raises an error.)
# Seen:        area of 3 m and of 3 km: 9.0 m2 for both (9000000.0 m2 is right); mean of 10, 250 with and without a mask
#              over the 250: 10.0 for both (130.0 is right)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet joblib==1.6.0 astropy==8.0.2 unyt==3.2.0 numpy==2.4.6
cd "$folder"
cat > lib.py <<'PY'
import joblib

memory = joblib.Memory("cache", verbose=0)


@memory.cache
def area(side):
    return float((side * side).to("m2").value)


@memory.cache
def area_of_unyt(side):
    return float((side * side).to("m**2").value)


@memory.cache
def mean(image):
    return float(image.mean())
PY
for turn in first second; do
    "$folder/venv/bin/python" -W error::UserWarning - "$turn" <<'PY'
import pickle
import sys

import lib
import numpy as np
import unyt
from astropy import units

image = np.array([10, 250], dtype="uint8")
first = units.Quantity(3.0, "m"), unyt.unyt_array(3.0, "m"), np.ma.array(image, mask=[False, True])
second = units.Quantity(3.0, "km"), unyt.unyt_array(3.0, "km"), np.ma.array(image, mask=[False, False])
functions = lib.area, lib.area_of_unyt, lib.mean
given = first if sys.argv[1] == "first" else second
right = [call.func(each) for call, each in zip(functions, given)]
found = [call(each) for call, each in zip(functions, given)]
print(sys.argv[1], "call:", found, "right:", right)
assert found == [9.0, 9.0, 10.0]
assert np.allclose(right, found if sys.argv[1] == "first" else [9e6, 9e6, 130.0])
assert lib.area(units.Quantity(4.0, "m")) == 16.0
assert all(pickle.dumps(one) != pickle.dumps(other) for one, other in zip(first, second))
PY
done
