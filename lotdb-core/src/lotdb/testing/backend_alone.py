"""A backend on its own: arrays under locators, without a database."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lotdb import Backend, BaseNode, DamagedError, InvalidDataError, InvalidOptionError
from lotdb.testing.arrays import DTYPES, OPTIONAL, ROWS, filled
from lotdb.testing.backend_fixtures import BackendFixtures
from lotdb.testing.bench import Alone, open_files_in
from lotdb.testing.seen import bytes_of, check_same

__all__ = ["AloneTests", "skip_refused"]

# What stands between "<database name>." and the end in the names of the core's own files and folders.
TAKEN = {"blobs", "end", "index", "lock", "lotdb", "old", "pack", "readers", "tmp"}

EXACT = "read_into fills out with just the rows that were written"


class Interruption(BaseException):
    """Stands for a KeyboardInterrupt, which would stop pytest itself."""


def skip_refused(backend_class: type[Backend], name: str) -> None:
    """Skip the test if the backend refuses the dtype called *name*, and may."""
    try:
        backend_class.check_dtype(DTYPES[name])
    except InvalidDataError as error:
        if name not in OPTIONAL:
            pytest.fail(f"Backend.check_dtype: every backend holds {name}, this one says: {error}")
        pytest.skip(f"it refuses dtype {DTYPES[name]}, as it may")


class AloneTests(BackendFixtures):
    """write, read_into, delete, locators, files, describe, write_blocks and close, called directly."""

    # -- the class ---------------------------------------------------------------------------------

    def test_the_name_can_be_part_of_a_folder_name(self, backend_class: type[Backend]) -> None:
        name = backend_class.name
        assert re.fullmatch("[a-z0-9_-]+", name), (
            f"Backend.name: {name!r} is to be one word of a-z, 0-9, _ and -; folders are named after it"
        )
        assert name not in TAKEN, f"Backend.name: the core has files or folders called <database>.{name}"

    def test_an_unknown_option_is_refused(self, backend_class: type[Backend]) -> None:
        with pytest.raises(InvalidOptionError, match="no_such_option"):
            backend_class.check_options({"no_such_option": 1}, np.dtype("float64"), (3,))
            pytest.fail("Backend.check_options: an option that it does not know is an InvalidOptionError")

    def test_an_unknown_setting_is_refused(self, alone: Alone) -> None:
        if alone.in_memory:
            pytest.skip("no database configures it")
        with pytest.raises(InvalidOptionError, match="no_such_setting"):
            alone.open(config={**alone.config, "no_such_setting": 1})
            pytest.fail(
                "Backend.__init__: a key of context.config that it does not know is an InvalidOptionError"
            )

    def test_checked_options_can_be_stored_and_checked_again(
        self, backend_class: type[Backend], options: Sequence[Mapping[str, Any]]
    ) -> None:
        if not options:
            pytest.skip("no options are given")
        for choice in options:
            checked = backend_class.check_options(choice, np.dtype("float64"), (3,))
            node = BaseNode()
            node.attrs.update(checked)
            stored = {name: node.get_attribute(name) for name in checked}
            assert stored == dict(checked), (
                f"Backend.check_options: {choice} became {checked}, which attributes do not keep as it is"
            )
            again = backend_class.check_options(stored, np.dtype("float64"), (3,))
            assert dict(again) == stored, (
                f"Backend.check_options: it changes what it returned for {choice} before"
            )

    # -- write and read_into -----------------------------------------------------------------------

    @pytest.mark.parametrize("name", DTYPES)
    def test_what_was_written_is_read_back(
        self, alone: Alone, backend_class: type[Backend], name: str
    ) -> None:
        skip_refused(backend_class, name)
        backend = alone.open()
        written = [(array, alone.write(backend, array)) for array in _arrays(name)]
        for array, locator in written:
            got = alone.read(backend, locator, array, 0, len(array))
            check_same(got, array, f"Backend.{EXACT}")
            assert got.tobytes() == array.tobytes(), (
                "Backend.write and Backend.read_into: every byte counts, also those between the fields of a "
                "structure, which numpy's assignments and copies leave out; copy views of np.uint8"
            )

    def test_any_window_is_read(self, alone: Alone) -> None:
        backend = alone.open()
        array = filled("int32", (500, 3))
        locator = alone.write(backend, array)

        @settings(max_examples=60, deadline=None)
        @given(st.integers(0, 499), st.integers(1, 500))
        def check(first: int, rows: int) -> None:
            rows = min(rows, 500 - first)
            got = alone.read(backend, locator, array, first, rows)
            check_same(got, array[first : first + rows], f"Backend.{EXACT}")

        check()

    def test_nothing_around_the_window_is_written_to(self, alone: Alone) -> None:
        backend = alone.open()
        array = filled("uint8", (40, 2))
        locator = alone.write(backend, array)
        memory = np.full((30, 2), 7, "uint8")
        backend.read_into(locator, 5, memory[10:20])
        around = np.delete(memory, range(10, 20), axis=0)
        assert (around == 7).all(), "Backend.read_into: it writes beyond out"
        check_same(memory[10:20], array[5:15], f"Backend.{EXACT}")

    def test_large_arrays_are_read_back(self, alone: Alone) -> None:
        backend = alone.open()
        array = filled("float64", (200_000, 2))
        locator = alone.write(backend, array)
        check_same(alone.read(backend, locator, array, 0, len(array)), array, f"Backend.{EXACT}")
        got = alone.read(backend, locator, array, 123_456, 1000)
        check_same(got, array[123_456:124_456], f"Backend.{EXACT}")

    def test_options_change_nothing_that_is_read(
        self, alone: Alone, backend_class: type[Backend], options: Sequence[Mapping[str, Any]]
    ) -> None:
        if not options:
            pytest.skip("no options are given")
        backend = alone.open()
        for choice in options:
            for array in (filled("float32", (1000, 2)), filled("int16", (37,)), filled("U3", (11, 2, 2))):
                checked = backend_class.check_options(choice, array.dtype, array.shape[1:])
                locator = alone.write(backend, array, checked)
                for first, rows in [(0, len(array)), (len(array) // 3, len(array) // 2)]:
                    got = alone.read(backend, locator, array, first, rows)
                    check_same(got, array[first : first + rows], f"with options {choice}, Backend.{EXACT}")

    def test_notes_change_nothing_that_is_read(self, alone: Alone, backend_class: type[Backend]) -> None:
        if not backend_class.takes_notes:
            pytest.skip("it takes no notes")
        backend, array = alone.open(), filled("float64", (1000, 2))
        noted: dict[str, Any] = {"notes": {"samplerate_hz": 50.0, "unit": "V"}}
        parts = [array[:300], array[300:]]
        writes: list[tuple[Any, tuple[Any, ...]]] = [
            (backend.write, (array,)),
            (backend.write_blocks, (parts, array.shape)),
        ]
        for write, what in writes:
            locator = backend.new_locator()
            write(locator, *what, {}, **noted)
            got = alone.read(backend, locator, array, 0, len(array))
            check_same(got, array, "notes= of Backend.write and write_blocks change nothing that is read")

    def test_the_array_is_copied_and_left_alone(self, alone: Alone) -> None:
        backend = alone.open()
        array = filled("float32", (100, 2))
        before = array.copy()
        locator = alone.write(backend, array)
        check_same(array, before, "Backend.write leaves the array that it is given alone")
        array[:] = 0
        got = alone.read(backend, locator, before, 0, 100)
        check_same(
            got, before, "Backend.write keeps the bytes, not the array: its owner may change it afterwards"
        )
        got[:] = 0
        got = alone.read(backend, locator, before, 0, 100)
        check_same(got, before, "Backend.read_into gives a copy: changing it must not change what is stored")

    def test_arrays_that_cannot_be_written_to_are_taken(self, alone: Alone) -> None:
        backend = alone.open()
        array = np.frombuffer(b"the bytes of a text", np.uint8)
        assert not array.flags.writeable
        got = alone.read(backend, alone.write(backend, array), array, 0, len(array))
        check_same(got, array, f"Backend.{EXACT}")

    def test_arrays_do_not_touch_each_other(self, alone: Alone) -> None:
        backend = alone.open()
        arrays = [filled("int64", (50, 2), seed) for seed in range(8)]
        locators = [alone.write(backend, array) for array in arrays]
        for array, locator in zip(arrays, locators, strict=True):
            got = alone.read(backend, locator, array, 0, 50)
            check_same(got, array, "Backend.write changes nothing that was written under another locator")

    def test_reading_what_is_not_there_is_damage(self, alone: Alone) -> None:
        backend = alone.open()
        array = filled("float64", (10, 2))
        locator = alone.write(backend, array)
        for absent in (backend.new_locator(), backend.new_locator()):
            with pytest.raises(DamagedError):
                alone.read(backend, absent, array, 0, 1)
                pytest.fail("Backend.read_into: what was never written is a DamagedError, not data")
        backend.delete(locator)
        with pytest.raises(DamagedError):
            alone.read(backend, locator, array, 0, 10)
            pytest.fail("Backend.read_into: what was deleted is a DamagedError, not data")

    @pytest.mark.parametrize(("first", "rows"), [(0, 11), (9, 2), (10, 1), (1000, 5)])
    def test_reading_beyond_the_end_is_damage(self, alone: Alone, first: int, rows: int) -> None:
        backend = alone.open()
        array = filled("float64", (10, 2))
        locator = alone.write(backend, array)
        with pytest.raises(DamagedError):
            alone.read(backend, locator, array, first, rows)
            pytest.fail(f"Backend.read_into: rows {first} to {first + rows} of 10 are a DamagedError")

    def test_a_part_of_each_row_is_read(self, alone: Alone, backend_class: type[Backend]) -> None:
        if backend_class.read_selection is Backend.read_selection:
            pytest.skip("it reads whole rows")
        backend, array = alone.open(), filled("float64", (60, 7, 5))
        locator = alone.write(backend, array)

        @settings(max_examples=40, deadline=None)
        @given(st.tuples(*(st.tuples(*[st.integers(0, length)] * 2) for length in array.shape)))
        def check(edges: tuple[tuple[int, int], ...]) -> None:
            selection = tuple(slice(min(pair), max(*pair, min(pair) + 1)) for pair in edges)
            selection = tuple(
                slice(min(each.start, length - 1), min(each.stop, length))
                for each, length in zip(selection, array.shape, strict=True)
            )
            wanted = array[selection]
            out = np.full(wanted.shape, 7.0)
            backend.read_selection(locator, selection, out)
            check_same(out, wanted, "Backend.read_selection fills out with just what is selected")

        check()
        beyond = (slice(0, 60), slice(3, 8), slice(0, 5))
        with pytest.raises(DamagedError):
            backend.read_selection(locator, beyond, np.empty((60, 5, 5)))
            pytest.fail("Backend.read_selection: what is not in the array is a DamagedError")

    # -- write_blocks ------------------------------------------------------------------------------

    @pytest.mark.parametrize("lengths", [[1000], [1, 998, 1], [300, 300, 300, 100], [10] * 100])
    @pytest.mark.parametrize("name", ["float64", "structure", ">i2"])
    def test_blocks_become_one_array(
        self, alone: Alone, backend_class: type[Backend], name: str, lengths: list[int]
    ) -> None:
        skip_refused(backend_class, name)
        backend = alone.open()
        array = filled(DTYPES[name], (1000, 2))
        locator = backend.new_locator()
        edges = np.cumsum([0, *lengths])
        blocks = (array[first:last] for first, last in pairwise(edges))
        backend.write_blocks(locator, blocks, array.shape, {})
        got = alone.read(backend, locator, array, 0, 1000)
        check_same(got, array, "Backend.write_blocks stores the blocks one behind the other")

    @pytest.mark.parametrize("error", [OSError, Interruption])
    def test_delete_removes_what_a_failed_write_has_left(
        self, alone: Alone, error: type[BaseException]
    ) -> None:
        backend = alone.open()
        alone.write(backend, filled("float64", (10,)))
        before = alone.left()
        locator = backend.new_locator()

        def blocks() -> Iterator[np.ndarray[Any, Any]]:
            for seed in range(3):
                yield filled("float64", (100_000,), seed)
            raise error("in the middle")

        with pytest.raises(error):
            backend.write_blocks(locator, blocks(), (500_000,), {})
            pytest.fail("Backend.write_blocks: it raises what its blocks raise")
        backend.delete(locator)
        left = alone.left().keys() - before.keys()
        assert not left, f"Backend.delete: what is half written goes as well; left is {sorted(left)}"

    # -- delete ------------------------------------------------------------------------------------

    def test_deleting_gives_the_space_back(self, alone: Alone) -> None:
        backend = alone.open()
        kept = filled("float64", (1000,), 1)
        locator_kept = alone.write(backend, kept)
        before = sum(alone.left().values())
        backend.delete(alone.write(backend, filled("float64", (100_000,), 2)))
        grown = sum(alone.left().values()) - before
        assert grown < 10_000, f"Backend.delete: {grown} of 800000 bytes are left in the folder"
        got = alone.read(backend, locator_kept, kept, 0, 1000)
        check_same(got, kept, "Backend.delete leaves other arrays alone")

    def test_deleting_what_is_not_there_is_quiet(self, alone: Alone) -> None:
        backend = alone.open()
        backend.delete(backend.new_locator())  # before anything was ever written
        kept = filled("float64", (10,))
        locator_kept, locator = alone.write(backend, kept), alone.write(backend, kept)
        backend.delete(locator)
        backend.delete(locator)
        backend.delete(backend.new_locator())
        got = alone.read(backend, locator_kept, kept, 0, 10)
        check_same(got, kept, "Backend.delete leaves other arrays alone")

    # -- locators ----------------------------------------------------------------------------------

    def test_locators_are_unique(self, alone: Alone) -> None:
        backend, other = alone.open(), alone.open()
        made = [each.new_locator() for _ in range(200) for each in (backend, other)]
        assert len(set(made)) == 400, "Backend.new_locator: it gave the same locator twice"

    def test_text_locators_are_found_by_the_garbage_collector(self, alone: Alone) -> None:
        alone.needs_text_locators()
        locator = alone.open().new_locator()
        assert re.fullmatch("seg-[0-9a-f]{32}", locator), (
            f"Backend.new_locator: {locator!r} is not of the form that is looked for in records, so pack() "
            "would delete data that is in use; leave new_locator as it is"
        )

    def test_locators_lists_what_is_stored(self, alone: Alone) -> None:
        alone.needs_text_locators()
        backend = alone.open()
        if backend.is_outside:
            pytest.skip("its arrays lie outside of the folder, where nothing is swept")
        assert list(backend.locators()) == [], (
            "Backend.locators: nothing is stored yet, and it lists something"
        )
        started = time.time()
        locators = [alone.write(backend, filled("float64", (10,), seed)) for seed in range(5)]
        listed = dict(backend.locators())
        assert sorted(listed) == sorted(locators), (
            "Backend.locators: it does not list just what is stored; pack() would leave garbage"
        )
        if not alone.in_memory:
            late = {at for at in listed.values() if not started - 5 < at < time.time() + 5}
            assert not late, f"Backend.locators: its times are not those of the writes: {late}"
        backend.delete(locators[0])
        assert sorted(dict(backend.locators())) == sorted(locators[1:]), (
            "Backend.locators: it lists what was deleted, or not what is left"
        )

    # -- files and describe ------------------------------------------------------------------------

    def test_files_are_there_and_have_their_size(self, alone: Alone) -> None:
        backend = alone.open()
        locator = alone.write(backend, filled("float64", (1000,)))
        for path, size in backend.files(locator):
            there = os.path.getsize(path) if os.path.isfile(path) else "none"
            assert there == size, f"Backend.files: {path} has {size} bytes, in truth {there}"
        backend.delete(locator)
        assert not list(backend.files(locator)), "Backend.files: it names files of what was deleted"

    def test_describe_never_fails(self, alone: Alone) -> None:
        backend = alone.open()
        locator = alone.write(backend, filled("float64", (10,)))
        for each in (locator, backend.new_locator()):
            said = backend.describe(each)
            assert isinstance(said, str), "Backend.describe: it is part of error messages, hence a text"
            assert said, "Backend.describe: it says where, in error messages"

    # -- beyond one instance -----------------------------------------------------------------------

    def test_another_instance_reads_it(self, alone: Alone) -> None:
        alone.needs_a_folder()
        array = filled(DTYPES["float64"], (300, 2))
        backend = alone.open()
        locator = alone.write(backend, array)
        alone.close()
        again = alone.open()
        got = alone.read(again, locator, array, 0, 300)
        check_same(got, array, "Backend.write: it can be read after the backend was closed and opened again")
        if not again.is_outside:
            listed = dict(again.locators()).keys()
            assert listed == {locator}, "Backend.locators: it forgets when it is reopened"

    def test_the_folder_may_be_moved(self, alone: Alone) -> None:
        alone.needs_a_folder()
        array = filled("float64", (300, 2))
        locator = alone.write(alone.open(), array)
        alone.close()
        if not alone.folder.is_dir():
            pytest.skip("it keeps nothing in its folder")
        moved = alone.folder.rename(alone.folder.with_name("elsewhere"))
        got = alone.read(alone.open(folder=moved), locator, array, 0, 300)
        check_same(got, array, "BackendContext.folder: databases are moved, no absolute path may be stored")
        assert not alone.folder.exists(), "BackendContext.folder: it came back where it was moved away from"

    def test_a_place_outside_is_that_of_one_database(self, alone: Alone) -> None:
        backend = alone.open(database_id="one")
        if not backend.is_outside:
            pytest.skip("its arrays lie in the database's folder")
        array = filled("float64", (10,))
        locator = alone.write(backend, array)
        with pytest.raises(InvalidOptionError):
            alone.write(alone.open(database_id="another"), array)
            pytest.fail(
                "Backend.is_outside: a place that is another database's is an InvalidOptionError; note "
                "context.database_id in it, and compare"
            )
        got = alone.read(alone.open(database_id="one"), locator, array, 0, 10)
        check_same(got, array, "Backend.is_outside: the database that it belongs to opens it again")

    def test_reading_only_creates_nothing(self, alone: Alone) -> None:
        if alone.in_memory:
            pytest.skip("it has no folder")
        backend = alone.open(read_only=True)
        assert list(backend.locators()) == [], "Backend.locators: there is nothing, and it lists something"
        locator = backend.new_locator()
        assert list(backend.files(locator)) == [], "Backend.files: there are none"
        with pytest.raises(DamagedError):
            alone.read(backend, locator, filled("float64", (1,)), 0, 1)
        alone.close()
        assert not alone.folder.exists(), "BackendContext.read_only: nothing is created, not even the folder"

    def test_reading_only_changes_nothing(self, alone: Alone) -> None:
        alone.needs_a_folder()
        array = filled("float64", (300, 2))
        locator = alone.write(alone.open(), array)
        alone.close()
        before = {path: path.stat().st_mtime_ns for path in alone.folder.rglob("*")}
        backend = alone.open(read_only=True)
        check_same(alone.read(backend, locator, array, 0, 300), array, f"Backend.{EXACT}")
        if not backend.is_outside:
            assert dict(backend.locators()).keys() == {locator}, "Backend.locators: it lists what is stored"
        alone.close()
        after = {path: path.stat().st_mtime_ns for path in alone.folder.rglob("*")}
        assert after == before, "BackendContext.read_only: nothing is changed"

    def test_closing_releases_the_files(self, alone: Alone) -> None:
        backend = alone.open()
        for seed in range(5):
            array = filled("float64", (300, 2), seed)
            alone.read(backend, alone.write(backend, array), array, 0, 300)
        alone.close()
        still = open_files_in(alone.folder)
        assert not still, f"Backend.close: it leaves files open: {still}"

    def test_closing_at_once_is_fine(self, alone: Alone) -> None:
        alone.open()
        alone.close()
        still = open_files_in(alone.folder)
        assert not still, f"Backend.close: it leaves files open: {still}"

    # -- threads -----------------------------------------------------------------------------------

    def test_threads_may_read_at_once(self, alone: Alone) -> None:
        backend = alone.open()
        arrays = [filled("int32", (5000, 2), seed) for seed in range(4)]
        locators = [alone.write(backend, array) for array in arrays]
        together = threading.Barrier(4)

        def read(seed: int) -> None:
            together.wait(30)
            for number in range(40):
                which, first = (seed + number) % 4, (seed * 997 + number * 131) % 4000
                got = alone.read(backend, locators[which], arrays[which], first, 1000)
                assert bytes_of(got) == bytes_of(arrays[which][first : first + 1000]), (
                    "Backend.read_into: several threads may call it at once; one of them got wrong rows"
                )

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(read, range(4)))

    def test_threads_may_write_at_once(self, alone: Alone) -> None:
        backend = alone.open()
        together = threading.Barrier(4)

        def write(seed: int) -> list[tuple[np.ndarray[Any, Any], Any]]:
            together.wait(30)
            arrays = [filled("int32", (100, 2), 10 * seed + number) for number in range(5)]
            return [(array, alone.write(backend, array)) for array in arrays]

        with ThreadPoolExecutor(4) as pool:
            written = [pair for pairs in pool.map(write, range(4)) for pair in pairs]
        for array, locator in written:
            got = alone.read(backend, locator, array, 0, 100)
            check_same(got, array, "Backend.write may be called by several threads at once")


def _arrays(name: str) -> list[np.ndarray[Any, Any]]:
    return [filled(DTYPES[name], shape, seed) for seed, shape in enumerate(ROWS)]
