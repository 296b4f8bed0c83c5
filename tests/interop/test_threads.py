"""Payloads that any thread may read: what they give, when, and how it ends."""

import pickle
import threading

import numpy as np
import pytest

from lotdb import (
    LOTDB,
    BaseNode,
    ClosedError,
    DataWriter,
    StaleNodeError,
    UnsupportedValueError,
    WrongThreadError,
)

LARGE = np.arange(600_000, dtype="f4").reshape(-1, 3)  # more than a pack takes


def in_thread(function):
    """What *function* returns or raises in a thread of its own."""
    found = []

    def run():
        try:
            found.append(function())
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    (result,) = found
    return result


@pytest.mark.parametrize("data", [LARGE, LARGE[:50], np.array(3.5)], ids=["large", "small", "no axis"])
def test_another_thread_reads_what_is_there(place, data):
    place.node().write_data(data)
    payload = place.written().get_data().for_threads()
    assert in_thread(payload.read).tobytes() == data.tobytes()
    assert payload.read().tobytes() == data.tobytes()
    if data.ndim:
        assert in_thread(lambda: payload[5:20, 1]).tolist() == data[5:20, 1].tolist()


def test_a_payload_itself_stays_in_its_thread(db):
    payload = db.open_connection().get_data_node("a").write_data(LARGE)
    assert isinstance(in_thread(payload.read), WrongThreadError)
    assert isinstance(in_thread(payload.for_threads), WrongThreadError)


def test_many_threads_read_at_once(place):
    node = place.node()
    for first in range(0, 200_000, 50_000):
        node.append_data(LARGE[first : first + 50_000])
    payload = place.written().get_data().for_threads()
    wrong = []

    def read(seed):
        for low in np.random.default_rng(seed).integers(0, 199_000, 40):
            if payload.read(int(low), int(low) + 900).tobytes() != LARGE[low : low + 900].tobytes():
                wrong.append(low)

    threads = [threading.Thread(target=read, args=[seed]) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []


def test_it_follows_what_is_committed_meanwhile(db):
    root = db.open_connection()
    large, small = root.get_data_node("a"), root.get_data_node("b")
    found = [node.write_data(data).for_threads() for node, data in ((large, LARGE), (small, LARGE[:9]))]
    db.savepoint()
    assert [in_thread(each.read).tobytes() for each in found] == [LARGE.tobytes(), LARGE[:9].tobytes()]
    db.commit()
    assert [in_thread(each.read).tobytes() for each in found] == [LARGE.tobytes(), LARGE[:9].tobytes()]


@pytest.mark.parametrize("backend", ["blob", "zarr"])
@pytest.mark.parametrize("data", [LARGE, LARGE[:50]], ids=["large", "small"])
def test_what_was_undone_is_stale(db, data, backend):
    payload = db.open_connection().get_data_node("a").write_data(data, backend=backend).for_threads()
    db.abort()
    assert isinstance(in_thread(payload.read), StaleNodeError)


def test_a_replaced_payload_stays_readable_over_a_pack(db):
    root = db.open_connection()
    root.get_data_node("a").write_data(LARGE)
    db.commit()
    payload = root["a"].get_data().for_threads()
    root["a"].write_data(LARGE[:5])
    db.commit()
    db.pack()
    assert in_thread(payload.read).tobytes() == LARGE.tobytes()


def test_when_the_connection_is_closed_it_says_so(tmp_path):
    with LOTDB(tmp_path / "db") as db, db.connection() as root:
        payload = root.get_data_node("a").write_data(LARGE).for_threads()
    with pytest.raises(ClosedError, match="closed"):
        payload.read()
    assert isinstance(in_thread(payload.read), ClosedError)


def test_a_copy_in_memory_is_read_in_any_thread(db):
    root = db.open_connection()
    root.get_data_node("a").write_data(LARGE)
    copy = root.copy_tree()
    copy["a"].append_data(LARGE[:4])
    payload = copy["a"].get_data().for_threads()
    assert in_thread(payload.read).tobytes() == np.concatenate([LARGE, LARGE[:4]]).tobytes()


def test_it_cannot_be_pickled():
    payload = BaseNode("m").get_data_node("a").write_data(LARGE).for_threads()
    with pytest.raises(UnsupportedValueError, match="cannot be pickled"):
        pickle.dumps(payload)


def test_texts_and_tables_are_read_in_any_thread(place):
    node = place.node()
    node.write_data("täxt", data_attribute="text")
    DataWriter.write_table(node, {"a": [1, None, 3], "b": ["x", "y", None]}, data_attribute="table")
    node = place.written()
    text, table = node.get_data("text").for_threads(), node.get_data("table").for_threads()
    assert in_thread(text.read) == "täxt"
    assert in_thread(table.read)["a"].tolist() == [1, None, 3]
