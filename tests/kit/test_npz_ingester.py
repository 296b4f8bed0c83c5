"""The ingester of .npz files keeps what an ingester promises."""

import io

import numpy as np
import pytest

from lotdb.testing import IngesterTests, Sample
from lotdb_ingest.npy import npz

ARRAYS = {
    "rows": np.arange(12, dtype="int16").reshape(4, 3),
    "columns": np.asfortranarray(np.arange(12, dtype=">f4").reshape(3, 4)),
    "größe/scalar": np.array(1.5),
    "structure": np.array([(1, "ä"), (2, "b")], [("größe", "<i4"), ("name", "U2")]),
    "no_rows": np.empty((0, 3)),
}


def saved(save=np.savez, **arrays):
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


class TestNpzIngester(IngesterTests):
    @pytest.fixture
    def plugin(self):
        return npz

    @pytest.fixture
    def samples(self):
        stored, deflated = saved(**ARRAYS), saved(np.savez_compressed, **ARRAYS)
        one = saved(only=ARRAYS["rows"])
        return [
            Sample("stored.npz", content=stored, data=ARRAYS),
            Sample("deflated.NPZ", content=deflated, data=ARRAYS),
            Sample("one.npz", content=one, data={"only": ARRAYS["rows"]}, metadata={"member": "only"}),
            Sample("columns.npz", content=deflated, data=ARRAYS["columns"], options={"member": "columns"}),
            Sample("scalar.npz", content=stored, data=np.array(1.5), options={"member": "größe/scalar.npy"}),
        ]

    @pytest.fixture
    def backends(self):
        return ["blob", "zarr"]
