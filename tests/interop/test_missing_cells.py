"""Missing cells of a table in xarray, in which some types have nothing for them."""

import numpy as np
import pytest

from lotdb import BaseNode, DataWriter, InvalidDataError

xarray = pytest.importorskip("xarray")


def masked(values, missing, dtype=None):
    return np.ma.MaskedArray(np.array(values, dtype), np.array(missing, bool))


TABLE = {
    "small": masked([1, 2, 3], [0, 1, 0], "i2"),
    "whole": np.array([1, 2, 3], "i8"),
    "large": masked([(1 << 53) + 1, 2, 3], [0, 0, 1], "i8"),
    "lowest": masked([np.iinfo("i8").min, 2, 3], [0, 0, 1], "i8"),
    "unsigned": masked([1, (1 << 64) - 1, 3], [1, 0, 0], "u8"),
    "flag": masked([True, False, True], [0, 0, 1]),
    "text": ["a", None, "ccc"],
    "raw": [b"a", None, b"ccc"],
    "real": masked([0.5, 1.5, 2.5], [1, 0, 0], "f4"),
    "moment": masked(["2024-01-01"] * 3, [0, 1, 0], "M8[s]"),
}
KINDS = {
    "small": "f8", "whole": "i8", "large": "O", "lowest": "O", "unsigned": "O", "flag": "O", "text": "O",
    "raw": "O", "real": "f4", "moment": "M8[s]",
}  # fmt: skip


@pytest.fixture
def table(place):
    DataWriter.write_table(place.node(), TABLE, data_attribute="t")
    return place.written().payloads["t"]


@pytest.mark.sampled(6)
@pytest.mark.parametrize("way", ["lazy", "dask", "tree"])
def test_what_is_missing_is_nan_and_the_rest_is_exact(table, way):
    if way == "tree":
        dataset = table._node.to_datatree()["t"].to_dataset()
    elif way == "dask":
        pytest.importorskip("dask.array")
        dataset = table.to_xarray(chunks={"row": 2})
    else:
        dataset = table.to_xarray()
    frame = table.to_pandas()
    for name in TABLE:
        assert dataset[name].dtype == np.dtype(KINDS[name]), name
        found, expected = dataset[name].values, frame[name]
        assert dataset[name].dtype == found.dtype
        gone = expected.isna().to_numpy(bool)
        assert np.array_equal(xarray.DataArray(found).isnull().values, gone), name
        assert all(one == other for one, other in zip(found[~gone], expected[~gone], strict=True)), name
        # A part in which no cell is missing is of the same type.
        assert dataset[name].isel(row=slice(0, 1)).values.dtype == np.dtype(KINDS[name])


def test_nullable_columns_of_pandas(place):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {"n": pandas.array([1, None, 3], dtype="Int64"), "full": pandas.array([1, 2, 3], dtype="Int16")}
    )
    place.node().write_frame(frame, data_attribute="t")
    dataset = place.written().payloads["t"].to_xarray()
    assert dataset["n"].dtype == np.dtype(float)
    np.testing.assert_array_equal(dataset["n"].values, [1, np.nan, 3])
    assert dataset["full"].dtype == np.dtype("i2")


def test_cells_that_are_missing_far_behind_are_found(monkeypatch):
    from lotdb.interop import labels

    monkeypatch.setattr(labels, "_SCANNED_BYTES", 1000)
    numbers = np.ma.MaskedArray(np.arange(1000), np.arange(1000) == 998)
    table = DataWriter.write_table(BaseNode("m").get_data_node("node"), {"n": numbers})
    assert table.to_xarray()["n"].dtype == np.dtype(float)
    assert np.isnan(table.to_xarray()["n"].values[998])


def test_a_store_of_zarr_has_numbers_and_names_what_it_cannot_have(table):
    zarr = pytest.importorskip("zarr")
    from lotdb_backend_zarr import NodeStore

    group = zarr.open_group(NodeStore(table._node), mode="r")["t"]
    np.testing.assert_array_equal(group["small"][:], [1, np.nan, 3])
    assert group["whole"][:].tolist() == [1, 2, 3]
    with pytest.raises(InvalidDataError, match=r"column 'text'.*missing cells.*to_pandas"):
        _ = group["text"][:]
