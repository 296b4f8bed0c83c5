#!/usr/bin/env bash
# astropy writes a column of signed bytes to FITS as one of booleans: -3 and 5 come back as True.
#
# Version:     astropy 8.0.2, numpy 2.4.6
# Expectation: a column of int8 comes back as integers (FITS has an offset for that, which astropy uses for uint16),
#              or is refused, as a column of float128 is.
# Behaviour:   the column becomes one of logical values. All that is left of a number is whether it was zero. Nothing
#              is said. Images of int8, and columns of uint8, uint16, uint32 and uint64, come back as they were.
# Seen:        [-3, 0, 5] -> [True, False, True]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet astropy==8.0.2 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W error::UserWarning - <<'PY'
import numpy as np
from astropy.io import fits
from astropy.table import Table


def written(values):
    Table({"a": values}).write("x.fits", overwrite=True)
    return Table.read("x.fits")["a"]


signed = np.array([-3, 0, 5], np.int8)
fits.PrimaryHDU(signed).writeto("image.fits")
assert fits.getdata("image.fits").tolist() == signed.tolist()
for kind in (np.uint8, np.uint16, np.uint32, np.uint64, np.int16):
    values = np.array([0, 5, np.iinfo(kind).max], kind)
    assert written(values).tolist() == values.tolist()
found = written(signed)
print(signed.tolist(), "->", found.tolist())
assert found.dtype == bool
assert found.tolist() == [True, False, True]
PY
