"""The zarr backend keeps what a backend promises in an object store."""

import uuid

import pytest
from zarr.codecs import GzipCodec

from lotdb.testing import BackendTests
from lotdb.testing.backend_first import FirstTests
from lotdb_backend_zarr.backend import ZarrBackend


class Opened:
    # The same network answers each of the kit's thousand requests: a tenth of the examples shows as much.
    effort = 0.1

    @pytest.fixture
    def backend_class(self):
        return ZarrBackend

    @pytest.fixture
    def config(self, s3_bucket):
        return {"store": f"{s3_bucket}/{uuid.uuid4().hex}/lotdb.fs.zarr"}

    @pytest.fixture
    def options(self):
        return [{"chunks": 100}, {"compressors": GzipCodec(level=1)}]


class TestZarrBackendInAnObjectStoreAtFirst(Opened, FirstTests):
    """What all else stands on."""


@pytest.mark.slow
class TestZarrBackendInAnObjectStore(Opened, BackendTests):
    """All of it."""
