"""HDF5 files of other programs: groups as nodes, datasets as payloads."""

import numpy as np
import pytest

from lotdb import BaseNode, IngestError

h5py = pytest.importorskip("h5py")


def test_groups_and_datasets_of_all_kinds(file, taken):
    big = np.arange(3_000_000, dtype="f4").reshape(-1, 3)
    file["a/big"] = big
    file["a/big"].attrs["units"] = "mV"
    file["a/big"].attrs["samplerate_hz"] = 100
    file["a"].attrs["subject"] = "S01"
    file["a/flag"] = np.array([True, False])
    file["a/scalar"] = 5
    file["a/text"] = "ü"
    file["a/texts"] = ["a", "längst"]
    file["a/table"] = np.array([(1, b"x")], [("i", "i4"), ("s", "S2")])
    file.create_dataset("a/level", data=[0, 1], dtype=h5py.enum_dtype({"LOW": 0, "HIGH": 1}, "u1"))
    file.create_dataset("a/none", data=h5py.Empty("f4"))
    file.create_dataset("a/empty", shape=(0, 2), maxshape=(None, 2), dtype="i2")
    node = taken(file)["a"]
    assert node.attrs["subject"] == "S01"
    payload = node.payloads["data.big"]
    assert (payload.samplerate_hz, payload.metadata["units"]) == (100, "mV")
    np.testing.assert_array_equal(payload.read(), big)
    read = {name: each.read() for name, each in node.payloads.items()}
    assert read["data.flag"].tolist() == [True, False]
    assert read["data.scalar"] == 5
    assert read["data.text"] == "ü"
    assert read["data.texts"].tolist() == ["a", "längst"]
    assert node.payloads["data.table"].kind == "table"
    assert read["data.level"].tolist() == [0, 1]
    assert read["data.none"].shape == (0,)
    assert (read["data.empty"].shape, read["data.empty"].dtype) == ((0, 2), np.int16)


def test_an_object_of_several_links_is_taken_in_once(file, taken):
    file["a/x"] = [1, 2]
    file["b"] = file["a"]
    file["soft"] = h5py.SoftLink("/a/x")
    file["a/loop"] = file["/"]
    root = taken(file)
    assert [each.path for each in root.iterate_tree() if each.payloads] == ["a"]


def test_dimension_scales(file, taken):
    file["x"], file["time"] = np.zeros(3), np.arange(3.0)
    file["time"].make_scale("time")
    file["x"].dims[0].attach_scale(file["time"])
    assert set(taken(file).payloads) == {"data.x", "data.time"}


def refused(file, what):
    name = file.filename
    file.close()
    root = BaseNode()
    root.attrs["mine"] = 1
    with pytest.raises(IngestError, match=what):
        root.ingest(name)
    assert (dict(root.attrs), len(root)) == ({"mine": 1}, 0)


def test_an_external_link_is_refused(file):
    file["ok"], file["other"] = [1], h5py.ExternalLink("other.h5", "/x")
    refused(file, "/other is a link to another file, 'other.h5'")


def test_external_data_are_refused(file, tmp_path):
    (tmp_path / "raw").write_bytes(b"secret!!")
    file.create_dataset("x", (8,), "u1", external=[(str(tmp_path / "raw"), 0, 8)])
    refused(file, "/x are in other files")


def test_virtual_data_are_refused(file):
    layout = h5py.VirtualLayout((3,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (3,))
    file.create_virtual_dataset("x", layout)
    refused(file, "/x are in other files")


def test_a_link_that_leads_nowhere_is_refused_by_name(file):
    file["gone"] = h5py.SoftLink("/nothing")
    refused(file, "/gone is a link that leads nowhere")
