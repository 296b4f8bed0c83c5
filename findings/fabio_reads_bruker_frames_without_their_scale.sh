#!/usr/bin/env bash
# FabIO writes floating-point frames for Bruker with a scale, and reads them without: 10 comes back as 559240.
#
# Version:     FabIO 2026.6.0, numpy 2.4.6
# Expectation: a frame of doubles comes back to the precision of the integers that it is stored as, or is refused.
# Behaviour:   the values are spread over 24 bits, and slope and offset are written to the header (LINEAR). The reader
#              of the same class gives out the integers. Nothing is said. Integer frames are right. A frame of float32
#              is not spread: its fractions are cut.
# Seen:        [0, 10, 20, 300] -> [0, 559240, 1118481, 16777215]; header: LINEAR 1.788...e-05 0.0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet fabio==2026.6.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W error::UserWarning - <<'PY'
import fabio
import numpy as np
from fabio.bruker100image import Bruker100Image


def written(values):
    Bruker100Image(data=np.array([values, values])).write("x.sfrm")
    return fabio.open("x.sfrm")


counts = [0, 10, 20, 300]
assert written(np.array(counts, np.int32)).data[0].tolist() == counts
given = [0.0, 10.0, 20.0, 300.0]
found = written(given)
slope, offset = map(float, found.header["LINEAR"].split())
print(given, "->", found.data[0].tolist(), "slope", slope, "offset", offset)
assert found.data[0].tolist() == [0, 559240, 1118481, 16777215]
assert np.allclose(found.data[0] * slope + offset, given, atol=2 * slope)
assert written(np.array([0.75, 1.5], np.float32)).data[0].tolist() == [0, 1]
PY
