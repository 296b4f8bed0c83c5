"""Damaged files of payloads are told, and never read as if they were whole."""

from dataclasses import replace

import numpy as np
import pytest
from tests.core.payloads.stored import ARRAYS, blobs, settle
from tests.core.storage.databases import raw_records
from ZODB.utils import z64

from lotdb import LOTDB, DamagedError, InvalidOptionError, Payload


@pytest.fixture
def damage(tmp_path):
    """Damages the only blob file of a closed database; gives the node's payload and the file."""

    def damaged(how, rows=200_000):
        with LOTDB(tmp_path, durability="process") as db, db.connection() as root:
            root.get_data_node("subject/imu", samplerate_hz=100).write_data(np.arange(rows))
        (file,) = blobs(tmp_path)
        file.chmod(0o600)
        how(file)
        db = LOTDB(tmp_path, durability="process")
        opened.append(db)
        return db, db.open_connection()["subject/imu"].get_data(), file

    opened = []
    yield damaged
    for db in opened:
        db.close()


def flip(at):
    def how(file):
        data = bytearray(file.read_bytes())
        data[at] ^= 4
        file.write_bytes(data)

    return how


def truncate(file):
    file.write_bytes(file.read_bytes()[:1_000_000])


def empty(file):
    file.write_bytes(b"")


def foreign(file):
    file.write_bytes(b"something else" * 200_000)


def remove(file):
    file.unlink()


HARMS = {
    "flipped bit": flip(-5),
    "truncated": truncate,
    "empty": empty,
    "foreign": foreign,
    "missing": remove,
    "flipped bit of the header's length": flip(8),
}


@pytest.mark.parametrize("harm", HARMS)
def test_damage_is_an_error_that_names_node_payload_and_file(damage, harm):
    _, payload, file = damage(HARMS[harm])
    with pytest.raises(DamagedError, match="payload 'data' of node 'subject/imu'") as info:
        payload.read()
    assert file.name in str(info.value)
    with pytest.raises(OSError, match="subject/imu"):
        payload.read()


@pytest.mark.parametrize("harm", HARMS)
def test_verify_lists_damage_with_node_payload_and_file(damage, harm):
    db, _, file = damage(HARMS[harm])
    (found,) = db.verify()
    assert (found.path, found.name) == ("subject/imu", "data")
    assert file.name in found.reason


def test_verify_of_a_sound_database_lists_nothing(db):
    root = db.open_connection()
    for i, array in enumerate(ARRAYS.values()):
        root.get_data_node(f"n{i}").write_data(array)
    root["n0"].branch("copy")
    db.commit()
    assert db.verify() == []


@pytest.mark.parametrize(
    ("given", "meant"),
    [("samplerate", "samplerate_hz"), ("meta_data", "metadata"), ("if_exist", "if_exists")],
)
def test_a_misspelt_argument_is_told_from_an_option_of_the_backend(node, given, meant):
    with pytest.raises(InvalidOptionError, match=rf"{given!r}.*did you mean {meant}=\?"):
        node.write_data([1, 2], **{given: 1000})
    with pytest.raises(InvalidOptionError) as info:
        node.write_data([1, 2], chunks=1000)
    assert "did you mean" not in str(info.value)
    assert not node.has_data()


def test_bytes_that_are_no_text_are_damage(node):
    payload = node.write_data(b"\xff\xfe", data_attribute="note")
    settle(node)
    stored = replace(payload._record, kind="text")
    with pytest.raises(
        DamagedError, match=r"payload 'note' of (node 'node'|the root): its bytes are no text"
    ):
        Payload(node, "note", stored).read()


def test_verify_finds_whichever_record_of_a_tree_is_damaged(tmp_path):
    file = tmp_path / "db" / "lotdb.fs"
    with LOTDB(tmp_path / "db") as db:
        with db.connection() as root:
            root.get_node_path("few/a").attrs["text"] = "x" * 1000
            for number in range(300):
                root.get_node_path(f"many/{number:03}").attrs["number"] = number
        storage = db._zodb.storage
        records = {oid: (data, storage._index[oid]) for oid, _, data in raw_records(storage)}
    del records[z64]  # it has the id of the database, which does not open without it
    sound = file.read_bytes()
    assert len(records) > 10
    for record, position in records.values():
        at = sound.index(record, position)
        file.write_bytes(sound[:at] + bytes([record[0] ^ 1]) + sound[at + 1 :])
        with LOTDB(tmp_path / "db") as db:
            assert any("not the ones that were stored" in found.reason for found in db.verify())


@pytest.mark.parametrize("rest", [(), (None,), ("no guard",)])
def test_verify_lists_a_branch_whose_entry_is_not_as_it_was_written(db, rest):
    with db.connection() as root:
        root.get_node_path("sound/a")
        root.get_node_path("bad/a")
        container = root["bad"]._container_to_write()
        container["bad"] = (*container["bad"][:3], *rest)
    assert [found.path for found in db.verify()] == ["bad"]


def test_a_window_reads_nothing_outside_of_it(damage):
    _, payload, _ = damage(flip(-5))
    assert payload.read(0, 1000).tolist() == list(range(1000))
    assert payload[5:10].tolist() == [5, 6, 7, 8, 9]
    assert payload.read_seconds(1, 1.1).tolist() == list(range(100, 110))
    with pytest.raises(DamagedError):
        payload.read()


def test_a_window_reads_while_the_rest_of_the_file_is_gone(damage):
    _, payload, file = damage(truncate)
    assert payload[1000:1003].tolist() == [1000, 1001, 1002]
    with pytest.raises(DamagedError, match="payload 'data' of node 'subject/imu'") as info:
        payload[199_000:]
    assert file.name in str(info.value)


def test_a_damaged_payload_does_not_keep_others_from_being_read(db, tmp_path):
    with db.connection() as root:
        root.get_data_node("a").write_data(np.arange(200_000))
        root.get_data_node("b").write_data(np.arange(5))
    max(blobs(tmp_path), key=lambda file: file.stat().st_size).unlink()
    with db.connection() as root:
        assert root["b"].read_data().tolist() == [0, 1, 2, 3, 4]
        with pytest.raises(DamagedError):
            root["a"].read_data()
    assert [found.path for found in db.verify()] == ["a"]
