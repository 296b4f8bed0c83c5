"""What stored bytes decode to is known before memory is taken for it."""

import bz2
import gzip
import lzma
import zlib

import numcodecs
import pytest

from lotdb_backend_zarr.decoded_size import check_size

DATA = bytes(1 << 20)
STORED = {
    "blosc": numcodecs.Blosc("lz4").encode(DATA),
    "bz2": bz2.compress(DATA),
    "gzip": gzip.compress(DATA[: 1 << 19]) + gzip.compress(DATA[: 1 << 19]),
    "lz4": numcodecs.LZ4().encode(DATA),
    "lzma": lzma.compress(DATA),
    "zlib": zlib.compress(DATA),
    "zstd": numcodecs.Zstd().encode(DATA),
}


@pytest.mark.parametrize("name", STORED)
def test_more_than_a_chunk_holds_is_refused(name):
    stored = memoryview(bytes(STORED[name]))
    check_size([name], stored, len(DATA))
    check_size(["crc32c", f"numcodecs.{name}"], memoryview(bytes(stored) + b"1234"), len(DATA))
    with pytest.raises(ValueError, match="more than the 500000 bytes of a chunk"):
        check_size([name], stored, 500_000)


def test_codecs_that_are_not_known_are_left_alone():
    assert check_size(["crc32c", "theirs.codec"], memoryview(b"anything"), 1) is None
