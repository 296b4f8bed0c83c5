"""A store that takes its time is asked for several things at once; counted are the requests, not the time."""

import os
import runpy
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lotdb import BaseNode, DamagedError, InvalidOptionError, read_many

raw_backend = runpy.run_path(str(Path(__file__).with_name("raw_backend.py")))
RawBackend: Any = raw_backend["RawBackend"]
fresh, opened = raw_backend["fresh"], raw_backend["opened"]

COUNT = 200


def data(number):
    return np.arange(1000.0) + number


def filled(folder, backend, *, commits=False):
    db = opened(folder, backend)
    root = db.open_connection()
    for number in range(COUNT):
        root.get_data_node(f"p/{number}").write_data(data(number))
        if commits:
            db.commit()
    db.commit()
    db.close_connection()
    backend.requests.clear()
    backend.threads.clear()
    return db


class Together(RawBackend):
    """It answers nobody before somebody else asks as well."""

    def answer(self, locator):
        self.together.wait(60)


def together():
    return fresh(Together, together=threading.Barrier(2))


def test_small_payloads_that_share_an_array_need_few_requests(tmp_path):
    backend = fresh()
    with filled(tmp_path, backend) as db:
        with db.connection() as root:
            for number in range(COUNT):  # as anybody would write it
                assert np.array_equal(root[f"p/{number}"].read_data(), data(number))
        assert len(backend.requests) <= 4
        backend.requests.clear()
        with db.connection() as root:
            found = [payload.read() for node in root["p"].values() for payload in node.payloads.values()]
        assert sorted(rows[0] for rows in found) == list(range(COUNT))
        assert len(backend.requests) <= 4
        backend.requests.clear()
        with db.connection() as root:
            payloads = [root[f"p/{number}"].get_data() for number in range(COUNT)]
            for number, rows in enumerate(read_many(payloads)):
                assert np.array_equal(rows, data(number))
        assert len(backend.requests) == 1
        backend.requests.clear()
        assert db.verify() == []
        assert len(backend.requests) == 1


def test_payloads_of_a_node_that_are_read_one_by_one_need_few_requests(tmp_path):
    backend = fresh()
    with opened(tmp_path, backend) as db:
        with db.connection() as root:
            for number in range(COUNT):
                root.get_data_node("p").write_data(data(number), data_attribute=f"n{number:03}")
        with db.connection() as root:
            for number, payload in enumerate(root["p"].payloads.values()):
                assert np.array_equal(payload.read(), data(number))
        assert len(backend.requests) <= 4


def test_each_array_is_asked_for_while_the_others_are(tmp_path):
    backend = together()  # which hangs if they are asked for one after another
    with opened(tmp_path, backend) as db:
        for number in range(40):
            with db.connection() as root:
                root.get_data_node(f"p/{number}").write_data(data(number))
        with db.connection() as root:
            payloads = [root[f"p/{number}"].get_data() for number in range(40)]
            for number, rows in enumerate(read_many(payloads)):
                assert np.array_equal(rows, data(number))
        assert len(backend.requests) == 40
        assert db.verify() == []


def test_the_segments_of_a_payload_are_asked_for_at_once(tmp_path):
    backend = fresh()
    parts = [np.arange(1_100_000) + number for number in range(3)]
    with opened(tmp_path, backend) as db:
        for part in parts:  # of more than 8 MiB: they are not merged
            with db.connection() as root:
                root.get_data_node("a").append_data(part, samplerate_hz=1)
        with db.connection() as root:
            count = len(root["a"].get_data().segments())
    assert count > 1
    again = fresh(Together, together=threading.Barrier(count))
    with opened(tmp_path, again) as db, db.connection() as root:
        assert np.array_equal(root["a"].read_data(), np.concatenate(parts))
        assert len(again.requests) == count


def test_blocks_come_in_runs(tmp_path):
    backend = fresh()
    with opened(tmp_path, backend) as db:
        with db.connection() as root:
            root.get_data_node("a", samplerate_hz=1000).write_data(np.arange(200_000.0))
        with db.connection() as root:
            blocks = list(root["a"].iter_data_blocks(1, "seconds"))
    assert len(blocks) == COUNT
    assert np.array_equal(np.concatenate(blocks), np.arange(200_000.0))
    assert len(backend.requests) <= 3


