#!/usr/bin/env bash
# numcodecs' FixedScaleOffset stores a number that is too large for its integer type as another number.
#
# Version:     numcodecs 0.16.6, numpy 2.4.6
# Expectation: a filter that packs floats into uint8 clips what is out of range, or refuses it; so one
#              spike of a sensor stays a spike.
# Behaviour:   the scaled number wraps around: a spike becomes an ordinary reading. There is no error and
#              no warning. NaN becomes 0, with a warning of numpy.
# Seen:        scale 10, uint8: 25.5 -> 25.5, 25.6 -> 0.0, 30.0 -> 4.4, -1.0 -> 24.6
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numcodecs==0.16.6 numpy==2.4.6
"$folder/venv/bin/python" - "$folder" <<'PY'
import warnings

import numpy as np
from numcodecs import FixedScaleOffset

codec = FixedScaleOffset(offset=0, scale=10, dtype="f8", astype="u1")
with warnings.catch_warnings():
    warnings.simplefilter("error")
    found = codec.decode(codec.encode(np.array([1.0, 25.5, 25.6, 30.0, -1.0])))
print(found)
assert found.tolist() == [1.0, 25.5, 0.0, 4.4, 24.6]
PY
