"""Readers in other processes: they see new commits at their next transaction, and packs go on beside them."""

import contextlib
import gc
import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from tests.services import forked

from lotdb import LOTDB, DamagedError, InvalidOptionError

WORKER = Path(__file__).with_name("reading_worker.py")
LOCKS_ON_BYTES = sys.platform == "linux"

pytestmark = pytest.mark.skipif(not LOCKS_ON_BYTES, reason="packs are refused beside readers on this system")


@contextlib.contextmanager
def both(folder):
    """A node as the writer has it, and as a reader sees it, with their databases."""
    with LOTDB(folder, durability="process") as writer:
        node = writer.open_connection().get_data_node("node")
        node.write_data(np.arange(3000))
        node.attrs["number"] = 0
        writer.commit()
        with LOTDB(folder, read_only=True) as reader:
            yield writer, node, reader, reader.open_connection()["node"]


def size_of(folder):
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())


def test_a_transaction_sees_what_was_committed_before_it_and_nothing_later(tmp_path):
    with both(tmp_path) as (writer, node, reader, seen):
        with reader.connection() as root:
            node.attrs["number"] = 1
            writer.commit()
            assert root["node"].attrs["number"] == seen.attrs["number"] == 0
        with reader.connection() as root:
            assert root["node"].attrs["number"] == 1
        assert seen.attrs["number"] == 0
        reader.abort()
        assert seen.attrs["number"] == 1


def test_refresh_shows_the_newest_commit_and_keeps_connections_and_nodes(tmp_path):
    with both(tmp_path) as (writer, node, reader, seen):
        first = reader.last_commit
        assert seen.get_data().shape == (3000,)
        node.append_data(np.arange(5))
        node.get_node("new")
        writer.commit()
        reader.refresh()
        assert seen.get_data().shape == (3005,)
        assert list(seen.keys()) == ["new"]
        assert reader.last_commit == writer.last_commit > first
        with pytest.raises(InvalidOptionError, match="read_only=True"):
            writer.refresh()


def test_other_threads_see_it_at_their_next_transaction(tmp_path):
    with both(tmp_path) as (writer, node, reader, seen):
        begun, go_on, numbers = threading.Event(), threading.Event(), []

        def look():
            root = reader.open_connection("other")
            numbers.append(root["node"].attrs["number"])
            begun.set()
            go_on.wait(60)
            numbers.append(root["node"].attrs["number"])
            reader.abort("other")
            numbers.append(root["node"].attrs["number"])
            reader.close_connection("other")

        thread = threading.Thread(target=look)
        thread.start()
        begun.wait(60)
        node.attrs["number"] = 1
        writer.commit()
        reader.refresh()
        assert seen.attrs["number"] == 1
        go_on.set()
        thread.join()
        assert numbers == [0, 0, 1]


def test_what_is_being_committed_is_not_seen(tmp_path):
    with both(tmp_path) as (writer, node, reader, _):
        node.attrs["number"] = 1
        writer.commit()
        content = (tmp_path / "lotdb.fs").read_bytes()
        writer.close()
        # Without its last bytes, or not yet marked as finished, a transaction is one that is being written.
        length = int.from_bytes(content[-8:], "big") + 8
        start = len(content) - length
        (tmp_path / "lotdb.fs.end").unlink()
        with open(tmp_path / "lotdb.fs", "r+b") as file:
            file.truncate(start)
        with LOTDB(tmp_path, read_only=True) as reader:
            root = reader.open_connection()
            for end in (start + 10, len(content) - 9, len(content) - 1):
                with open(tmp_path / "lotdb.fs", "r+b") as file:
                    file.seek(start)
                    file.write(content[start:end])
                reader.refresh()
                assert root["node"].attrs["number"] == 0
            with open(tmp_path / "lotdb.fs", "r+b") as file:
                file.seek(start)
                file.write(content[start:])
            reader.refresh()
            assert root["node"].attrs["number"] == 1


def test_damage_of_what_is_new_is_told_and_changes_nothing(tmp_path):
    with both(tmp_path) as (writer, node, reader, seen):
        size = (tmp_path / "lotdb.fs").stat().st_size
        for number in (1, 2):
            node.attrs["number"] = number
            writer.commit()
        with open(tmp_path / "lotdb.fs", "r+b") as file:
            file.seek(size + 8)
            byte = file.read(1)
            file.seek(size + 8)
            file.write(bytes([byte[0] ^ 1]))
        for _ in range(2):
            with pytest.raises(DamagedError, match=r"lotdb\.fs"):
                reader.refresh()
            assert seen.attrs["number"] == 0
            with pytest.raises(DamagedError), reader.connection():
                pass
        with open(tmp_path / "lotdb.fs", "r+b") as file:
            file.seek(size + 8)
            file.write(byte)
        reader.refresh()
        assert seen.attrs["number"] == 2


@pytest.mark.parametrize("backend", ["blob", "zarr"])
def test_a_pack_keeps_what_a_reader_sees_until_it_moves_on(tmp_path, backend):
    with both(tmp_path) as (writer, node, reader, seen):
        node.write_data(np.arange(300_000), backend=backend)
        node.attrs["number"] = 1
        writer.commit()
        reader.refresh()
        for number in (2, 3):
            node.write_data(np.arange(number), backend=backend)
            node.attrs["number"] = number
            writer.commit()
            writer.pack()
            assert seen.attrs["number"] == 1
            assert np.array_equal(seen.read_data(), np.arange(300_000))
        held = size_of(tmp_path)
        assert reader.verify() == []
        reader.refresh()
        assert seen.attrs["number"] == 3
        assert np.array_equal(seen.read_data(), np.arange(3))
        writer.pack()
        assert size_of(tmp_path) < held / 2
        assert np.array_equal(seen.read_data(), np.arange(3))
        assert writer.verify() == []


