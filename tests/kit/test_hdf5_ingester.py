"""The ingester of HDF5 files keeps what an ingester promises."""

import io

import numpy as np
import pytest

from lotdb.testing import IngesterTests, Sample

h5py = pytest.importorskip("h5py")
hdf5 = pytest.importorskip("lotdb_ingest.hdf5.plugin")


def encoded(data, **attributes):
    file = io.BytesIO()
    with h5py.File(file, "w") as opened:
        opened["x"] = data
        opened["x"].attrs.update(attributes)
    return file.getvalue()


class TestHdf5Ingester(IngesterTests):
    @pytest.fixture
    def plugin(self):
        return hdf5

    @pytest.fixture
    def samples(self):
        signal = np.arange(300, dtype="i2").reshape(-1, 3)
        content = encoded(signal, samplerate_hz=100.0, unit="V")
        return [Sample("a.h5", content, {"x": signal}, 100.0, {"unit": "V"}, exported=False)]

    @pytest.fixture
    def backends(self):
        return ["blob"]
