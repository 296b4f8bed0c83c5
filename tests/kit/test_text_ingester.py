"""The ingester of text files keeps what an ingester promises."""

import pytest

from lotdb.testing import IngesterTests, Sample
from lotdb_ingest import text


class TestTextIngester(IngesterTests):
    @pytest.fixture
    def plugin(self):
        return text

    @pytest.fixture
    def samples(self):
        words = "Größe: 12 µm\r\n日本 𝄞\n"
        return [
            Sample("words.txt", content=words.encode(), data=words, metadata={"encoding": "utf-8-sig"}),
            Sample("marked.TXT", content=words.encode("utf-8-sig"), data=words),
            Sample("old.txt", content="Größe".encode("cp1252"), data="Größe", options={"encoding": "cp1252"}),
            Sample(
                "wide.log",
                content=words.encode("utf-16"),
                data=words,
                format="text",
                options={"encoding": "utf-16"},
            ),
            Sample("nothing.txt", content=b"", data=""),
        ]

    @pytest.fixture
    def backends(self):
        return ["blob", "zarr"]
