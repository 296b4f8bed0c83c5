"""The ingester of .npy files keeps what an ingester promises."""

import io

import numpy as np
import pytest

from lotdb.testing import IngesterTests, Sample
from lotdb_ingest.npy import plugin as npy


def sample(name, array, version=None):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=version)
    return Sample(name, content=file.getvalue(), data=array)


class TestNpyIngester(IngesterTests):
    @pytest.fixture
    def plugin(self):
        return npy

    @pytest.fixture
    def samples(self):
        rows = np.arange(12, dtype="int16").reshape(4, 3)
        return [
            sample("rows.npy", rows),
            sample("columns.NPY", np.asfortranarray(rows)),
            sample("scalar.npy", np.array(1.5)),
            sample("big_endian.npy", rows.astype(">f4"), version=(2, 0)),
            sample("structure.npy", np.array([(1, "ä"), (2, "b")], [("größe", "<i4"), ("name", "U2")])),
            sample("names.npy", np.ones(2, [("データ", ">i2", (2,)), ("b", "u1")]), version=(3, 0)),
            sample("aligned.npy", np.ones(2, np.dtype([("a", "u1"), ("b", "f8")], align=True))),
            sample("dates.npy", np.array(["2020-01-01", "NaT"], "M8[D]")),
            sample("no_rows.npy", np.empty((0, 3))),
        ]

    @pytest.fixture
    def backends(self):
        return ["blob", "zarr"]


@pytest.mark.slow  # tests/ingest/test_npy.py has files in blocks, too
class TestLargeNpyFiles(TestNpyIngester):
    """The same for files that are read in blocks."""

    @pytest.fixture(autouse=True)
    def small_blocks(self, monkeypatch):
        monkeypatch.setattr("lotdb_ingest.npy.plugin.BLOCK_BYTES", 8)
        monkeypatch.setattr("lotdb_ingest.npy.format.BLOCK_BYTES", 8)
        monkeypatch.setattr("lotdb_ingest.npy.format.SCATTERED_BYTES", 8)

    @pytest.fixture
    def samples(self):
        rows = np.arange(12, dtype=">f4").reshape(4, 3)
        return [
            sample("rows.npy", rows),
            sample("columns.npy", np.asfortranarray(rows)),
            sample("aligned.npy", np.ones(2, np.dtype([("a", "u1"), ("b", "f8")], align=True))),
        ]

    @pytest.fixture
    def backends(self):
        return []
