"""HDF5: what is kept of files of others, and what is told of the rest."""

import sys

import numpy as np
import pytest

from lotdb import BaseNode, DataNode, IngestError, MissingPluginError

h5py = pytest.importorskip("h5py")


def test_a_compound_with_texts_of_any_length_is_a_table(file, taken):
    kind = np.dtype([("n", "i4"), ("name", h5py.string_dtype()), ("x", "f8")])
    rows = [(number, "ü" * (number % 7), number / 2) for number in range(9000)]
    file["t"] = np.array(rows, kind)
    payload = taken(file).payloads["data.t"]
    assert payload.kind == "table"
    read = payload.read()
    assert read.dtype == np.dtype([("n", "i4"), ("name", "U6"), ("x", "f8")])
    assert read.tolist() == rows


def test_a_compound_with_texts_and_no_rows(file, taken):
    file.create_dataset("t", (0,), np.dtype([("name", h5py.string_dtype())]))
    assert taken(file).payloads["data.t"].read().tolist() == []


def test_the_names_of_enumerations_are_metadata(file, taken):
    level = h5py.enum_dtype({"LOW": 0, "HIGH": 7}, "u1")
    file.create_dataset("level", data=[0, 7], dtype=level)
    file.create_dataset("flag", data=[True, False])
    file["t"] = np.array([(7, 1)], [("level", level), ("n", "i4")])
    payloads = taken(file).payloads
    assert payloads["data.level"].metadata["enum"] == {"LOW": 0, "HIGH": 7}
    assert payloads["data.t"].metadata["enum"] == {"level": {"LOW": 0, "HIGH": 7}}
    assert "enum" not in payloads["data.flag"].metadata


def test_attributes_of_like_names_are_both_kept(file, taken):
    file["x"] = [1]
    for of in (file, file["x"]):
        of.attrs["_gain"], of.attrs["gain"], of.attrs["__gain"] = 1, 2, 3
    root = taken(file)
    for named in (root.attrs, root.payloads["data.x"].metadata):
        assert named["gain"] == 2
        assert {named["gain~"], named["gain~~"]} == {1, 3}


def test_attributes_that_cannot_be_kept_are_named(file, taken):
    file["x"], file["time"] = np.zeros(3), np.arange(3.0)
    file["time"].make_scale("time")
    file["x"].dims[0].attach_scale(file["time"])
    file["x"].attrs["unit"] = "V"
    file.attrs["first"] = file["x"].ref
    file.attrs["ragged"] = np.array([np.array([1, 2]), np.array([3])], h5py.vlen_dtype("i8"))
    root = taken(file)
    assert "'first'" in root.attrs["not_kept"][0]
    assert "references" in root.attrs["not_kept"][0]
    assert root.attrs["ragged"] == [[1, 2], [3]]
    metadata = root.payloads["data.x"].metadata
    assert "'DIMENSION_LIST' of /x" in metadata["not_kept"][0]
    assert metadata["unit"] == "V"


def test_without_h5py_the_message_says_how_to_get_it(file, tmp_path, monkeypatch):
    file["x"] = [1]
    file.close()
    monkeypatch.setitem(sys.modules, "h5py", None)
    for take in (BaseNode().ingest, DataNode().attach_file):
        with pytest.raises(MissingPluginError, match=r'^HDF5 needs h5py.*install "lotdb-ingest\[hdf5\]"$'):
            take(tmp_path / "x.h5")
    with pytest.raises(MissingPluginError, match="HDF5 needs h5py"):
        BaseNode().export(tmp_path / "y.h5")
    report = BaseNode().ingest_tree(tmp_path, "{name}.h5")
    assert isinstance(report.failed["x.h5"], MissingPluginError)


def test_flipped_bits_in_an_exported_file_are_noticed(tmp_path):
    root = BaseNode()
    data = np.random.default_rng(3).normal(size=(500, 2))
    root.get_data_node("a").write_data(data)
    root.export(tmp_path / "x.h5")
    content = (tmp_path / "x.h5").read_bytes()
    places = [content.index(data[row].tobytes()) for row in (0, 250, 499)]
    places += [content.index(b'"lotdb-tree"'), content.index(b'"samplerate_hz"')]
    for place in places:
        damaged = bytearray(content)
        damaged[place + 3] ^= 4
        (tmp_path / "y.h5").write_bytes(damaged)
        copy = BaseNode()
        with pytest.raises(IngestError, match=r"/a/data is damaged|index"):
            copy.ingest(tmp_path / "y.h5")
        assert len(copy) == 0
