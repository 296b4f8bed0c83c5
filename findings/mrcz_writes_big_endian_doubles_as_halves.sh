#!/usr/bin/env bash
# mrcz writes big-endian doubles, as FITS has them, as pairs of other floats: 1, 2, 3 come back as 0, 1.875, 0.
#
# Version:     mrcz 0.6.0, numpy 2.4.6
# Expectation: a stack of doubles is written in single precision, as mrcz does it (and logs) for those of the machine's
#              own order, or is refused. Big-endian floats of 32 bits are written right.
# Behaviour:   doubles are made single ones if their type equals float64, and big-endian ones do not. Their mark of
#              order is cut off, and the header says 32 bits, since the table of types gives doubles that mode. The
#              bytes of the doubles follow as they are, only in the order of the machine. So the file is twice as long
#              as its header says, and each double is read as two floats. Nothing is said.
# Seen:        little-endian 1 2 3 4 5 6 -> the same; big-endian -> 0 1.875 0 2 0 2.125
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet mrcz==0.6.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W error::UserWarning - <<'PY'
import os

import mrcz
import numpy as np

values = np.arange(1.0, 7).reshape(1, 2, 3)
for kind in ("<f8", ">f4", ">f8"):
    given = values.astype(kind)
    assert np.array_equal(given, values)
    mrcz.writeMRC(given, "x.mrc")
    found, header = mrcz.readMRC("x.mrc")
    found = np.asarray(found)
    print(kind, given.ravel(), "->", found.ravel(), found.dtype, os.path.getsize("x.mrc") - 1024, "bytes")
    assert found.size == 6 and found.dtype == np.float32
    if kind == ">f8":
        assert np.array_equal(found.ravel(), values.astype("<f8").view("<f4").ravel()[:6])
        assert found.ravel().tolist() == [0, 1.875, 0, 2, 0, 2.125]
        assert os.path.getsize("x.mrc") == 1024 + 48
    else:
        assert np.array_equal(found.ravel(), values.ravel())
PY
