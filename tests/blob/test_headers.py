"""The header of a payload's file is checked, though no row is read by it."""

import io

import numpy as np
import pytest

from lotdb import LOTDB, DamagedError, salvage
from lotdb_backend_blob.npy_writing import header, is_header


@pytest.fixture
def stored(tmp_path):
    """A database, and the file of its payload."""
    with LOTDB(tmp_path / "db", durability="process") as db, db.connection() as root:
        root.get_data_node("a").write_data(np.arange(30_000.0).reshape(10_000, 3))
    (file,) = (tmp_path / "db").rglob("*.blob")
    file.chmod(0o644)
    return tmp_path / "db", file


def flip(file, bit):
    content = bytearray(file.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    file.write_bytes(content)


@pytest.mark.parametrize("step", [41, pytest.param(1, marks=pytest.mark.slow)])
def test_each_flip_in_a_header_is_found_by_reading_and_by_verify(stored, step):
    folder, file = stored
    for bit in range(0, 128 * 8, step):
        flip(file, bit)
        with LOTDB(folder, read_only=True) as db:
            with db.connection() as root, pytest.raises(DamagedError, match=r"header|begin|has|checksum"):
                root["a"].read_data()
            assert [each.path for each in db.verify()] == ["a"]
        flip(file, bit)
    with LOTDB(folder, read_only=True) as db:
        assert db.verify() == []


def test_salvage_keeps_the_rows_behind_a_damaged_header(stored, tmp_path):
    folder, file = stored
    flip(file, 8 * 100)
    assert salvage(folder, tmp_path / "new").is_whole
    with LOTDB(tmp_path / "new", read_only=True) as db, db.connection() as root:
        np.testing.assert_array_equal(root["a"].read_data(), np.arange(30_000.0).reshape(10_000, 3))


@pytest.mark.parametrize("dtype", ["f8", "<i2", "M8[ns]", "S3", [("t", "f4"), ("name", "U5")], "c16", "?"])
@pytest.mark.parametrize("shape", [(3,), (1, 2), (10, 0, 2)])
def test_headers_of_numpy_are_headers(dtype, shape):
    array = np.zeros(shape, dtype)
    file = io.BytesIO()
    np.save(file, array)
    stored = file.getvalue()[: len(file.getvalue()) - array.nbytes]
    assert is_header(stored, array.dtype, shape)
    assert is_header(header(array.dtype, shape), array.dtype, shape)
    assert not is_header(stored, array.dtype, (4, *shape[1:]))
    assert not is_header(stored, np.dtype("u1"), shape)
