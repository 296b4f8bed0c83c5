"""Selections along any axes are numpy's, and read the chunks that are needed where a backend has chunks."""

import runpy
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as st_numpy

from lotdb import BaseNode, DamagedError, InvalidIndexError

raw_backend = runpy.run_path(str(Path(__file__).with_name("raw_backend.py")))
RawBackend: Any = raw_backend["RawBackend"]
fresh, opened = raw_backend["fresh"], raw_backend["opened"]

SHAPE = (60, 7, 5)
ARRAY = np.arange(2100.0).reshape(SHAPE)


class Boxes(RawBackend):
    """It reads what is selected, and checks it, it says."""

    checks_windows = True

    def read_selection(self, locator, selection, out):
        self.selections.append(selection)
        rows = np.fromfile(self.path(locator), out.dtype).reshape(-1, *SHAPE[1:])
        assert out.flags.c_contiguous
        out[...] = rows[selection]


@pytest.fixture(scope="module")
def payloads(tmp_path_factory):
    databases = []

    def payload(backend, **options):
        db = opened(tmp_path_factory.mktemp("db"), backend)
        databases.append(db)
        node = db.open_connection().get_data_node("a")
        node.write_data(ARRAY[:40], **options)
        db.commit()
        node.append_data(ARRAY[40:])  # another segment, that still waits to be written
        return node.get_data()

    memory = BaseNode().get_data_node("a")
    yield {
        "memory": memory.write_data(ARRAY),
        "blob": payload("blob"),
        "raw": payload(fresh()),
        "boxes": payload(fresh(Boxes, selections=[])),
        "zarr": payload("zarr", chunks=[7, 2, 2], shards=[14, 4, 4]),
        "zarr of its own codecs": payload("zarr", chunks=[7, 2, 2], shards=[14, 4, 4], compressors=None),
    }
    for db in databases:
        db.close()


NAMES = ["memory", "blob", "raw", "boxes", "zarr", "zarr of its own codecs"]


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", NAMES)
def test_any_basic_index_is_numpys(payloads, name):
    payload = payloads[name]

    @given(st_numpy.basic_indices(SHAPE, allow_newaxis=True, allow_ellipsis=True))
    def check(index):
        got, wanted = payload[index], ARRAY[index]
        assert type(got) is type(wanted)
        assert (np.shape(got), np.asarray(got).dtype) == (wanted.shape, wanted.dtype)
        assert np.array_equal(got, wanted)

    check()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "index", [(0, 7), (0, 0, 5), (60, 0), (0, -8), (..., 0, ...), (0, 0, 0, 0), (0, 1.5)]
)
def test_what_numpy_refuses_is_an_error_of_ours(payloads, name, index):
    with pytest.raises(InvalidIndexError, match="payload 'data' of node 'a'"):
        payloads[name][index]


@pytest.mark.parametrize("name", NAMES)
def test_other_indices_are_numpys_as_well(payloads, name):
    for index in ((slice(None), [1, 3]), (slice(3, 9), ARRAY[0, :, 0] > 20), (5, [0, 1], [2, 3])):
        assert np.array_equal(payloads[name][index], ARRAY[index])


def test_only_what_is_selected_is_asked_for(tmp_path):
    backend = fresh(Boxes, selections=[])
    with opened(tmp_path, backend) as db:
        with db.connection() as root:
            root.get_data_node("a").write_data(ARRAY)
        with db.connection() as root:
            payload = root["a"].get_data()
            assert np.array_equal(payload[:, 3], ARRAY[:, 3])
            assert np.array_equal(payload[10:20, ..., 4:1:-1], ARRAY[10:20, ..., 4:1:-1])
        whole, rows = (slice(0, length) for length in SHAPE), slice(0, 60)
        assert backend.selections == [
            (rows, slice(3, 4), list(whole)[2]),
            (slice(10, 20), slice(0, 7), slice(2, 5)),
        ]
        assert backend.requests == []


def test_a_backend_that_does_not_check_is_asked_for_rows(tmp_path):
    backend = fresh(Boxes, selections=[], checks_windows=False)
    with opened(tmp_path, backend) as db:
        with db.connection() as root:
            root.get_data_node("a").write_data(ARRAY)
        with db.connection() as root:
            assert np.array_equal(root["a"].get_data()[:, 3], ARRAY[:, 3])
        assert backend.selections == []


@pytest.mark.parametrize("compressors", [{}, {"compressors": None}])
def test_zarr_reads_the_chunks_of_a_column_alone(tmp_path, compressors):
    with opened(tmp_path, "zarr") as db:
        with db.connection() as root:
            node = root.get_data_node("a")
            node.write_data(ARRAY, chunks=[60, 1, 5], shards=[60, 1, 5], **compressors)
        with db.connection() as root:
            paths = [Path(path) for path, _ in root["a"].get_data().segments()[0].files]
            for path in paths:
                if path.name.startswith("c.") and path.name != "c.0.3.0":
                    path.unlink()
            payload = root["a"].get_data()
            assert np.array_equal(payload[:, 3], ARRAY[:, 3])
            assert np.array_equal(payload[5:9, 3, ::2], ARRAY[5:9, 3, ::2])
            with pytest.raises(DamagedError, match="payload 'data' of node 'a'"):
                payload[:, 4]


def test_a_column_of_many_rows_takes_the_memory_of_a_column(tmp_path):
    array = np.zeros((100_000, 100), "f4")
    array[:, 3] = np.arange(100_000)
    with opened(tmp_path, "blob") as db:
        with db.connection() as root:
            root.get_data_node("a").write_data(array)
        with db.connection() as root:
            payload = root["a"].get_data()
            tracemalloc.start()
            try:
                column = payload[:, 3]
                assert tracemalloc.get_traced_memory()[1] < array.nbytes // 3
            finally:
                tracemalloc.stop()
        assert np.array_equal(column, array[:, 3])


def test_an_altered_column_is_an_error(tmp_path):
    with opened(tmp_path, "zarr") as db:
        with db.connection() as root:
            root.get_data_node("a").write_data(ARRAY, chunks=[60, 1, 5], shards=[60, 7, 5])
        with db.connection() as root:
            (path,) = (p for p, _ in root["a"].get_data().segments()[0].files if "c.0" in p)
            data = bytearray(Path(path).read_bytes())
            data[5] ^= 1
            Path(path).write_bytes(data)
            with pytest.raises(DamagedError):
                root["a"].get_data()[:, 0]
