#!/usr/bin/env bash
# GDAL writes an image of doubles, or of integers of 32 bits, to PCIDSK as one of bytes: 300 comes back as 44.
#
# Version:     rasterio 1.4.4, which has GDAL 3.10.3 (Linux wheels), numpy 2.4.6
# Expectation: a type that a format does not have is refused, as other drivers do (BT: "illegal data type (Float64)"),
#              or at least warned of, as RST does.
# Behaviour:   PCIDSK has bytes, integers of 16 bits, float32, and complex ones. For other types the file is made with
#              bytes, and the low eight bits of each number are written. The documentation says that all pixel types
#              should be supported. Nothing is raised, warned of or logged. Elevations become noise.
# Seen:        float64 [1.5, 300, 70000.75] -> uint8 [1, 44, 112]; int32 [1, 300, 70000] -> uint8 [1, 44, 112]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet rasterio==1.4.4 numpy==2.4.6
"$folder/venv/bin/python" - "$folder/x.pix" <<'PY'
import logging
import sys
import warnings

import numpy as np
import rasterio


class Raising(logging.Handler):
    def emit(self, record):
        raise AssertionError(f"GDAL says something now: {record.getMessage()}")


warnings.simplefilter("error")
warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
logging.getLogger("rasterio").addHandler(Raising(logging.WARNING))


def written(given):
    shape = {"height": 1, "width": given.size, "count": 1}
    with rasterio.open(sys.argv[1], "w", driver="PCIDSK", dtype=given.dtype.name, **shape) as file:
        file.write(given.reshape(1, -1), 1)
    with rasterio.open(sys.argv[1]) as file:
        found = file.read(1)[0]
    print(given.dtype, given.tolist(), "->", found.dtype, found.tolist())
    return found


for name in ("float64", "int32", "uint32", "int64"):
    found = written(np.array([1.5, 300, 70000.75]).astype(name))
    assert found.dtype == np.uint8
    assert found.tolist() == [1, 44, 112]
single = np.array([1.5, 300, 70000.75], "float32")
assert written(single).tobytes() == single.tobytes()
PY
