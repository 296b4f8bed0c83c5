"""HDF5 of others: rows of different lengths, and compounds of all that HDF5 has."""

import numpy as np
import pytest

from lotdb_ingest.hdf5 import read, rows

h5py = pytest.importorskip("h5py")
VLEN = h5py.vlen_dtype("i4")
TEXT = h5py.string_dtype()


def ragged_of(payloads, name):
    """The rows again, of the values and their lengths."""
    values, lengths = payloads[name].read(), payloads[f"{name}.lengths"].read()
    ends = np.cumsum(lengths.ravel())
    return [each.tolist() for each in np.split(values, ends[:-1])], lengths.shape


@pytest.fixture(params=[1, 4096])
def few(request, monkeypatch):
    monkeypatch.setattr(read, "STEP", request.param)
    monkeypatch.setattr(rows, "STEP", request.param)


def test_rows_of_different_lengths_are_values_and_lengths(file, taken, few):
    stored = file.create_dataset("a/spikes", (4,), VLEN)
    stored[:] = [np.array([1, 2, 3]), np.array([], "i4"), np.array([4]), np.array([5, 6])]
    stored.attrs["unit"] = "ms"
    file["a/plain"] = [1, 2]
    payloads = taken(file)["a"].payloads
    assert ragged_of(payloads, "data.spikes") == ([[1, 2, 3], [], [4], [5, 6]], (4,))
    assert payloads["data.spikes"].dtype == np.dtype("i4")
    assert payloads["data.spikes"].metadata["unit"] == "ms"
    assert payloads["data.spikes"].metadata["lengths"] == "spikes.lengths"
    assert payloads["data.plain"].read().tolist() == [1, 2]


def test_of_two_axes_of_none_and_without_values(file, taken, few):
    two = file.create_dataset("two", (2, 2), VLEN)
    two[0, 0], two[1, 1] = [7, 8], [9]
    file.create_dataset("one", (), h5py.vlen_dtype("f8"))[()] = np.array([0.5, 1.5])
    file.create_dataset("none", (0,), VLEN)
    file.create_dataset("never", (3,), VLEN)
    payloads = taken(file).payloads
    assert ragged_of(payloads, "data.two") == ([[7, 8], [], [], [9]], (2, 2))
    assert payloads["data.one"].read().tolist() == [0.5, 1.5]
    assert payloads["data.one.lengths"].read() == 2
    assert (payloads["data.none"].read().size, payloads["data.none.lengths"].shape) == (0, (0,))
    assert ragged_of(payloads, "data.never") == ([[], [], []], (3,))


@pytest.mark.parametrize("dtype", [">i4", "<i4", ">f8", "<f8", ">u2"])
def test_rows_of_either_byte_order(file, taken, few, dtype):
    """As data, as a column, as an attribute, and as one row without axes."""
    vlen = h5py.vlen_dtype(np.dtype(dtype))
    rows = np.empty(2, object)
    rows[:] = [np.array([1, 2, 770], np.dtype(dtype).newbyteorder("=")), np.array([4, 5], dtype[1:])]
    stored = file.create_dataset("x", (2,), vlen)
    stored[0], stored[1] = rows
    file.create_dataset("one", (), vlen)[()] = rows[1]
    file["plain"] = [1.0]
    file["plain"].attrs.create("note", rows, dtype=vlen)
    records = np.zeros(2, [("time", "f8"), ("list", vlen)])
    records["list"][:] = rows
    file["records"] = records
    of_two = np.dtype([("a", dtype), ("b", "<f8")])
    file.create_dataset("deep", (1,), h5py.vlen_dtype(of_two))[0] = np.array([(1, 0.5), (770, 1.5)], of_two)
    payloads = taken(file).payloads
    assert ragged_of(payloads, "data.x") == ([[1, 2, 770], [4, 5]], (2,))
    assert ragged_of(payloads, "data.records.list") == ([[1, 2, 770], [4, 5]], (2,))
    assert payloads["data.one"].read().tolist() == [4, 5]
    assert {payloads[name].dtype for name in ("data.x", "data.one", "data.records.list")} == {np.dtype(dtype)}
    assert payloads["data.plain"].metadata["note"] == [[1, 2, 770], [4, 5]]
    assert payloads["data.deep"].read().tolist() == [(1, 0.5), (770, 1.5)]


