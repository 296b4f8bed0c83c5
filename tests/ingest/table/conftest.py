"""What the tests of tables share: a node, and files that are taken in or refused."""

import pytest

from lotdb import DataNode, IngestError


@pytest.fixture
def node():
    return DataNode("node")


@pytest.fixture
def attach(node, tmp_path):
    """Takes in a file of some content, and gives the table."""

    def attach(content, name="x.csv", **options):
        content = content.encode() if isinstance(content, str) else content
        (tmp_path / name).write_bytes(content)
        return node.attach_file(tmp_path / name, **options).read()

    return attach


@pytest.fixture
def refused(attach, node, tmp_path):
    """Takes in a file that is refused, and gives the reason."""

    def refused(content, name="x.csv", **options):
        with pytest.raises(IngestError) as info:
            attach(content, name, **options)
        assert not node.has_data()
        assert dict(node.attrs) == {}
        assert str(tmp_path / name) in str(info.value)
        assert " failed: " not in str(info.value), "an exception of a library, and no message of ours"
        return str(info.value).partition(" as csv: ")[2]

    return refused


@pytest.fixture
def small_blocks(monkeypatch):
    """Tables are read and written in blocks of some hundred rows, so that a small file has many."""
    monkeypatch.setattr("lotdb_ingest.table.read.BLOCK_CELLS", 500)
    monkeypatch.setattr("lotdb_ingest.table.read.BLOCK_BYTES", 1 << 13)
    monkeypatch.setattr("lotdb_ingest.table.write.BLOCK_BYTES", 1 << 16)
