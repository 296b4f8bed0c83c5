"""The ingester of last resort keeps what an ingester promises."""

import pytest

from lotdb.testing import IngesterTests, Sample
from lotdb_ingest import raw


class TestRawIngester(IngesterTests):
    @pytest.fixture
    def plugin(self):
        return raw

    @pytest.fixture
    def samples(self):
        content = bytes(range(256)) * 3
        return [
            Sample("firmware.bin", content=content, data=content),
            Sample("no suffix", content=content, data=content),
            Sample("recording.npy", content=content, data=content),
            Sample("nothing.dat", content=b"", data=b""),
        ]

    @pytest.fixture
    def backends(self):
        return ["blob", "zarr"]


@pytest.mark.slow  # tests/ingest/test_raw.py has files in blocks, too
class TestLargeRawFiles(TestRawIngester):
    """The same for files that are read in blocks."""

    @pytest.fixture(autouse=True)
    def small_blocks(self, monkeypatch):
        monkeypatch.setattr(raw, "PIECE", 100)

    @pytest.fixture
    def backends(self):
        return []