@pytest.mark.slow
def test_copies_merges_and_compaction_read_several_at_once(tmp_path):
    backend = fresh()
    with filled(tmp_path / "a", backend) as db, db.connection() as root:
        with opened(tmp_path / "b", backend) as other, other.connection() as target:
            target.add_tree(root["p"], copy=True)
            assert len(backend.requests) == 1
            backend.requests.clear()
            target.get_node("q").merge_tree(root["p"])
            assert len(backend.requests) == 1
            for number in range(COUNT):
                for key in "pq":
                    assert np.array_equal(target[f"{key}/{number}"].read_data(), data(number))
        backend.requests.clear()
        memory = BaseNode(plugins=db.plugins)
        memory.add_tree(root["p"], copy=True)
        assert len(backend.requests) == 1
        backend.requests.clear()
        root["p"].merge_tree(memory["p"], overwrite=True)  # the same data: they are compared
        assert len(backend.requests) <= 2
        backend.requests.clear()
        assert root["p"].compact_tree(backend="blob") == COUNT
        assert len(backend.requests) <= 2
        assert np.array_equal(root["p/7"].read_data(), data(7))


def test_who_reads_here_and_there_asks_for_no_more_than_that(tmp_path):
    backend = fresh()
    with filled(tmp_path, backend) as db, db.connection() as root:
        root["p/50"].read_data()
        root["p/50"].read_data()
        root["p/9"].read_data(10, 20)
        assert [rows for _, _, rows in backend.requests] == [1000, 1000, 1000]


def test_what_is_read_ahead_is_checked_and_its_errors_come_in_their_turn(tmp_path):
    backend = fresh()
    with filled(tmp_path, backend, commits=True) as db, db.connection() as root:
        files = [root[f"p/{number}"].get_data().segments()[0].files[0][0] for number in range(COUNT)]
        alter = Path(files[30])
        alter.write_bytes(alter.read_bytes()[:-1] + b"x")
        os.remove(files[40])
        payloads = [root[f"p/{number}"].get_data() for number in range(COUNT)]
        for number, payload in enumerate(payloads):
            if number in (30, 40):
                with pytest.raises(DamagedError, match=f"'p/{number}'"):
                    payload.read()
            else:
                assert np.array_equal(payload.read(), data(number))
        several = read_many(payloads)
        for number in range(30):
            assert np.array_equal(next(several), data(number))
        with pytest.raises(DamagedError, match="'p/30'"):
            next(several)
        assert {damage.path for damage in db.verify()} == {"p/30", "p/40"}


def test_a_backend_that_says_so_is_asked_one_by_one_by_its_own_thread(tmp_path):
    backend = fresh(concurrent_reads=1)
    with filled(tmp_path, backend, commits=True) as db, db.connection() as root:
        payloads = [root[f"p/{number}"].get_data() for number in range(20)]
        several = read_many(payloads)
        assert backend.requests == []
        assert np.array_equal(next(several), data(0))
        assert len(backend.requests) == 1, "nothing is read ahead"
        assert len(list(several)) == 19
        for number in range(COUNT):
            root[f"p/{number}"].read_data()
        assert backend.threads == {threading.get_ident()}


def test_no_thread_is_left(tmp_path):
    backend = fresh()
    with filled(tmp_path, backend, commits=True) as db:
        assert db.verify() == []
        if os.path.isdir("/proc/self/task"):
            assert not {str(each) for each in backend.threads} & _running()


def _running():
    return {str(thread.ident) for thread in threading.enumerate()} - {str(threading.get_ident())}


def test_what_was_read_ahead_is_what_was_committed(tmp_path):
    backend = fresh()
    with filled(tmp_path, backend) as db, db.connection() as root:
        for number in range(3):
            root[f"p/{number}"].read_data()
        root["p/100"].replace_data(np.zeros(5))
        db.commit(root)
        assert len(root["p/100"].read_data()) == 5
        root["p/101"].append_data(np.zeros(5))
        assert len(root["p/101"].read_data()) == 1005
        db.abort(root)
        assert np.array_equal(root["p/101"].read_data(), data(101))


def test_read_many_takes_payloads_only():
    with pytest.raises(InvalidOptionError, match="is no payload"):
        list(read_many([BaseNode()]))
