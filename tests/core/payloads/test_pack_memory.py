"""The memory of a pack that was written serves the next one, and no payload notices."""

import numpy as np
import pytest

from lotdb import LOTDB
from lotdb.segments import small_arrays, stage
from lotdb.segments.layout import Layout
from lotdb.segments.small_arrays import Pack, Spare


def array(number):
    dtype = ("i2", "f8", [("a", "u1"), ("b", "f4")])[number % 3]
    return np.frombuffer(np.random.default_rng(number).bytes(1440), dtype)


@pytest.fixture
def small_packs(monkeypatch):
    for module in (small_arrays, stage):
        monkeypatch.setattr(module, "PACK_BYTES", 1 << 14)
        monkeypatch.setattr(module, "PACKED_BYTES", 1 << 12)


def test_payloads_of_many_packs_are_what_was_written_before_and_after_the_commit(tmp_path, small_packs):
    with LOTDB(tmp_path / "db", new=True, backends={"blob": {"record_bytes": 0}}) as db:
        root = db.open_connection()
        for number in range(120):
            root.get_data_node(f"n{number}").write_data(array(number))
        for _ in range(2):
            for number in range(120):
                assert root[f"n{number}"].read_data().tobytes() == array(number).tobytes()
            db.commit()
        assert db.verify() == []


def test_rows_that_are_appended_across_packs_are_what_was_appended(tmp_path, small_packs):
    with LOTDB(tmp_path / "db", new=True, backends={"blob": {"record_bytes": 0}}) as db:
        root = db.open_connection()
        for number in range(0, 120, 3):
            root.get_data_node("n").append_data(array(number))
            root.get_data_node("other").append_data(array(number + 1))
        db.commit()
        expected = np.concatenate([array(number) for number in range(0, 120, 3)])
        assert np.array_equal(root["n"].read_data(), expected)


def test_the_memory_of_one_pack_is_kept_for_the_next_and_no_more():
    spare, layout = Spare(), Layout("blob", np.dtype("u1"), ())
    first, second = Pack(None, layout), Pack(None, layout)
    rows = np.arange(small_arrays.PACKED_BYTES, dtype="u1")
    for pack in (first, second):
        pack.add(rows, spare)
    spare.keep(first)
    spare.keep(second)
    third, fourth = Pack(None, layout), Pack(None, layout)
    for pack in (third, fourth):
        pack.add(rows, spare)
    assert third.memory is second.memory
    assert fourth.memory is not first.memory
    assert np.array_equal(third.array, rows)
