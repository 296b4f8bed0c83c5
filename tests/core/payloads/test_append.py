"""Appending to payloads: what fits, what does not, and what stays."""

import math

import numpy as np
import pytest
from tests.core.payloads.stored import settle

from lotdb import DataMismatchError, DataNode, Plugins, hookimpl
from lotdb.segments.memory import MemoryBackend
from lotdb.segments.stage import GATHERED


def test_append_makes_the_payload_the_first_time(node):
    node.append_data(np.arange(3), samplerate_hz=10)
    settle(node)
    assert node.read_data().tolist() == [0, 1, 2]
    assert node.get_data().samplerate_hz == 10


@pytest.mark.parametrize(
    ("first", "second", "what"),
    [
        (np.zeros(3, "i2"), np.zeros(3, "f8"), "dtype int16, the new data float64"),
        (np.zeros(3, ">i4"), np.zeros(3, "<i4"), "dtype"),
        (np.zeros((3, 2)), np.zeros((3, 3)), r"shape of a row \(2,\), the new data \(3,\)"),
        (np.zeros((3, 2)), np.zeros(3), "shape of a row"),
        (np.zeros(3), np.float64(0), "both need rows"),
        (np.float64(0), np.zeros(3), "both need rows"),
        ("text", b"bytes", "kind text, the new data bytes"),
        (np.zeros(3, "u1"), b"bytes", "kind array, the new data bytes"),
    ],
)
def test_appending_what_does_not_fit_is_refused_and_says_why(node, first, second, what):
    node.write_data(first)
    with pytest.raises(DataMismatchError, match=f"payload 'data' of .*{what}"):
        node.append_data(second)
    settle(node)
    assert node.get_data().shape == (np.shape(first) if not isinstance(first, str) else (4,))


def test_appending_with_another_rate_is_refused(node):
    node.write_data(np.zeros(3), samplerate_hz=10)
    with pytest.raises(DataMismatchError, match=r"sample rate 10\.0, the new data 20\.0"):
        node.append_data(np.zeros(3), samplerate_hz=20)
    node.append_data(np.zeros(3), samplerate_hz=10)
    assert len(node.get_data()) == 6


def test_appending_does_not_ask_the_nodes_new_defaults(node):
    node.write_data(np.zeros(3), samplerate_hz=10)
    node.configure_data(samplerate_hz=20)
    node.append_data(np.zeros(3))
    assert node.get_data().samplerate_hz == 10
    assert len(node.get_data()) == 6


class OtherBackend(MemoryBackend):
    name = "other"


class OtherPlugin:
    @hookimpl
    def lotdb_get_backend(self, name):
        return OtherBackend if name == "other" else None


def test_appending_with_another_backend_is_refused():
    plugins = Plugins()
    plugins.register(OtherPlugin())
    node = DataNode("node", backend="other", plugins=plugins)
    node.write_data(np.zeros(3))
    with pytest.raises(DataMismatchError, match="backend other, the new data blob"):
        node.append_data(np.zeros(3), backend="blob")
    node.configure_data(backend="blob")
    node.append_data(np.zeros(3))
    assert node.get_data().backend == "other"


def test_appended_metadata_is_added_to_what_is_there(node):
    node.write_data(np.zeros(3), metadata={"a": 1, "b": 2})
    node.append_data(np.zeros(3), metadata={"b": 3})
    settle(node)
    assert node.get_data().metadata == {"a": 1, "b": 3}


def test_nothing_appended_changes_nothing(node):
    node.write_data(np.arange(3))
    node.append_data(np.arange(0))
    settle(node)
    assert node.read_data().tolist() == [0, 1, 2]


def test_rows_of_no_width_can_be_appended(node):
    node.write_data(np.zeros((3, 0)))
    node.append_data(np.zeros((2, 0)))
    settle(node)
    assert node.read_data().shape == (5, 0)


def test_appending_a_text_continues_it(node):
    node.write_data("naï")
    node.append_data("ve 🎧")
    settle(node)
    assert node.read_data() == "naïve 🎧"


def test_many_appends_in_one_transaction_give_few_segments(node):
    for i in range(500):
        node.append_data(np.arange(i * 10, i * 10 + 10))
    settle(node)
    assert node.read_data().tolist() == list(range(5000))
    if node.get_data().backend == "blob" and node.path:
        assert len(node.get_data().segments()) == 1


def test_many_appends_in_memory_give_few_segments():
    node = DataNode()
    for i in range(500):
        node.append_data(np.arange(i * 10, i * 10 + 10))
    assert len(node.get_data().segments()) <= 1 + math.log2(500)


def test_many_transactions_of_appends_give_few_segments(db):
    root = db.open_connection()
    node = root.get_data_node("a")
    for i in range(200):
        node.append_data(np.arange(i * 10, i * 10 + 10))
        db.commit()
        assert len(node.get_data().segments()) <= GATHERED * (1 + math.log(i + 1, GATHERED))
    assert len(node.get_data().segments()) < GATHERED
    assert node.read_data().tolist() == list(range(2000))
    for start in range(0, 2000, 77):
        assert node.read_data(start, start + 77).tolist() == list(range(start, min(start + 77, 2000)))


@pytest.mark.parametrize("megabytes", [(25, 20), (31, 2), (17, 17, 1)])
def test_a_small_append_to_a_long_payload_writes_no_large_segment_anew(db, megabytes):
    with db.connection() as root:
        for size in megabytes:
            root.get_data_node("n").append_data(np.zeros((size << 20, 1), "u1"))
    large = [
        segment.files for segment in db.open_connection()["n"].get_data().segments() if segment.rows > 1 << 24
    ]
    for number in range(5):
        with db.connection() as root:
            root["n"].append_data(np.full((38_400, 1), number, "u1"))
    with db.connection() as root:
        payload = root["n"].get_data()
        assert [segment.files for segment in payload.segments()][: len(large)] == large
        assert payload[-38_400 * 5 :: 38_400].ravel().tolist() == [0, 1, 2, 3, 4]


def test_what_is_appended_after_an_abort_follows_what_was_committed(db):
    root = db.open_connection()
    for number in range(6):
        root.get_data_node("n").append_data(np.full(10, number))
        if number % 2:
            db.abort()
        else:
            db.commit()
    assert root["n"].read_data()[::10].tolist() == [0, 2, 4]
    db.commit()
    assert db.verify() == []


def test_appends_of_mixed_sizes_keep_the_rows_in_order(db):
    root, rng = db.open_connection(), np.random.default_rng(0)
    node, expected = root.get_data_node("a"), []
    for i, rows in enumerate(rng.integers(1, 60_000, 60)):
        block = np.arange(len(expected), len(expected) + rows)
        expected.extend(block.tolist())
        node.append_data(block)
        if i % 3 == 0:
            db.commit()
    db.commit()
    assert node.read_data().tolist() == expected
    assert db.verify() == []


def test_appends_to_several_payloads_in_turn_keep_them_apart(node):
    for i in range(100):
        for name in "xyz":
            node.append_data(np.full(3, i), data_attribute=name)
    settle(node)
    for name in "xyz":
        assert node.read_data(data_attribute=name).tolist() == np.repeat(np.arange(100), 3).tolist()
