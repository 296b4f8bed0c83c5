#!/usr/bin/env bash
# GDAL writes a missing number to MapInfo as zero: a well without a measured depth comes back as one of depth 0.
#
# Version:     pyogrio 0.13.0, which has GDAL 3.12.4 (Linux wheels), geopandas 1.2.0, pandas 3.1.1, shapely 2.2.0
# Expectation: a missing number comes back as missing, as from GeoPackage, GeoJSON, shapefile, FlatGeobuf, GML and
#              SQLite, and as missing dates do from MapInfo; or it is refused or warned of.
# Behaviour:   pyogrio hands NaN and NA on as nulls, as it says. The driver writes 0 for them, or False, and "" for
#              None in a column of texts, in TAB as in MIF files. Nothing is said. No reader can tell them from
#              measured zeros: the mean of 4 and 8 and a missing one is 4.
# Seen:        depth 4.0, NaN, 8.0 -> 4.0, 0.0, 8.0; count 5, missing, 7 -> 5, 0, 7; True, missing, False -> True,
#              False, False; mean 6.0 -> 4.0; dates 2024-01-01, NaT -> 2024-01-01, NaT
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pyogrio==0.13.0 geopandas==1.2.0 pandas==3.1.1 shapely==2.2.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W error - <<'PY'
import geopandas
import numpy as np
import pandas as pd
import pyogrio

assert pyogrio.__gdal_version__ == (3, 12, 4)
wells = geopandas.GeoDataFrame(
    {
        "depth": [4.0, np.nan, 8.0],
        "count": pd.array([5, None, 7], dtype="Int32"),
        "dry": pd.array([True, None, False], dtype="boolean"),
        "seen": np.array(["2024-01-01", "NaT", "2024-01-03"], "M8[ms]"),
        "rate": [1.0, np.inf, 3.0],
    },
    geometry=geopandas.points_from_xy([1, 2, 3], [1, 2, 3]),
    crs="EPSG:4326",
)
for driver, name in (("MapInfo File", "wells.tab"), ("MapInfo File", "wells.mif"), ("GPKG", "wells.gpkg")):
    wells.to_file(name, driver=driver)
    found = geopandas.read_file(name)
    for column in ("depth", "count", "dry"):
        print(name, column, wells[column].tolist(), "->", found[column].tolist())
    print(name, "mean", wells["depth"].mean(), "->", found["depth"].mean())
    lost = driver == "MapInfo File"
    for column, value in (("depth", 0.0), ("count", 0), ("dry", False)):
        assert found[column].isna().tolist() == [False, not lost, False]
        assert not lost or found[column][1] == value
        assert found[column][0] == wells[column][0] and found[column][2] == wells[column][2]
    assert found["depth"].mean() == (4.0 if lost else 6.0)
    assert found["seen"].isna().tolist() == [False, True, False] and found["rate"][1] == np.inf
PY