def test_many_rows(file, taken):
    numbers = [np.arange(number % 50, dtype="i4") for number in range(9000)]
    file.create_dataset("x", (9000,), VLEN)[:] = np.array(numbers, object)
    found, _ = ragged_of(taken(file).payloads, "data.x")
    assert found == [each.tolist() for each in numbers]


def test_a_lengths_payload_gives_way_to_a_dataset_of_its_name(file, taken):
    file.create_dataset("x", (1,), VLEN)[0] = [1, 2]
    file["x.lengths"] = [5]
    payloads = taken(file).payloads
    assert payloads["data.x.lengths"].read().tolist() == [5]
    assert payloads["data.x.lengths~"].read().tolist() == [2]


def test_compounds_with_sub_arrays_texts_and_inner_compounds(file, taken, few):
    inner = np.dtype([("name", TEXT), ("at", "f4", (2,))])
    kind = np.dtype([("n", "i4"), ("xyz", "f8", (3,)), ("two", TEXT, (2,)), ("inner", inner)])
    stored = np.zeros(3, kind)
    stored["n"], stored["xyz"] = [1, 2, 3], np.arange(9).reshape(3, 3)
    stored["two"] = [["a", "längst"], ["b", ""], ["c", "cc"]]
    stored["inner"]["name"], stored["inner"]["at"] = ["x", "yyy", ""], [[1, 2]] * 3
    file["t"] = stored
    file["plain"] = np.zeros(2, [("n", "i4"), ("xyz", "f8", (3,))])
    payloads = taken(file).payloads
    read = payloads["data.t"].read()
    assert read.dtype == np.dtype([
        ("n", "i4"), ("xyz", "f8", (3,)), ("two", "U6", (2,)), ("inner", [("name", "U3"), ("at", "f4", (2,))])
    ])  # fmt: skip
    assert read["n"].tolist() == [1, 2, 3]
    assert np.array_equal(read["xyz"], stored["xyz"])
    assert read["two"].tolist() == [["a", "längst"], ["b", ""], ["c", "cc"]]
    assert read["inner"]["name"].tolist() == ["x", "yyy", ""]
    assert payloads["data.plain"].read().dtype == np.dtype([("n", "i4"), ("xyz", "f8", (3,))])


def test_a_column_of_rows_of_different_lengths(file, taken, few):
    kind = np.dtype([("n", "i4"), ("v", VLEN), ("name", TEXT)])
    stored = file.create_dataset("t", (2,), kind)
    stored[0] = (1, np.array([1, 2, 3], "i4"), "a")
    stored[1] = (2, np.array([], "i4"), "bb")
    payloads = taken(file).payloads
    assert payloads["data.t"].kind == "table"
    assert payloads["data.t"].read().tolist() == [(1, "a"), (2, "bb")]
    assert ragged_of(payloads, "data.t.v") == ([[1, 2, 3], []], (2,))


def test_a_single_compound_with_texts(file, taken):
    kind = np.dtype([("n", "i4"), ("name", TEXT)])
    file.create_dataset("t", (), kind)[()] = (5, "längst")
    assert taken(file).payloads["data.t"].read().tolist() == (5, "längst")


def test_references_are_named_and_the_rest_comes_in(file, taken):
    file["g/x"] = [1, 2]
    file["g"].attrs["mine"] = 1
    file.create_dataset("g/refs", data=[file["g/x"].ref], dtype=h5py.ref_dtype)
    stored = file.create_dataset("g/t", (1,), np.dtype([("n", "i4"), ("to", h5py.ref_dtype)]))
    stored[0] = (4, file["g/x"].ref)
    node = taken(file)["g"]
    assert set(node.payloads) == {"data.x", "data.t"}
    assert node.attrs["mine"] == 1
    (lost,) = node.attrs["not_kept"]
    assert "dataset /g/refs" in lost
    assert "references" in lost
    assert node.payloads["data.t"].read().tolist() == [(4,)]
    (lost,) = node.payloads["data.t"].metadata["not_kept"]
    assert "column 'to'" in lost


def test_rows_of_different_lengths_within_others_are_named(file, taken):
    kind = np.dtype([("n", "i4"), ("in", [("v", VLEN)]), ("several", VLEN, (2,))])
    file.create_dataset("t", (2,), kind)
    payload = taken(file).payloads["data.t"]
    assert payload.read().tolist() == [(0,), (0,)]
    assert ["in.v" in each or "several" in each for each in payload.metadata["not_kept"]] == [True, True]
