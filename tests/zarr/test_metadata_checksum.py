"""Each altered byte of an array's metadata is found, also in what no reader of rows looks at."""

import json

import numpy as np
import pytest

from lotdb import LOTDB, DamagedError
from lotdb_backend_zarr import metadata_checksum


@pytest.fixture
def stored(tmp_path):
    """The folder of a database, and the metadata of its array."""
    with LOTDB(tmp_path / "db", default_backend="zarr", durability="process") as db, db.connection() as root:
        root.get_data_node("a").write_data(np.arange(9.0), metadata={"unit": "V"})
    (file,) = (tmp_path / "db").glob("lotdb.fs.zarr/seg-*/zarr.json")
    return tmp_path / "db", file


def test_each_flip_and_each_cut_is_an_error(stored):
    content = stored[1].read_bytes()
    document = metadata_checksum.without_checksum(content)
    assert document == json.loads(content)
    for bit in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ValueError):  # noqa: PT011 - of JSON, of UTF-8, or ours
            metadata_checksum.without_checksum(bytes(flipped))
    for size in range(len(content)):
        with pytest.raises(ValueError):  # noqa: PT011
            metadata_checksum.without_checksum(content[:size])


def test_a_flip_in_a_note_is_damage_that_names_the_file(stored):
    folder, file = stored
    content = file.read_bytes()
    at = content.index(b'"unit"') + 2 if b'"unit"' in content else content.index(b"attributes") + 1
    file.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    with LOTDB(folder, read_only=True) as db:
        with db.connection() as root, pytest.raises(DamagedError, match=r"zarr\.json is damaged.*checksum"):
            root["a"].read_data()
        (found,) = db.verify()
        assert found.path == "a"


def test_a_document_without_a_checksum_is_read_as_before(stored):
    folder, file = stored
    file.write_bytes(json.dumps(json.loads(file.read_bytes()), indent=2).encode())
    with LOTDB(folder, read_only=True) as db, db.connection() as root:
        np.testing.assert_array_equal(root["a"].read_data(), np.arange(9.0))
