"""The ingester of text files keeps what an ingester promises."""

import pytest

from lotdb.testing import IngesterTests, Sample
from lotdb_ingest import text

WORDS = "Größe: 12 µm\r\n日本 𝄞\n"


def sample(name, encoding, *, words=WORDS, noted=None, bom=False, options=None):
    about = {"encoding": noted or encoding, "bom": bom}
    return Sample(name, content=words.encode(encoding), data=words, metadata=about, options=options or {})


class TestTextIngester(IngesterTests):
    @pytest.fixture
    def plugin(self):
        return text

    @pytest.fixture
    def samples(self):
        return [
            sample("words.txt", "utf-8"),
            sample("marked.TXT", "utf-8-sig", noted="utf-8", bom=True),
            sample("wide.log", "utf-16", noted="utf-16-le", bom=True),
            sample("wider.md", "utf-32", noted="utf-32-le", bom=True),
            sample("unmarked.txt", "utf-16-be", options={"encoding": "utf-16-be"}),
            sample("old.txt", "cp1252", words="Größe", options={"encoding": "cp1252"}),
            sample("japanese.text", "iso2022-jp", words="日本\n", options={"encoding": "iso2022-jp"}),
            sample("nothing.txt", "utf-8", words=""),
            Sample("words.csv", content=WORDS.encode(), data=WORDS, format="text"),
        ]

    @pytest.fixture
    def backends(self):
        return ["blob", "zarr"]


@pytest.mark.slow  # tests/ingest/test_text.py has files in blocks, too
class TestLargeTexts(TestTextIngester):
    """The same for texts that are read in blocks."""

    @pytest.fixture(autouse=True)
    def small_blocks(self, monkeypatch):
        monkeypatch.setattr(text, "WHOLE_BYTES", 0)
        monkeypatch.setattr(text, "PIECE", 5)

    @pytest.fixture
    def backends(self):
        return []
