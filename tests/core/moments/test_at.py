"""Looking at the tree as it was, beside writers, packs and other processes."""

import os
import threading
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from tests.core.moments.pictures import picture
from tests.services import forked

from lotdb import (
    LOTDB,
    ClosedError,
    DamagedError,
    InvalidOptionError,
    MomentGoneError,
    MomentNotFoundError,
    ReadOnlyError,
    diff,
)


def write(db, number, backend="blob"):
    with db.connection(note=str(number)) as root:
        root.get_node_path("a/b").attrs["number"] = number
        root.get_data_node("payload", backend=backend).write_data(np.full(10 + number, number))
    return db.last_commit


@pytest.mark.parametrize("backend", ["blob", "zarr"])
def test_each_moment_shows_what_was_with_its_payloads(db, backend):
    ids = [write(db, number, backend) for number in range(4)]
    commits = {each.id: each for each in db.history()}
    for number, each in enumerate(ids):
        for when in (each, commits[each], commits[each].time, commits[each].time.astimezone(timezone.min)):
            with db.at(when) as root:
                assert root["a/b"].attrs["number"] == number
                assert root["payload"].read_data().tolist() == [number] * (10 + number)
                assert root["payload"].read_data(2, 4).tolist() == [number] * 2
    with db.at(ids[0]) as old, db.at(ids[3]) as new:
        assert {each.path for each in diff(old, new)} == {"a/b", "payload"}


def test_a_time_means_the_last_commit_at_or_before_it(db):
    ids = [write(db, number) for number in range(3)]
    times = [next(each.time for each in db.history() if each.id == one) for one in ids]
    with db.at(times[1] - timedelta(microseconds=1)) as root:
        assert root["a/b"].attrs["number"] == 0
    with db.at(datetime.now(UTC) + timedelta(days=400)) as root:
        assert root["a/b"].attrs["number"] == 2
    with db.at(db.history(until=ids[0]).__next__()) as root:
        assert root["a/b"].attrs["number"] == 0
    with pytest.raises(MomentNotFoundError), db.at(times[0] - timedelta(days=1)):
        raise AssertionError("there was nothing")
    with pytest.raises(MomentNotFoundError), db.at(datetime(1, 1, 1, tzinfo=UTC)):
        raise AssertionError("there was nothing")


@pytest.mark.parametrize("when", [None, 5, b"x", datetime(2026, 1, 1), "0" * 16, "no tag", ""])
def test_what_names_no_moment_is_refused(db, when):
    with pytest.raises((InvalidOptionError, MomentNotFoundError)), db.at(when):
        raise AssertionError("there was nothing")


def test_the_moment_before_the_tree_is_none(db, folder):
    first = list(db.history())[-1].id
    with db.at(first) as root:
        assert list(root) == []
    with open(folder / "lotdb.fs", "rb") as file:
        tid = file.read(12)[4:]
    with pytest.raises(MomentNotFoundError), db.at(tid.hex()):
        raise AssertionError("there was nothing")


def test_nothing_can_be_changed_in_a_moment(db):
    old = write(db, 1)
    write(db, 2)
    with db.at(old) as root:
        node = root["payload"]
        for change in (
            lambda: root.get_node("new"),
            lambda: root["a"].delete_tree(),
            lambda: node.write_data(np.arange(3)),
            lambda: root["a/b"].attrs.update(x=1),
            lambda: root["a"].branch("c"),
            lambda: root["a"].restore(db.last_commit),
            lambda: db.undo(old, root),
            lambda: db.tags.through(root).update(x=old),
        ):
            with pytest.raises(ReadOnlyError, match=old):
                change()
        db.commit(root)
        assert root["a/b"].attrs["number"] == 1
    with pytest.raises(ClosedError):
        node.read_data()
    assert db.verify() == []


def test_a_held_moment_keeps_packs_off(db):
    ids = [write(db, number, "zarr") for number in range(3)]
    with db.at(ids[0]) as root:
        db.pack()
        write(db, 3)
        db.pack()
        assert root["a/b"].attrs["number"] == 0
        assert root["payload"].read_data().tolist() == [0] * 10
        with db.at(ids[1]) as later:
            assert later["payload"].read_data().tolist() == [1] * 11
    db.pack()
    for each in ids:
        with pytest.raises(MomentGoneError, match=r"pack\(keep"), db.at(each):
            raise AssertionError("it is gone")
    assert len(list(db.history())) == 1


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="this system has no /proc")
def test_a_file_that_was_packed_is_not_kept_open(db, folder):
    """As long as a process has it open, its space is not free."""
    for number in range(1100):  # so many that the way back is looked for from the other side
        with db.connection() as root:
            root.get_node_path("a/b").attrs["number"] = number
        if number == 3:
            old = db.last_commit
    with db.at(old) as root:
        assert root["a/b"].attrs["number"] == 3
        list(db.history(limit=3))
    db.pack()
    links = [f"/proc/self/fd/{each}" for each in os.listdir("/proc/self/fd")]
    opened = [os.readlink(each) for each in links if os.path.islink(each)]
    data_file = str(folder / "lotdb.fs")
    assert [each for each in opened if each.startswith(data_file) and each.endswith("(deleted)")] == []
    assert data_file in opened


