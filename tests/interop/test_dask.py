"""Payloads as dask arrays."""

import numpy as np
import pytest

from lotdb import BaseNode, ClosedError, DataWriter, InvalidDataError, InvalidOptionError, Payload
from lotdb.segments.reader import Reader

dask = pytest.importorskip("dask")

SIGNAL = np.arange(900_000, dtype="f4").reshape(-1, 3)


@pytest.fixture
def rows_read(monkeypatch):
    """How many rows each read of segments was asked for."""
    counts = []
    read_into = Reader.read_into

    def counted(self, layout, segments, first, out):
        counts.append(len(out))
        return read_into(self, layout, segments, first, out)

    monkeypatch.setattr(Reader, "read_into", counted)
    return counts


@pytest.mark.sampled(2)
def test_it_has_the_values_wherever_they_are(place):
    place.node().write_data(SIGNAL)
    array = place.written().get_data().to_dask()
    assert (array.shape, array.dtype) == (SIGNAL.shape, SIGNAL.dtype)
    for _ in range(3):
        assert array.compute(scheduler="threads", num_workers=8).tobytes() == SIGNAL.tobytes()
    assert array[7].compute(scheduler="sync").tolist() == SIGNAL[7].tolist()


@pytest.mark.parametrize(
    "data", [np.array(2.5), np.zeros((0, 3)), np.array(["a", "bc"]), np.arange(5, dtype=">i8")]
)
def test_it_has_the_values_of_any_array(data):
    node = BaseNode("m").get_data_node("a")
    array = node.write_data(data).to_dask().compute()
    assert (array.dtype, array.shape, array.tolist()) == (data.dtype, data.shape, data.tolist())


def test_nothing_is_read_before_it_is_computed_and_then_what_is_needed(db, rows_read):
    payload = db.open_connection().get_data_node("a").write_data(SIGNAL)
    array = payload.to_dask(chunks=(1000, 3))
    window = array[5000:5010]
    assert rows_read == []
    assert window.compute().tolist() == SIGNAL[5000:5010].tolist()
    assert sum(rows_read) <= 1000


def test_chunks_end_where_segments_do_and_small_segments_share_one(db):
    node = db.open_connection().get_data_node("a")
    block = np.zeros((1 << 20, 2), "f8")  # 16 MiB
    node.write_data(block)
    node.append_data(block)
    for _ in range(3):
        node.append_data(block[:10])
    assert node.get_data().to_dask().chunks == ((1 << 20, 1 << 20, 30), (2,))


def test_chunks_are_whole_ones_of_the_zarr_backend(db):
    node = db.open_connection().get_data_node("a", backend="zarr")
    payload = node.write_data(np.zeros((6_000_000, 1), "f4"), chunks=(7000, 1), shards=(70_000, 1))
    (rows, _) = payload.to_dask().chunks
    assert sum(rows) == 6_000_000
    assert len(rows) > 1
    assert [each % 7000 for each in rows[:-1]] == [0] * (len(rows) - 1)


def test_the_name_is_that_of_the_data(db):
    root = db.open_connection()
    root.get_data_node("a").write_data(SIGNAL)
    root.get_data_node("b").write_data(SIGNAL + 1)
    db.commit()
    names = [root[key].get_data().to_dask().name for key in ("a", "a", "b")]
    assert names[0] == names[1] != names[2]
    other = db.open_connection()
    assert other["a"].get_data().to_dask().name == names[0]
    root["a"].branch("c")
    assert root["c"].get_data().to_dask().name == names[0]
    root["c"].append_data(SIGNAL[:1])
    assert root["c"].get_data().to_dask().name != names[0]


def test_chunks_are_what_dask_takes(db):
    payload = db.open_connection().get_data_node("a").write_data(SIGNAL)
    assert payload.to_dask(chunks=-1).numblocks == (1, 1)
    assert payload.to_dask(chunks={1: 1}).numblocks[1] == 3
    assert payload.to_dask(chunks="auto").shape == SIGNAL.shape
    for wrong in ((1, 2, 3), "nonsense", ((5, 5), (3,))):
        with pytest.raises(InvalidOptionError, match="chunks"):
            payload.to_dask(chunks=wrong)


def test_it_computes_as_long_as_the_connection_is_open(db):
    with db.connection() as root:
        array = root.get_data_node("a").write_data(SIGNAL).to_dask()
    with pytest.raises(ClosedError, match="closed"):
        array.sum().compute()


def test_texts_and_tables_are_no_dask_arrays():
    node = BaseNode("m").get_data_node("a")
    table = DataWriter.write_table(node, {"a": [1]}, data_attribute="t")
    for payload in (node.write_data("x"), table):
        assert isinstance(payload, Payload)
        with pytest.raises(InvalidDataError, match="payload"):
            payload.to_dask()
