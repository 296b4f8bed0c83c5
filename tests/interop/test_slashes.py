"""Names with ``/``, and with what it is written as, come back from all ways out and in."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lotdb import BaseNode, DataWriter

xarray = pytest.importorskip("xarray")
pytest.importorskip("h5py")
pytest.importorskip("zarr")

NAMES = st.text(st.sampled_from("ab/%25F\\.~_ é"), min_size=1, max_size=8).filter(
    lambda name: name == name.strip() and not name.startswith("_")
)
SEVERAL = st.lists(NAMES, min_size=6, max_size=6, unique=True)
SLASHES = ["a/b", "a%2Fb", "a%252Fb", "100%", "/", "x/y"]


def filled(names):
    first, second, dim, coordinate, attribute, column = names
    node = BaseNode("m").get_data_node("node")
    dataset = xarray.Dataset(
        {first: (dim, [1, 2, 3], {attribute: "g"}), second: ((), 2.5)},
        {dim: [5, 6, 9], coordinate: (dim, [0.5, 0.25, 1.0])},
    )
    DataWriter.write_table(node, {column: [1, 2], column + "/": [3, 4]}, data_attribute="t/u")
    node.attrs[attribute] = {"a/b": 1}
    node.get_data_node("below").write_xarray(dataset)
    return node


def told(node):
    """All that a node and those below it hold, by name."""
    return [
        (
            each.path.removeprefix(node.path),
            {name: value for name, value in each.attrs.items() if name not in each.payloads},
            {
                name: (payload.read().tolist(), payload.dtype, payload.metadata)
                for name, payload in each.payloads.items()
            },
        )
        for each in node.iterate_tree()
    ]


@pytest.mark.sampled(1)
@pytest.mark.parametrize("format", ["h5", "zarr", "folder"])
@settings(max_examples=5, deadline=None)
@example(SLASHES)
@given(SEVERAL)
def test_an_export_brings_all_names_back(tmp_path_factory, format, names):
    node = filled(names)
    target = tmp_path_factory.mktemp("out") / f"it.{format}"
    node.export(target, format=format)
    back = BaseNode("m").get_data_node("node")
    back.ingest(target)
    assert told(back) == told(node)


@settings(max_examples=12, deadline=None)
@example(SLASHES)
@given(SEVERAL)
def test_a_tree_brings_all_names_back(names):
    below = filled(names)["below"]
    back = BaseNode("m").get_data_node("below")
    back.write_xarray(below.to_datatree())
    assert told(back) == told(below)
    again = BaseNode("m").get_data_node("below")
    again.write_xarray(below.to_datatree().to_dataset())
    assert told(again) == told(below)


@settings(max_examples=12, deadline=None)
@example(SLASHES)
@given(SEVERAL)
def test_what_xarray_has_comes_back_from_payload_and_tree(names):
    first, second, dim, coordinate, attribute, _ = names
    dataset = xarray.Dataset(
        {first: (dim, [1, 2, 3], {attribute: "g"}), second: (dim, [2.5, 3, 4])},
        {dim: [5, 6, 9], coordinate: (dim, [0.5, 0.25, 1.0])},
    )
    array = xarray.DataArray(
        [1, 2, 3], {dim: [5, 6, 9], coordinate: (dim, [3, 4, 5])}, dims=dim, name=first,
        attrs={attribute: [1]},
    )  # fmt: skip
    node = BaseNode("m").get_data_node("node")
    node.write_xarray(array, data_attribute="own")
    xarray.testing.assert_identical(node.payloads["own"].to_xarray().load(), array)
    node = BaseNode("m").get_data_node("node")
    node.write_xarray(array)
    (payload,) = [each for each in node.payloads.values() if "coords" in each.metadata["_xarray"]]
    xarray.testing.assert_identical(payload.to_xarray().load(), array)
    if not any("/" in name for name in (first, second, dim, coordinate)):
        node = BaseNode("m").get_data_node("node")
        node.write_xarray(xarray.DataTree(dataset, name="node"))
        xarray.testing.assert_identical(node.to_datatree().to_dataset().load(), dataset)


@settings(max_examples=5, deadline=None)
@example(SLASHES)
@given(SEVERAL)
def test_a_zarr_store_of_a_node_brings_all_names_back(tmp_path_factory, names):
    from lotdb_backend_zarr import NodeStore

    names = [name.replace("\\", "b") for name in names]
    if len(set(names)) < 6 or any(not name.strip("./") for name in names):
        names = SLASHES
    below = filled(names)["below"]
    target = tmp_path_factory.mktemp("out") / "it.zarr"
    below.export(target, format="zarr")
    for opened in (NodeStore(below), target):
        dataset = xarray.open_datatree(opened, engine="zarr", chunks=None).to_dataset()
        back = BaseNode("m").get_data_node("below")
        back.write_xarray(dataset)
        assert set(back.payloads) - {"lotdb-index"} == set(below.payloads)
        for name, payload in back.payloads.items():
            if name in below.payloads:
                assert payload.read().tolist() == below.payloads[name].read().tolist()
                assert payload.metadata.get("dims") == below.payloads[name].metadata.get("dims")


def test_tables_of_such_columns_are_shown():
    node = BaseNode("m").get_data_node("node")
    DataWriter.write_table(node, {"p/q": [1, 2], "p%2Fq": [3, 4]}, data_attribute="t/u")
    table = node.to_datatree()["t%2Fu"]
    assert table["p%2Fq"].values.tolist() == [1, 2]
    assert table["p%252Fq"].values.tolist() == [3, 4]


def test_foreign_files_keep_such_names(tmp_path):
    import zarr

    h5py = pytest.importorskip("h5py")

    with h5py.File(tmp_path / "it.h5", "w") as file:
        file["a%2Fb"] = np.arange(3)
        file["a%2Fb"].attrs["at/tr"] = 5
        file["g%2Fh"] = np.zeros(2)
    node = BaseNode("m").get_node("h5")
    node.ingest(tmp_path / "it.h5")
    assert set(node.payloads) == {"data.a%2Fb", "data.g%2Fh"}
    assert node.payloads["data.a%2Fb"].metadata["at/tr"] == 5
    group = zarr.open_group(tmp_path / "it.zarr", mode="w")
    group.create_array("a%2Fb", data=np.arange(3), attributes={"at/tr": 5})
    node = BaseNode("m").get_node("zarr")
    node.ingest(tmp_path / "it.zarr")
    assert set(node.payloads) == {"a%2Fb"}
    assert node.payloads["a%2Fb"].metadata == {"at/tr": 5}
    target = tmp_path / "again.h5"
    node.export(target)
    back = BaseNode("m").get_node("zarr")
    back.ingest(target)
    assert told(back) == told(node)