def test_a_moment_belongs_to_its_thread(db):
    old = write(db, 1)
    seen = []

    def look():
        with db.at(old) as root:
            seen.append(root["a/b"].attrs["number"])

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [1]


def test_readers_see_moments_and_keep_them_from_the_writer(db, folder):
    old = write(db, 1)
    with LOTDB(folder, read_only=True) as reader:
        newer = write(db, 2)
        with reader.at(newer) as root:  # which the reader did not know yet
            assert root["payload"].read_data().tolist() == [2] * 12
        with reader.at(old) as root:
            write(db, 3)
            db.pack()
            assert root["payload"].read_data().tolist() == [1] * 11
            with db.at(newer) as now:
                assert now["a/b"].attrs["number"] == 2
        db.pack()
        with pytest.raises(MomentGoneError), reader.at(old):
            raise AssertionError("it is gone")
        assert len(list(reader.history())) == 1


def test_another_process_sees_what_was(db, folder):
    ids = [write(db, number) for number in range(3)]
    db.tags["one"] = ids[1]
    code = f"""
from lotdb import LOTDB
with LOTDB({str(folder)!r}, read_only=True) as db:
    print(list(db.tags), len(list(db.history(since="one"))))
    with db.at("one") as root:
        print(root["a/b"].attrs["number"], root["payload"].read_data().tolist())
"""
    printed = forked.run(["-c", code], capture_output=True, text=True, check=True).stdout
    assert printed == f"['one'] 3\n1 {[1] * 11}\n"


def test_a_record_is_found_however_often_it_was_stored(folder):
    with LOTDB(folder, durability="process") as db:
        root = db.open_connection()
        node = root.get_node_path("a/often")
        other = root.get_node_path("b/seldom")
        ids = []
        for number in range(1300):
            node.attrs["number"] = number
            if number % 700 == 0:
                other.attrs["number"] = number
            db.commit()
            ids.append(db.last_commit)
        slow = db._storage.opened
        calls = []
        check_way = slow._check_way
        slow._check_way = lambda *args: calls.append(args) or check_way(*args)
        for number in (0, 1, 250, 299, 300, 301, 699, 700, 1299):
            with db.at(ids[number]) as then:
                assert then["a/often"].attrs["number"] == number
                assert then["b/seldom"].attrs["number"] == number // 700 * 700
        assert calls == []  # none went the usual way


@pytest.mark.parametrize("what", ["number", "way"])
def test_what_was_altered_is_noticed_at_each_moment(folder, what):
    with LOTDB(folder, durability="process") as db:
        root = db.open_connection()
        ids = []
        for number in range(30):
            root.get_node_path("a/b").attrs["number"] = f"number {number}"
            root.get_node("beside").attrs["text"] = "x" * 600
            db.commit()
            ids.append(db.last_commit)
        then = bytes.fromhex(ids[12])
    data_file = folder / "lotdb.fs"
    content = bytearray(data_file.read_bytes())
    if what == "number":
        content[content.index(b"number 12")] ^= 1
    else:
        # The place of the revision before, in the first record of that transaction.
        start = content.index(then)
        start = content.index(then, start + 8) + 8
        before = int.from_bytes(content[start : start + 8], "big")
        assert 0 < before < start
        content[start : start + 8] = content[before + 16 : before + 24]
    data_file.write_bytes(content)
    wrong = []
    with LOTDB(folder, read_only=True) as db:
        for number, each in enumerate(ids):
            try:
                with db.at(each) as root:
                    if root["a/b"].attrs["number"] != f"number {number}":
                        wrong.append(number)
            except DamagedError:
                continue
        assert wrong == []
        assert db.verify() != []


def test_a_moment_of_a_large_tree_is_found(db):
    """A commit with many records is between the others, where the file is halved."""
    small = [write(db, number) for number in range(20)]
    with db.connection() as root:
        for number in range(150):
            for child in range(10):
                root.get_node_path(f"large/n{number}/c{child}").attrs["x"] = child
        large_picture = picture(root)
    large = db.last_commit
    small += [write(db, number) for number in range(20, 40)]
    for number, each in enumerate(small):
        with db.at(each) as root:
            assert root["a/b"].attrs["number"] == number
            assert ("large" in root) == (number >= 20)
    with db.at(large) as root:
        assert picture(root) == large_picture
