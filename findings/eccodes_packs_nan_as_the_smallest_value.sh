#!/usr/bin/env bash
# ecCodes packs a NaN as the smallest value of the field, without a word: a missing reading is the coldest place.
#
# Version:     eccodes 2.50.0, rasterio 1.4.4 (GDAL), numpy 2.4.6
# Expectation: NaN cannot be packed. It is refused, as an infinity is ("Encoding invalid"), or marked as missing. (The
#              way to say that a value is missing is the key missingValue, with a bitmap.)
# Behaviour:   a NaN is refused if it is the first value of the field. In any other place it becomes the minimum of the
#              field, a plausible temperature, in GRIB 1 and 2, packed simply or by CCSDS, also if the field has a
#              bitmap. Minimum and mean count it in. GDAL reads the same, so the file has it. Nothing is said.
# Seen:        270.0 to 300.0 K, sixth value NaN -> 270.0 (its neighbours are 270.24 and 270.36); first value NaN and
#              sixth value infinite: EncodingError; sixth value missingValue, with a bitmap: missing
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet eccodes==2.50.0 rasterio==1.4.4 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W error::RuntimeWarning - <<'PY'
import eccodes
import numpy as np
import rasterio


def packed(value, place=5, sample="regular_ll_sfc_grib2", **keys):
    message = eccodes.codes_grib_new_from_samples(sample)
    for key, content in keys.items():
        eccodes.codes_set(message, key, content)
    values = np.linspace(270, 300, eccodes.codes_get_size(message, "values"))
    values[place] = value
    eccodes.codes_set_values(message, values)
    with open("x.grib", "wb") as file:
        eccodes.codes_write(message, file)
    with open("x.grib", "rb") as file:
        found = eccodes.codes_grib_new_from_file(file)
    return found, eccodes.codes_get_values(found)


def refused(value, place):
    try:
        packed(value, place)
    except eccodes.EncodingError as error:
        print(value, "at", place, "->", error)
        return True


for keys in (
    {},
    {"sample": "regular_ll_sfc_grib1"},
    {"packingType": "grid_ccsds"},
    {"bitmapPresent": 1, "missingValue": 9999},
):
    found, values = packed(np.nan, **keys)
    print(keys, values[3:8], "min", eccodes.codes_get(found, "min"))
    assert values[5] == values.min() == eccodes.codes_get(found, "min") == 270
    assert np.isfinite(eccodes.codes_get(found, "average")) and eccodes.codes_get(found, "numberOfMissing") == 0
    with rasterio.Env(GRIB_NORMALIZE_UNITS="NO"), rasterio.open("x.grib") as file:
        other = file.read(1).ravel()
    print("GDAL:", other[3:8])
    assert np.allclose(other[3:8], values[3:8], atol=1e-3)
assert refused(np.nan, 0) and refused(np.inf, 5)
found, values = packed(9999, bitmapPresent=1, missingValue=9999)
assert values[5] == 9999 and eccodes.codes_get(found, "numberOfMissing") == 1
PY
