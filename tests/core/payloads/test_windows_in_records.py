"""Windows of small arrays that lie in records: read from their place in the data file, and still checked."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from lotdb import LOTDB, DamagedError
from lotdb.segments.in_records import RECORDS

COUNT = 70  # of 60 kB each, of which few stay in memory
ROWS = 7500
IO = Path("/proc/self/io")
OPEN = Path("/proc/self/fd")


def rows_of(number):
    return np.arange(number, number + ROWS, dtype="f8")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("windows") / "db"
    with LOTDB(folder, durability="process") as db:
        root = db.open_connection()
        for number in range(COUNT):
            root.get_data_node(f"a{number:02}").write_data(rows_of(number))
            db.commit()
    return folder


@pytest.fixture
def folder(made, tmp_path, monkeypatch):
    monkeypatch.setattr("lotdb.storage.zodb._CACHE_BYTES", 5 * 8 * ROWS)
    return Path(shutil.copytree(made, tmp_path / "db"))


def windows(payloads):
    """The first of ten rows of each of *payloads*."""
    return [payload[100:110][0] for payload in payloads]


def bytes_read():
    return int(IO.read_text().split()[1])


@pytest.mark.skipif(not IO.exists(), reason="the system does not count what is read")
@pytest.mark.parametrize("where", ["here", "any thread"])
def test_windows_of_more_than_stays_in_memory_read_no_whole_arrays(folder, where):
    with LOTDB(folder, read_only=True) as db:
        root = db.open_connection()
        payloads = [root[f"a{number:02}"].get_data() for number in range(COUNT)]
        if where == "any thread":
            payloads = [payload.for_threads() for payload in payloads]
        for _ in range(3):
            assert windows(payloads) == [100 + number for number in range(COUNT)]
        before = bytes_read()
        assert windows(payloads) == [100 + number for number in range(COUNT)]
        # Those that are in memory are read from there; of all others, 80 bytes each.
        assert bytes_read() - before < rows_of(0).nbytes


def test_they_are_read_after_a_pack_and_the_file_of_before_is_closed(folder):
    with LOTDB(folder) as db:
        root = db.open_connection()
        payloads = [root[f"a{number:02}"].get_data() for number in range(COUNT)]
        freed = [payload.for_threads() for payload in payloads]
        for _ in range(3):
            windows(payloads)
            windows(freed)
        root["a00"].set_attribute("x", 1)
        db.commit()
        db.pack()
        if OPEN.exists():
            shown = [os.readlink(each) for each in OPEN.iterdir() if each.is_symlink()]
            assert not [each for each in shown if str(folder) in each and "deleted" in each]
        for _ in range(2):
            assert windows(payloads) == windows(freed) == [100 + number for number in range(COUNT)]


def test_a_record_altered_since_the_first_window_is_noticed(folder):
    with LOTDB(folder, read_only=True) as db:
        root = db.open_connection()
        payloads = [root[f"a{number:02}"].get_data() for number in range(COUNT)]
        # Each was in memory once, and what was read first is there no longer.
        assert windows(payloads)
        (path,) = folder.glob("*.fs")
        content = path.read_bytes()
        at = content.index(rows_of(0).tobytes())
        with open(path, "r+b") as file:
            file.seek(at + 8 * ROWS - 1)
            file.write(bytes([content[at + 8 * ROWS - 1] ^ 1]))
        for payload in (payloads[0], payloads[0].for_threads()):
            with pytest.raises(DamagedError, match="a00"):
                payload[100:110]


def test_a_window_behind_the_end_of_a_short_record_reads_nothing_else(tmp_path):
    with LOTDB(tmp_path / "db", durability="process") as db:
        node = db.open_connection().get_data_node("a")
        node.write_data(rows_of(0))
        db.commit()
        (segment,) = node.get_data()._record.segments
        read = RECORDS.reader_of(segment.locator, np.dtype("f8"), ())
        segment.locator._p_deactivate()
        out = np.empty(10)
        read(ROWS - 10, out)
        assert out.tolist() == rows_of(0)[-10:].tolist()
        assert segment.locator._p_changed is None  # it was not loaded for that
        for first in (ROWS - 9, ROWS, ROWS + 100):
            with pytest.raises(DamagedError, match="the record has 60000 bytes"):
                read(first, out)
            segment.locator._p_deactivate()
