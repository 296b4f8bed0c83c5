"""Reading several things at once is as right as reading one, whatever the backend does meanwhile."""

import runpy
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lotdb import Backend, DamagedError, UnavailableError, read_many

raw_backend = runpy.run_path(str(Path(__file__).with_name("raw_backend.py")))
RawBackend: Any = raw_backend["RawBackend"]
fresh, opened = raw_backend["fresh"], raw_backend["opened"]


# -- a backend that reads from LOTDB itself ----------------------------------------------------------


class InHalves(RawBackend):
    """Between the halves of what it reads, it calls ``between``."""

    between: Any = None

    def read_into(self, locator, first_row, out):
        half = len(out) // 2
        super().read_into(locator, first_row, out[:half])
        between, type(self).between = type(self).between, None
        if between is not None:
            between()
        super().read_into(locator, first_row + half, out[half:])


@pytest.mark.parametrize("concurrent_reads", [1, 32])
def test_a_window_is_right_if_another_is_read_meanwhile(tmp_path, concurrent_reads):
    backend = fresh(InHalves, concurrent_reads=concurrent_reads)
    arrays = {"a": np.arange(300_000, dtype="i2"), "b": np.arange(300_000)[::-1].copy()}
    with opened(tmp_path, backend) as db:
        with db.connection() as root:
            for key, array in arrays.items():
                root.get_data_node(key).write_data(array)
        with db.connection() as root:
            inner, found = root["b"].get_data(), []
            for first in (5, 100_000):  # the second time the memory for windows is there already
                backend.between = lambda first=first: found.append(inner.read(first, first + 4))
                assert np.array_equal(root["a"].read_data(first, first + 4), arrays["a"][first : first + 4])
                assert np.array_equal(found.pop(), arrays["b"][first : first + 4])


def test_a_window_after_one_that_failed_is_right(tmp_path):
    backend = fresh(InHalves, concurrent_reads=1)

    def interrupted():
        raise KeyboardInterrupt

    with opened(tmp_path, backend) as db:
        with db.connection() as root:
            root.get_data_node("a").write_data(np.arange(300_000))
        with db.connection() as root:
            backend.between = interrupted
            with pytest.raises(KeyboardInterrupt):
                root["a"].read_data(5, 9)
            assert root["a"].read_data(5, 9).tolist() == [5, 6, 7, 8]


# -- a backend that is of use in one thread only -----------------------------------------------------


class SqliteBackend(Backend):
    """Its connection refuses other threads than the one that opened it."""

    name = "sqlite"
    _connection = None

    def connection(self):
        if self._connection is None:
            self.context.folder.mkdir(exist_ok=True)
            self._connection = sqlite3.connect(self.context.folder / "arrays.db", isolation_level=None)
            self._connection.execute("CREATE TABLE IF NOT EXISTS arrays (locator PRIMARY KEY, bytes)")
        return self._connection

    def write(self, locator, array, options):
        self.connection().execute("INSERT INTO arrays VALUES (?, ?)", (locator, array.tobytes()))

    def read_into(self, locator, first_row, out):
        found = self.connection().execute("SELECT bytes FROM arrays WHERE locator = ?", (locator,)).fetchone()
        first = first_row * (out.nbytes // len(out))
        if found is None or len(found[0]) < first + out.nbytes:
            raise DamagedError(f"{locator} is missing")
        out.reshape(-1).view(np.uint8)[...] = np.frombuffer(found[0], np.uint8, out.nbytes, first)

    def delete(self, locator):
        self.connection().execute("DELETE FROM arrays WHERE locator = ?", (locator,))

    def locators(self):
        return [(locator, 0.0) for (locator,) in self.connection().execute("SELECT locator FROM arrays")]

    def close(self):
        if self._connection is not None:
            self._connection.close()


def test_what_a_thread_of_the_core_cannot_read_is_no_damage(tmp_path):
    parts = [np.arange(1_100_000) + number for number in range(3)]
    with opened(tmp_path, SqliteBackend) as db:
        for part in parts:  # of more than 8 MiB: they are not merged
            with db.connection() as root:
                root.get_data_node("a").append_data(part)
        for number in range(20):
            with db.connection() as root:
                root.get_data_node(f"p/{number}").write_data(np.arange(1000) + number)
        with db.connection() as root:
            assert np.array_equal(root["a"].read_data(), np.concatenate(parts))
            window = slice(1_000_000, 2_500_000)
            assert np.array_equal(root["a"].get_data()[window], np.concatenate(parts)[window])
            payloads = [root[f"p/{number}"].get_data() for number in range(20)]
            assert [rows[0] for rows in read_many(payloads)] == list(range(20))
        assert db.verify() == []


# -- a store that is not to be reached ---------------------------------------------------------------


class Silent(RawBackend):
    """Once it is silent, whoever asks has waited in vain."""

    is_silent = False

    def answer(self, locator):
        if self.is_silent:
            raise TimeoutError("no answer")


def test_nobody_waits_for_each_of_those_that_were_asked_for_together(tmp_path):
    backend = fresh(Silent)
    with opened(tmp_path, backend) as db:
        with db.connection() as root:
            for number in range(100):  # in one array
                root.get_data_node(f"p/{number}").write_data(np.arange(1000) + number)
        backend.requests.clear()
        backend.is_silent = True
        with db.connection() as root:
            payloads = [root[f"p/{number}"].get_data() for number in range(100)]
            with pytest.raises(UnavailableError):
                next(read_many(payloads))
        assert len(backend.requests) <= 2


# -- what branches share -----------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [30_000, 300_000])
def test_what_several_payloads_share_is_read_ahead_for_all_of_them(tmp_path, rows):
    backend = fresh()
    array = np.arange(rows, dtype="u2")
    with opened(tmp_path, backend) as db:
        with db.connection() as root:
            root.get_data_node("p/000").write_data(array)
            for number in range(1, 100):
                root["p/000"].branch(f"{number:03}")
        with db.connection() as root:
            for node in root["p"].values():
                assert np.array_equal(node.read_data(), array)
            asked = len(backend.requests)
            for found in read_many([node.get_data() for node in root["p"].values()]):
                assert np.array_equal(found, array)
            assert root._tree.stage._ahead_bytes == 0, "what was read is let go of"
    assert asked <= 20
    assert len(backend.requests) <= 40
