"""A short file that was read to be hashed is there in memory, for ingesters that read many small parts."""

import hashlib

import pytest

from lotdb import SourceFile

SHORT, LONG = b"0123456789" * 500, bytes(range(256)) * 5000


def opened(path, content):
    path.write_bytes(content)
    return SourceFile(path, open(path, "rb"), len(content), "x")


@pytest.mark.parametrize("content", [b"", SHORT, LONG], ids=["empty", "short", "long"])
def test_its_bytes_are_those_of_the_file_and_of_its_hash(tmp_path, content):
    source = opened(tmp_path / "a.x", content)
    source.file.seek(len(content) // 2)
    with source.file:
        assert source.sha256 == hashlib.sha256(content).hexdigest()
        assert source.file.tell() == len(content) // 2
        assert source.in_memory().read() == content
        assert source.head == content[:4096]


def test_a_short_one_is_read_once_and_apart_from_the_open_file(tmp_path):
    source = opened(tmp_path / "a.x", SHORT)
    with source.file:
        assert source.sha256
        source.file.seek(7)
        (tmp_path / "a.x").write_bytes(b"something else")
        assert source.in_memory().read() == SHORT
        assert source.file.tell() == 7


def test_what_was_not_hashed_or_is_long_is_the_file_itself_at_its_start(tmp_path):
    for content, is_hashed in ((SHORT, False), (LONG, True)):
        source = opened(tmp_path / "a.x", content)
        with source.file:
            if is_hashed:
                assert source.sha256
            source.file.seek(7)
            assert source.in_memory() is source.file
            assert source.file.tell() == 0
