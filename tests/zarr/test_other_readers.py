"""What others read of the arrays that lie in a database's folder, value for value."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import zarr

from lotdb import LOTDB

DTYPES = ["?", "u1", "<i2", ">i4", "<i8", "<f2", ">f4", "<f8", "<c8"]
DATES = ["<M8[ns]", "<m8[25s]"]


@pytest.fixture
def payloads(tmp_path):
    """The payloads of a database, with what each holds; small ones share arrays."""
    written = {}
    with LOTDB(tmp_path, default_backend="zarr") as db:
        with db.connection() as root:
            for dtype in [*DTYPES, *DATES]:
                for part in range(2):
                    rows = np.arange(part, 6000 + part).reshape(-1, 3).astype(dtype)
                    root.get_data_node(f"{dtype}-{part}").write_data(rows)
                    written[f"{dtype}-{part}"] = rows
        with db.connection() as root:
            yield [(root[path].get_data(), rows) for path, rows in written.items()]


def check(payloads, read):
    for payload, rows in payloads:
        for segment in payload.segments():
            folder = os.path.dirname(next(path for path, _ in segment.files if path.endswith("zarr.json")))
            array = read(Path(folder))[segment.array_row : segment.array_row + segment.rows]
            wanted = rows[segment.first_row : segment.first_row + segment.rows]
            assert array.astype(wanted.dtype).tobytes() == wanted.tobytes(), payload


@pytest.mark.slow
@pytest.mark.parametrize(
    "pipeline", ["zarr.core.codec_pipeline.BatchedCodecPipeline", "zarrs.ZarrsCodecPipeline"]
)
def test_zarr(payloads, pipeline):
    pytest.importorskip(pipeline.partition(".")[0])
    with zarr.config.set({"codec_pipeline.path": pipeline}):
        check(payloads, lambda folder: zarr.open_array(folder, mode="r")[...])


def test_xarray_opens_the_group(payloads):
    xarray = pytest.importorskip("xarray")

    def read(folder):
        # Dates as numbers: xarray would look for units in attributes, as CF has them.
        group = xarray.open_zarr(folder.parent, consolidated=False, chunks=None, decode_cf=False)
        return group[folder.name].to_numpy()

    check(payloads, read)


def test_tensorstore_reads_all_but_dates(payloads):
    tensorstore = pytest.importorskip("tensorstore")

    def read(folder):
        spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{folder}/"}}
        return tensorstore.open(spec).result().read().result()

    check([each for each in payloads if each[1].dtype.kind not in "mM"], read)


def test_gdal_reads_dates_as_numbers(payloads):
    gdal = pytest.importorskip("osgeo.gdal")
    if int(gdal.VersionInfo()) < 3_13_00_00:
        pytest.skip("this GDAL knows no sharding")
    gdal.UseExceptions()

    def read(folder):
        group = gdal.OpenEx(str(folder), gdal.OF_MULTIDIM_RASTER).GetRootGroup()
        return group.OpenMDArray(group.GetMDArrayNames()[0]).ReadAsArray()

    check(payloads, read)


def test_a_stranger_finds_dtype_rate_and_unit(tmp_path):
    with LOTDB(tmp_path, default_backend="zarr") as db, db.connection() as root:
        node = root.get_data_node("a", samplerate_hz=48_000)
        node.write_data(np.zeros((10, 2), "f4"), metadata={"unit": "V"})
        node.append_data(np.zeros((400_000, 2), "f4"))
        node.write_data(np.array(["ab", "c"]), data_attribute="texts", samplerate_hz=2)
        node.write_data(np.zeros(4, [("x", "<i2"), ("y", "<f4")]), data_attribute="structure")
        root.get_data_node("b").write_data(np.zeros((10, 2), "f4"))
    found = [
        json.loads(path.read_text())["attributes"] for path in tmp_path.glob("lotdb.fs.zarr/seg-*/zarr.json")
    ]
    assert sorted(found, key=str) == sorted(
        [
            {"dtype": "<f4", "samplerate_hz": 48_000.0, "unit": "V"},
            {"dtype": "<U2", "samplerate_hz": 2.0},
            {"dtype": [["x", "<i2"], ["y", "<f4"]], "samplerate_hz": 48_000.0},
            {"dtype": "<f4"},
        ],
        key=str,
    )


def test_payloads_of_different_rates_do_not_share_an_array(tmp_path):
    with LOTDB(tmp_path, default_backend="zarr") as db, db.connection() as root:
        for rate in (1, 2, 1, 2):
            root.get_data_node(f"{rate}/{len(root)}").write_data(np.zeros(10), samplerate_hz=rate)
    found = [json.loads(path.read_text()) for path in tmp_path.glob("lotdb.fs.zarr/seg-*/zarr.json")]
    assert sorted(each["attributes"]["samplerate_hz"] for each in found) == [1.0, 2.0]