def test_a_copy_in_memory_counts_as_a_reader(tmp_path):
    with both(tmp_path) as (writer, node, reader, seen):
        copy = seen.copy_tree()
        node.write_data(np.arange(2))
        writer.commit()
        reader.refresh()
        writer.pack()
        writer.pack()
        assert len(copy.read_data()) == 3000
        del copy
        gc.collect()
        reader.refresh()
        before = size_of(tmp_path)
        writer.pack()
        assert size_of(tmp_path) < before


def test_a_database_that_is_open_without_a_connection_keeps_nothing(tmp_path):
    with both(tmp_path) as (writer, node, reader, _):
        reader.close_connection()
        node.write_data(np.arange(2))
        writer.commit()
        before = size_of(tmp_path)
        writer.pack()
        assert size_of(tmp_path) < before - 3000
        with reader.connection() as root:
            assert np.array_equal(root["node"].read_data(), np.arange(2))


def test_the_furthest_reader_counts_and_a_killed_one_does_not(tmp_path):
    with both(tmp_path) as (writer, node, reader, seen):
        code = (
            "import sys, time; from lotdb import LOTDB; db = LOTDB(sys.argv[1], read_only=True);"
            "root = db.open_connection(); print(root['node'].attrs['number'], flush=True); time.sleep(600)"
        )
        node.write_data(np.arange(100_000))
        node.attrs["number"] = 1
        writer.commit()
        command = ["-c", code, str(tmp_path)]
        with forked.Popen(command, stdout=subprocess.PIPE, text=True) as other:
            try:
                assert other.stdout.readline() == "1\n"
                node.write_data(np.arange(2))
                writer.commit()
                reader.refresh()
                writer.pack()
                assert size_of(tmp_path) > 800_000  # what the other process sees
            finally:
                other.send_signal(signal.SIGKILL)
        writer.pack()
        assert size_of(tmp_path) < 100_000
        assert seen.attrs["number"] == 1


def test_reading_from_a_folder_that_cannot_be_written_holds_packs_off_as_well(tmp_path):
    with both(tmp_path) as (writer, node, reader, _):
        (tmp_path / "lotdb.fs.readers").chmod(0o444)
        with LOTDB(tmp_path, read_only=True) as other, other.connection() as root:
            node.write_data(np.arange(2))
            writer.commit()
            reader.refresh()
            writer.pack()
            assert len(root["node"].read_data()) == 3000


def test_a_file_put_in_place_by_hand_is_taken_up(tmp_path):
    with both(tmp_path) as (writer, node, reader, seen):
        content = (tmp_path / "lotdb.fs").read_bytes()
        node.attrs["number"] = 1
        writer.commit()
        reader.refresh()
        writer.close()
        (tmp_path / "lotdb.fs.end").unlink()
        (tmp_path / "lotdb.fs.index").unlink()
        (tmp_path / "other").write_bytes(content)
        os.replace(tmp_path / "other", tmp_path / "lotdb.fs")
        reader.refresh()
        assert seen.attrs["number"] == 0


def write_and_pack(folder, until, backend, rng):
    """Commit numbers, and pack after every few; gives how many packs there were."""
    packs = number = 0
    with LOTDB(folder, durability="process", default_backend=backend) as db:
        root = db.open_connection()
        while until() or not packs:
            number += 1
            root.attrs["number"] = number
            for key in rng.sample("abcdefgh", 3):
                root.get_data_node(key)
                if rng.random() < 0.3:
                    root[key].delete_tree()
            for node in root.values():
                node.attrs["number"] = number
                rows = rng.choice((3, 400, 9000))
                for name in list(node.payloads):
                    node.delete_data(name)
                node.write_data(np.full(rows, number), data_attribute=f"r{rows}")
            db.commit()
            if rng.random() < 0.3:
                db.pack()
                packs += 1
    return packs


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "seconds"), [("blob", 1), pytest.param("zarr", 20, marks=pytest.mark.slow)]
)
def test_readers_see_whole_moments_beside_a_process_that_writes_and_packs(tmp_path, backend, seconds):
    with LOTDB(tmp_path) as db, db.connection() as root:
        root.attrs["number"] = 0
    readers = [
        forked.Popen(
            [WORKER, tmp_path, seconds, seed],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for seed in range(3)
    ]
    for reader in readers:
        assert reader.stdout.readline() == "ready\n", reader.stdout.read()
    packs = write_and_pack(
        tmp_path, lambda: any(each.poll() is None for each in readers), backend, random.Random(1)
    )
    outputs = [each.stdout.read() for each in readers]
    for each, output in zip(readers, outputs, strict=True):
        each.stdout.close()
        assert each.wait(60) == 0, output
        assert int(output) > 0
    assert packs > 0
    with LOTDB(tmp_path, read_only=True) as db:
        assert db.verify() == []


@pytest.mark.slow
def test_looking_on_costs_as_much_after_many_commits_as_after_few(tmp_path):
    """What is read is counted, for no machine is so even that its times could be compared."""
    with both(tmp_path) as (writer, node, reader, seen):
        read = []
        for commits in (5, 500):
            for _ in range(commits):
                node.attrs["number"] += 1
                writer.commit()
            reader.refresh()
            before = read_bytes()
            node.attrs["number"] += 1
            writer.commit()
            reader.refresh()
            assert seen.attrs["number"] == node.attrs["number"]
            read.append(read_bytes() - before)
        assert read[1] < 1.5 * read[0]


def read_bytes():
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["rchar"])
