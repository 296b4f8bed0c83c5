"""The zarr backend keeps what a backend promises, with any chunks and codecs."""

import pytest
from zarr.codecs import BloscCodec, GzipCodec

from lotdb.testing import BackendTests
from lotdb_backend_zarr.backend import ZarrBackend


class TestZarrBackend(BackendTests):
    @pytest.fixture
    def backend_class(self):
        return ZarrBackend

    @pytest.fixture
    def config(self):
        return {"record_bytes": 0}  # the backend never sees what lies in records

    @pytest.fixture
    def options(self):
        several = [
            {"chunks": 100},
            {"compressors": None},
            {"compressors": GzipCodec(level=1)},
            {"chunks": 7_000, "shards": 70_000, "compressors": [BloscCodec(cname="zstd")]},
        ]
        return several if self.effort >= 1 else several[::3]
