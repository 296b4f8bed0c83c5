#!/usr/bin/env bash
# rasterio drops the value for missing pixels when it writes integers of 64 bits as a COG: -9999 counts as measured.
#
# Version:     rasterio 1.4.4, which has GDAL 3.10.3 (Linux wheels), numpy 2.4.6
# Expectation: a cloud optimized GeoTIFF is a GeoTIFF, and keeps `nodata` as a GeoTIFF does, and as a COG of int32 does.
# Behaviour:   GDAL makes a COG only as a copy, so rasterio collects the pixels in memory first. There it sets the value
#              as a double; for 64 bits GDAL copies another property, which is not set. While the file is being
#              written, `nodata` says -9999. The numbers are right, but none is masked: sums and means take the mark for
#              a measured value. Nothing is raised, warned of or logged. A copy of the GeoTIFF to a COG keeps it.
# Seen:        int64 [1, -9999, 3]: GTiff -> nodata -9999, mean 2.0; COG -> nodata None, mean -3331.67
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet rasterio==1.4.4 numpy==2.4.6
"$folder/venv/bin/python" - "$folder/x.tif" "$folder/y.tif" <<'PY'
import logging
import sys
import warnings

import numpy as np
import rasterio
import rasterio.shutil


class Raising(logging.Handler):
    def emit(self, record):
        raise AssertionError(f"GDAL says something now: {record.getMessage()}")


warnings.simplefilter("error")
warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
logging.getLogger("rasterio").addHandler(Raising(logging.WARNING))


def written(driver, dtype):
    options = {"height": 1, "width": 3, "count": 1, "dtype": dtype, "nodata": -9999}
    with rasterio.open(sys.argv[1], "w", driver=driver, **options) as file:
        assert file.nodata == -9999
        file.write(np.array([[1, -9999, 3]], dtype), 1)
    with rasterio.open(sys.argv[1]) as file:
        found = file.read(1, masked=True)
        print(driver, dtype, "nodata:", file.nodata, "mean:", found.mean())
        return file.nodata, found


for driver, dtype in (("GTiff", "int64"), ("COG", "int32"), ("COG", "int64")):
    nodata, found = written(driver, dtype)
    if (driver, dtype) == ("COG", "int64"):
        assert nodata is None
        assert found.compressed().tolist() == [1, -9999, 3]
    else:
        assert nodata == -9999
        assert found.compressed().tolist() == [1, 3]
    if (driver, dtype) == ("GTiff", "int64"):
        rasterio.shutil.copy(sys.argv[1], sys.argv[2], driver="COG")
        with rasterio.open(sys.argv[2]) as copy:
            assert copy.nodata == -9999
PY
