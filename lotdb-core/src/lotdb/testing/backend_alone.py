"""A backend on its own: arrays under locators, without a database."""

from __future__ import annotations

import builtins
import contextlib
import errno
import io
import os
import re
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lotdb import Backend, BaseNode, DamagedError, InvalidDataError, InvalidOptionError
from lotdb.errors import store_error
from lotdb.testing.arrays import DTYPES, OPTIONAL, ROWS, filled
from lotdb.testing.backend_fixtures import BackendFixtures
from lotdb.testing.bench import Alone, open_files_in
from lotdb.testing.limits import at_once, switching_often
from lotdb.testing.promises import CLASS, promise
from lotdb.testing.seen import bytes_of, check_same

__all__ = ["AloneTests", "skip_refused"]

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

    @promise(CLASS, "it_opens_and_closes")
    def test_an_unknown_option_is_refused(self, backend_class: type[Backend]) -> None:
        """check_options() raises InvalidOptionError for an option that it does not know."""
        with pytest.raises(InvalidOptionError, match="no_such_option"):
            backend_class.check_options({"no_such_option": 1}, np.dtype("float64"), (3,))
            pytest.fail("Backend.check_options: an option that it does not know is an InvalidOptionError")

    @promise(CLASS, "it_opens_and_closes")
    def test_an_unknown_setting_is_refused(self, alone: Alone) -> None:
        """A key of context.config that the backend does not know is an InvalidOptionError: name those that
        it knows in Backend.settings, or refuse the others in __init__.
        """
        if alone.in_memory:
            pytest.skip("no database configures it")
        with pytest.raises(InvalidOptionError, match="no_such_setting"):
            alone.open(config={**alone.config, "no_such_setting": 1})
            pytest.fail(
                "Backend.__init__: a key of context.config that it does not know is an InvalidOptionError"
            )

    @promise(CLASS)
    def test_checked_options_can_be_stored_and_checked_again(
        self, backend_class: type[Backend], options: Sequence[Mapping[str, Any]]
    ) -> None:
        """check_options() returns values that attributes can hold, and changes nothing in what it has
        returned before.
        """
        if not options:
            pytest.skip("no options are given")
        for choice in options:
            given = dict(choice)
            checked = backend_class.check_options(given, np.dtype("float64"), (3,))
            assert given == dict(choice), f"check_options() changes the mapping that it is given: {given}"
            lost = choice.keys() - checked.keys()
            assert not lost, f"check_options() loses the options {sorted(lost)}, so write() never sees them"
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
    @promise(CLASS, "one_array_is_read_back")
    def test_what_was_written_is_read_back(
        self, alone: Alone, backend_class: type[Backend], name: str
    ) -> None:
        """Every array comes back with its dtype, byte order, shape and every byte, also those between the
        fields of a structure; a dtype that cannot be kept is refused in check_dtype().
        """
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

    @promise(CLASS, "one_array_is_read_back")
    def test_any_window_is_read(self, alone: Alone) -> None:
        """read_into() and reader_of() fill out with rows from first_row on, and no others."""
        backend = alone.open()
        array = filled("int32", (500, 3))
        locator = alone.write(backend, array)
        alone.read(backend, locator, array, 0, 500)
        again = backend.reader_of(locator, array.dtype, (3,))

        @settings(max_examples=self.amount(60, 5), deadline=None)
        @given(st.integers(0, 499), st.integers(1, 500))
        @example(0, 500)
        @example(1, 499)
        @example(250, 120)
        @example(499, 1)
        def check(first: int, rows: int) -> None:
            rows = min(rows, 500 - first)
            got = alone.read(backend, locator, array, first, rows)
            check_same(got, array[first : first + rows], f"Backend.{EXACT}")
            got = np.zeros((rows, 3), "int32")
            again(first, got)
            check_same(got, array[first : first + rows], "Backend.reader_of reads what read_into reads")

        check()
        for rows in (2, 300, 5):  # what an earlier window left must not be taken for a longer one
            got = alone.read(backend, locator, array, 100, rows)
            check_same(got, array[100 : 100 + rows], f"Backend.{EXACT}")

    @promise(CLASS, "one_array_is_read_back")
    def test_nothing_around_the_window_is_written_to(self, alone: Alone) -> None:
        """read_into() writes to out only."""
        backend = alone.open()
        array = filled("uint8", (40, 2))
        locator = alone.write(backend, array)
        memory = np.full((30, 2), 7, "uint8")
        backend.read_into(locator, 5, memory[10:20])
        around = np.delete(memory, range(10, 20), axis=0)
        assert (around == 7).all(), "Backend.read_into: it writes beyond out"
        check_same(memory[10:20], array[5:15], f"Backend.{EXACT}")

    @promise(CLASS, "one_array_is_read_back")
    def test_large_arrays_are_read_back(self, alone: Alone) -> None:
        """Large arrays come back as small ones do."""
        backend = alone.open()
        array = filled("float64", (200_000, 2))
        locator = alone.write(backend, array)
        check_same(alone.read(backend, locator, array, 0, len(array)), array, f"Backend.{EXACT}")
        got = alone.read(backend, locator, array, 123_456, 1000)
        check_same(got, array[123_456:124_456], f"Backend.{EXACT}")
        rows = backend.chunk_rows(locator)
        assert isinstance(rows, int), f"Backend.chunk_rows: a number of rows, not {rows!r}"
        assert rows > 0, f"Backend.chunk_rows: 1 at least, not {rows}"

    @promise(CLASS, "one_array_is_read_back")
    def test_options_change_nothing_that_is_read(
        self, alone: Alone, backend_class: type[Backend], options: Sequence[Mapping[str, Any]]
    ) -> None:
        """Options change how data are stored, never what is read."""
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

    @promise(CLASS, "one_array_is_read_back")
    def test_notes_change_nothing_that_is_read(self, alone: Alone, backend_class: type[Backend]) -> None:
        """notes= of write() and write_blocks() changes nothing that is read."""
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

    @promise(CLASS, "one_array_is_read_back")
    def test_the_array_is_copied_and_left_alone(self, alone: Alone) -> None:
        """write() keeps the bytes and not the array, which belongs to the caller, and changes nothing in it;
        read_into() gives a copy.
        """
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

    @promise(CLASS, "one_array_is_read_back")
    def test_arrays_that_cannot_be_written_to_are_taken(self, alone: Alone) -> None:
        """write() takes arrays that cannot be written to."""
        backend = alone.open()
        array = np.frombuffer(b"the bytes of a text", np.uint8)
        assert not array.flags.writeable
        got = alone.read(backend, alone.write(backend, array), array, 0, len(array))
        check_same(got, array, f"Backend.{EXACT}")

    @promise(CLASS, "one_array_is_read_back")
    def test_arrays_do_not_touch_each_other(self, alone: Alone) -> None:
        """What is written under one locator changes nothing that was written under another."""
        backend = alone.open()
        arrays = [filled("int64", (50, 2), seed) for seed in range(8)]
        locators = [alone.write(backend, array) for array in arrays]
        for array, locator in zip(arrays, locators, strict=True):
            got = alone.read(backend, locator, array, 0, 50)
            check_same(got, array, "Backend.write changes nothing that was written under another locator")

    @promise(CLASS, "one_array_is_read_back")
    def test_reading_what_is_not_there_is_damage(self, alone: Alone) -> None:
        """read_into() raises DamagedError for what was never written, or was deleted; it never makes up
        data.
        """
        backend = alone.open()
        array = filled("float64", (10, 2))
        locator = alone.write(backend, array)
        for absent in (backend.new_locator(), backend.new_locator()):
            with pytest.raises(DamagedError):
                alone.read(backend, absent, array, 0, 1)
                pytest.fail("Backend.read_into: what was never written is a DamagedError, not data")
        alone.read(backend, locator, array, 0, 10)
        backend.delete(locator)
        with pytest.raises(DamagedError):
            alone.read(backend, locator, array, 0, 10)
            pytest.fail(
                "Backend.read_into: what was deleted is a DamagedError, not data; forget what was read of it"
            )

    @pytest.mark.parametrize(("first", "rows"), [(0, 11), (9, 2), (10, 1), (1000, 5)])
    @promise(CLASS, "one_array_is_read_back")
    def test_reading_beyond_the_end_is_damage(self, alone: Alone, first: int, rows: int) -> None:
        """read_into() raises DamagedError for rows that the array does not have, and what reader_of() gives
        raises anything; they never make up data.
        """
        backend = alone.open()
        array = filled("float64", (10, 2))
        locator = alone.write(backend, array)
        with pytest.raises(DamagedError):
            alone.read(backend, locator, array, first, rows)
            pytest.fail(f"Backend.read_into: rows {first} to {first + rows} of 10 are a DamagedError")
        with pytest.raises(Exception):  # noqa: B017, PT011 - the core then asks read_into
            backend.reader_of(locator, array.dtype, (2,))(first, np.zeros((rows, 2)))
            pytest.fail(f"Backend.reader_of: rows {first} to {first + rows} of 10 are an error")

    @promise(CLASS, "one_array_is_read_back")
    def test_a_failed_write_is_an_error(self, alone: Alone) -> None:
        """write() raises what keeps it from writing: what it says is written can be read."""
        alone.needs_text_locators()
        backend, array = alone.open(), filled("float64", (100,))
        alone.folder.write_text("a file where the folder should be")
        locator = backend.new_locator()
        try:
            backend.write(locator, array, {})
        except Exception:
            return
        finally:
            alone.folder.unlink()
        got = alone.read(backend, locator, array, 0, 100)
        check_same(got, array, "write() cannot make its folder, and raises nothing")

    @promise(CLASS, "one_array_is_read_back")
    def test_a_part_of_each_row_is_read(self, alone: Alone, backend_class: type[Backend]) -> None:
        """read_selection() fills out with just what is selected; what is not there is a DamagedError."""
        if backend_class.read_selection is Backend.read_selection:
            pytest.skip("it reads whole rows")
        backend, array = alone.open(), filled("float64", (60, 7, 5))
        locator = alone.write(backend, array)

        @settings(max_examples=self.amount(40, 5), deadline=None)
        @given(st.tuples(*(st.tuples(*[st.integers(0, length)] * 2) for length in array.shape)))
        @example(((0, 60), (0, 7), (0, 5)))
        @example(((20, 50), (2, 6), (1, 4)))
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
    @promise(CLASS, "one_array_is_read_back")
    def test_blocks_become_one_array(
        self, alone: Alone, backend_class: type[Backend], name: str, lengths: list[int]
    ) -> None:
        """write_blocks() stores the blocks one behind the other."""
        skip_refused(backend_class, name)
        backend = alone.open()
        array = filled(DTYPES[name], (1000, 2))
        locator = backend.new_locator()
        edges = np.cumsum([0, *lengths])
        blocks = (array[first:last] for first, last in pairwise(edges))
        backend.write_blocks(locator, blocks, array.shape, {})
        got = alone.read(backend, locator, array, 0, 1000)
        check_same(got, array, "Backend.write_blocks stores the blocks one behind the other")

    @promise(CLASS, "blocks_become_one_array")
    def test_blocks_are_written_as_they_come(self, alone: Alone) -> None:
        """write_blocks() takes one block after the other: together they may be larger than memory."""
        backend, alive = alone.open(), []
        most = 0

        def blocks() -> Iterator[np.ndarray[Any, Any]]:
            nonlocal most
            for seed in range(40):
                block = np.full((64, 1024), seed, "float64")  # 512 KiB
                alive.append(weakref.ref(block))
                yield block
                del block
                most = max(most, sum(each() is not None for each in alive))

        locator = backend.new_locator()
        backend.write_blocks(locator, blocks(), (2560, 1024), {})
        assert most <= 36, f"{most} of 40 blocks were in memory at a time"
        out = np.empty((1, 1024))
        for row in (0, 1279, 2559):
            backend.read_into(locator, row, out)
            check_same(out, np.full((1, 1024), row // 64, "float64"), f"row {row} of the blocks")

    @promise(CLASS, "blocks_become_one_array")
    def test_a_reader_may_be_opened_while_blocks_come(self, alone: Alone) -> None:
        """Whoever opens the folder to read leaves alone what another process is writing."""
        alone.needs_a_folder()
        backend, array = alone.open(), filled("float64", (1000, 2))
        alone.write(backend, array[:5])

        def blocks() -> Iterator[np.ndarray[Any, Any]]:
            for first in range(0, 1000, 250):
                yield array[first : first + 250]
                reader = alone.open(read_only=True)
                list(reader.locators())
                reader.close()

        locator = backend.new_locator()
        backend.write_blocks(locator, blocks(), array.shape, {})
        got = alone.read(backend, locator, array, 0, 1000)
        check_same(got, array, "what was written while another instance was opened to read")

    @promise(CLASS, "one_array_is_read_back")
    def test_what_may_not_be_read_is_no_damage(self, alone: Alone, monkeypatch: pytest.MonkeyPatch) -> None:
        """A store that may not be read is not damaged: let PermissionError pass, or raise
        UnavailableError, so that nobody takes what is there for lost.
        """
        alone.needs_a_folder()
        backend, array = alone.open(), filled("float64", (1000, 2))
        locator = alone.write(backend, array)
        alone.close()
        backend = alone.open()
        inside = os.fspath(alone.folder)

        def refusing(real: Callable[..., Any]) -> Callable[..., Any]:
            def refuse(file: Any, *args: Any, **kwargs: Any) -> Any:
                if isinstance(file, str | os.PathLike) and os.fspath(file).startswith(inside):
                    raise PermissionError(errno.EACCES, "Permission denied", os.fspath(file))
                return real(file, *args, **kwargs)

            return refuse

        with monkeypatch.context() as patched:
            for module, name in ((builtins, "open"), (io, "open"), (os, "open")):
                patched.setattr(module, name, refusing(getattr(module, name)))
            try:
                alone.read(backend, locator, array, 0, 10)
            except DamagedError as error:
                if store_error(error, "it cannot be read", None) is None:
                    pytest.fail(
                        f"Backend.read_into: a PermissionError became {error!r}; let it pass, or raise "
                        "DamagedError from it"
                    )
            except Exception:
                pass  # which the core tells from damage
        check_same(alone.read(backend, locator, array, 0, 10), array[:10], "once it may be read again")

    @pytest.mark.parametrize("error", [OSError, Interruption])
    @promise(CLASS, "one_array_is_read_back")
    def test_delete_removes_what_a_failed_write_has_left(
        self, alone: Alone, error: type[BaseException]
    ) -> None:
        """write_blocks() raises what its blocks raise, and delete() removes what is half written, too."""
        backend = alone.open()
        alone.write(backend, filled("float64", (10,)))
        before = alone.left(backend)
        locator = backend.new_locator()

        def blocks() -> Iterator[np.ndarray[Any, Any]]:
            for seed in range(3):
                yield filled("float64", (100_000,), seed)
            raise error("in the middle")

        with pytest.raises(error):
            backend.write_blocks(locator, blocks(), (500_000,), {})
            pytest.fail("Backend.write_blocks: it raises what its blocks raise")
        backend.delete(locator)
        left = alone.left(backend).keys() - before.keys()
        assert not left, f"Backend.delete: what is half written goes as well; left is {sorted(left)}"

    # -- delete ------------------------------------------------------------------------------------

    @promise(CLASS, "one_array_is_read_back")
    def test_deleting_gives_the_space_back(
        self, alone: Alone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """delete() removes the array, and gives its space back or uses it again. Nothing is left in the
        folder of temporary files.
        """
        temporary = tmp_path / "temporary"
        temporary.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(temporary))
        backend = alone.open()
        kept = filled("float64", (1000,), 1)
        locator_kept = alone.write(backend, kept)
        before = sum(alone.left(backend).values())
        others = {alone.write(backend, filled("int16", (9,), seed)): seed for seed in range(4)}
        for seed in range(6):  # a single file need not shrink, but what was free in it is used again
            backend.delete(alone.write(backend, filled("float64", (100_000,), seed)))
        grown = sum(alone.left(backend).values()) - before
        assert grown < 1_700_000, (
            f"{grown} of 4800000 bytes that were deleted are left in the folder; a single file need not "
            "shrink, but Backend.write puts new arrays where deleted ones were"
        )
        left = [path.name for path in temporary.iterdir()]
        # A new blob of ZODB has its file there until it is committed.
        assert not left or not isinstance(locator_kept, str), (
            f"{len(left)} files are left in the folder of temporary files, such as {left[0]}"
        )
        got = alone.read(backend, locator_kept, kept, 0, 1000)
        check_same(got, kept, "deleting one array changed another")
        for locator, seed in others.items():
            array = filled("int16", (9,), seed)
            check_same(alone.read(backend, locator, array, 0, 9), array, "deleting one array changed another")

    @promise(CLASS, "one_array_is_read_back")
    def test_deleting_what_is_not_there_is_quiet(self, alone: Alone) -> None:
        """delete() of what is not there is no error."""
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

    @promise(CLASS, "it_opens_and_closes")
    def test_locators_are_unique(self, alone: Alone) -> None:
        """new_locator() never gives the same locator twice; leave it as it is."""
        backend, other = alone.open(), alone.open()
        made = [each.new_locator() for _ in range(200) for each in (backend, other)]
        assert len(set(made)) == 400, "Backend.new_locator: it gave the same locator twice"

    @promise(CLASS, "it_opens_and_closes")
    def test_text_locators_are_found_by_the_garbage_collector(self, alone: Alone) -> None:
        """new_locator() gives texts of the form that pack() looks for in records; leave it as it is."""
        alone.needs_text_locators()
        locator = alone.open().new_locator()
        assert re.fullmatch("seg-[0-9a-f]{32}", locator), (
            f"Backend.new_locator: {locator!r} is not of the form that is looked for in records, so pack() "
            "would delete data that is in use; leave new_locator as it is"
        )

    @promise(CLASS, "one_array_is_read_back")
    def test_locators_lists_what_is_stored(self, alone: Alone) -> None:
        """locators() lists just the arrays that are stored, each with the time at which it was last changed,
        in seconds since 1970.
        """
        alone.needs_text_locators()
        backend = alone.open()
        if backend.is_outside:
            locator = alone.write(backend, filled("float64", (10,)))
            if not list(backend.locators()):
                pytest.skip("its arrays lie outside of the folder, and it lists none to be swept")
            backend.delete(locator)
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
            time.sleep(0.02)
            assert dict(backend.locators()) == listed, (
                "Backend.locators: the time is that of the array's last change, not that of the listing"
            )
        backend.delete(locators[0])
        assert sorted(dict(backend.locators())) == sorted(locators[1:]), (
            "Backend.locators: it lists what was deleted, or not what is left"
        )

    @promise(CLASS, "locators_lists_what_is_stored")
    def test_what_is_stored_is_told_from_what_is_not(self, alone: Alone) -> None:
        """is_stored() says whether an array is still there, and now() tells the time as locators() does, so
        that what another process is about to commit is not swept.
        """
        alone.needs_text_locators()
        backend = alone.open()
        kept, deleted = (alone.write(backend, filled("float64", (10,), seed)) for seed in range(2))
        backend.delete(deleted)
        assert backend.is_stored(kept), "Backend.is_stored: it is there"
        for absent in (deleted, backend.new_locator()):
            assert not backend.is_stored(absent), "Backend.is_stored: it is not there"
        listed = dict(backend.locators())
        if listed and not alone.in_memory:
            ages = [backend.now() - at for at in listed.values()]
            assert all(-2 <= age < 300 for age in ages), (
                f"Backend.now: by it, what was just written is {ages} seconds old"
            )

    # -- files and describe ------------------------------------------------------------------------

    @promise(CLASS, "one_array_is_read_back")
    def test_files_are_there_and_have_their_size(self, alone: Alone) -> None:
        """files() names files that exist, as texts, with their sizes in bytes, and none of a deleted array.
        They have the permissions of any new file: other users may open a database.
        """
        backend = alone.open()
        locator = alone.write(backend, filled("float64", (1000,)))
        alone.folder.parent.joinpath("any new file").touch()
        usual = alone.folder.parent.joinpath("any new file").stat().st_mode
        for path, size in backend.files(locator):
            assert isinstance(path, str), f"files() names {path!r}, which is no text"
            assert os.path.isfile(path), f"files() names {path}, which is no file"
            assert os.path.getsize(path) == size, f"files() says {size} bytes of {path}, it has others"
            mode = os.stat(path).st_mode
            assert mode & 0o444 == usual & 0o444, (
                f"{path} has the permissions {mode & 0o777:o}, a new file {usual & 0o777:o}: what the module "
                "tempfile makes can be read by its owner alone"
            )
        backend.delete(locator)
        assert not list(backend.files(locator)), "files() names files of what was deleted"

    @promise(CLASS, "one_array_is_read_back")
    def test_describe_never_fails(self, alone: Alone) -> None:
        """describe() says where an array is, as a text, whether or not it is there."""
        backend = alone.open()
        locator = alone.write(backend, filled("float64", (10,)))
        for each in (locator, backend.new_locator()):
            said = backend.describe(each)
            assert isinstance(said, str), "Backend.describe: it is part of error messages, hence a text"
            assert said, "Backend.describe: it says where, in error messages"

    # -- beyond one instance -----------------------------------------------------------------------

    @promise(CLASS, "one_array_is_read_back")
    def test_another_instance_reads_it(self, alone: Alone) -> None:
        """What was written is read after the backend was closed and opened again."""
        alone.needs_a_folder()
        array = filled(DTYPES["float64"], (300, 2))
        backend = alone.open()
        locator = alone.write(backend, array)
        alone.close()
        again = alone.open()
        got = alone.read(again, locator, array, 0, 300)
        check_same(got, array, "Backend.write: it can be read after the backend was closed and opened again")
        if not again.is_outside or list(again.locators()):
            assert dict(again.locators()).keys() == {locator}, "locators() forgets when it is reopened"

    @promise(CLASS, "another_instance_reads_it")
    def test_a_reader_reads_it_at_once(self, alone: Alone) -> None:
        """What write() has written is there for others at once, which read while this one writes on, also
        for those that were opened before.
        """
        alone.needs_a_folder()
        early = alone.open(read_only=True)
        backend = alone.open()
        arrays = [filled("float64", (300, 2), seed) for seed in range(3)]
        for array in arrays:
            locator = alone.write(backend, array)
            got = alone.read(early, locator, array, 0, 300)
            check_same(got, array, "an instance that was opened before")
            reader = alone.open(read_only=True)
            got = alone.read(reader, locator, array, 0, 300)
            check_same(got, array, "an instance that is opened meanwhile")
            reader.close()

    @promise(CLASS, "one_array_is_read_back")
    def test_what_need_not_survive_a_power_cut_is_written_all_the_same(self, alone: Alone) -> None:
        """Without context.durable nothing is synced, and all else is as ever."""
        array = filled("float64", (300, 2))
        backend = alone.open(durable=False)
        got = alone.read(backend, alone.write(backend, array), array, 0, 300)
        check_same(got, array, "without context.durable")

    @promise(CLASS, "another_instance_reads_it")
    def test_the_folder_may_be_moved(self, alone: Alone) -> None:
        """No absolute path is stored, for databases are moved."""
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

    @promise(CLASS, "one_array_is_read_back")
    def test_the_working_folder_may_change(self, alone: Alone, tmp_path: Path) -> None:
        """The working folder of the process may be another one at each call."""
        backend = alone.open()
        array = filled("float64", (300, 2))
        locators = [alone.write(backend, array)]
        elsewhere = tmp_path / "elsewhere"
        below = elsewhere / "below"
        below.mkdir(parents=True)
        # A path that begins with ".." leads to the right place from another folder that is as deep.
        for folder in (elsewhere, below):
            with contextlib.chdir(folder):
                locators.append(alone.write(backend, array))
                for locator in locators:
                    check_same(
                        alone.read(backend, locator, array, 0, 300), array, "in another working folder"
                    )
        left = [each for each in (*elsewhere.iterdir(), *below.iterdir()) if each != below]
        assert not left, f"it has written into the working folder: {left}"

    @promise(CLASS, "another_instance_reads_it")
    def test_a_place_outside_is_that_of_one_database(self, alone: Alone) -> None:
        """A place outside of the folder (is_outside) belongs to one database: note context.database_id in it,
        and refuse another one's with InvalidOptionError.
        """
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

    @promise(CLASS, "it_opens_and_closes")
    def test_reading_only_creates_nothing(self, alone: Alone) -> None:
        """With context.read_only nothing is created, not even the folder."""
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

    @promise(CLASS, "another_instance_reads_it")
    def test_reading_only_changes_nothing(self, alone: Alone) -> None:
        """With context.read_only nothing is changed."""
        alone.needs_a_folder()
        array = filled("float64", (300, 2))
        locator = alone.write(alone.open(), array)
        alone.close()
        before = {path: path.stat().st_mtime_ns for path in alone.folder.rglob("*")}
        backend = alone.open(read_only=True)
        check_same(alone.read(backend, locator, array, 0, 300), array, f"Backend.{EXACT}")
        if not backend.is_outside or list(backend.locators()):
            assert dict(backend.locators()).keys() == {locator}, "locators() does not list what is stored"
        alone.close()
        after = {path: path.stat().st_mtime_ns for path in alone.folder.rglob("*")}
        assert after == before, "BackendContext.read_only: nothing is changed"

    @promise(CLASS, "one_array_is_read_back")
    def test_closing_releases_the_files(self, alone: Alone) -> None:
        """close() closes all files."""
        backend = alone.open()
        array, opened = filled("float64", (300, 2)), []
        locator = alone.write(backend, array)
        for _ in range(20):
            alone.read(backend, locator, array, 0, 300)
            with contextlib.suppress(DamagedError):
                alone.read(backend, locator, array, 290, 300)
            opened.append(len(open_files_in(alone.folder)))
        assert opened[-1] <= opened[0] + 4, f"each read leaves files open: {opened[0]}, then {opened[-1]}"
        alone.close()
        still = open_files_in(alone.folder)
        assert not still, f"Backend.close: it leaves files open: {still}"

    @promise(CLASS, "it_opens_and_closes")
    def test_closing_at_once_is_fine(self, alone: Alone) -> None:
        """close() of a backend that did nothing is no error."""
        alone.open()
        alone.close()
        still = open_files_in(alone.folder)
        assert not still, f"Backend.close: it leaves files open: {still}"

    # -- threads -----------------------------------------------------------------------------------

    @promise(CLASS, "any_window_is_read")
    def test_threads_may_read_at_once(self, alone: Alone) -> None:
        """Several threads may call read_into() at once."""
        backend = alone.open()
        arrays = [filled("int32", (5000, 2), seed) for seed in range(4)]
        locators = [alone.write(backend, array) for array in arrays]

        def read(seed: int) -> None:
            for number in range(40):
                which, first = (seed + number) % 4, (seed * 997 + number * 131) % 4000
                got = alone.read(backend, locators[which], arrays[which], first, 1000)
                assert bytes_of(got) == bytes_of(arrays[which][first : first + 1000]), (
                    "Backend.read_into: several threads may call it at once; one of them got wrong rows"
                )

        with switching_often():
            at_once([partial(read, seed) for seed in range(4)])

    @promise(CLASS, "one_array_is_read_back")
    def test_threads_may_write_at_once(self, alone: Alone) -> None:
        """Several threads may call write() at once."""
        backend = alone.open()

        def write(seed: int) -> list[tuple[np.ndarray[Any, Any], Any]]:
            arrays = [filled("int32", (100, 2), 100 * seed + number) for number in range(20)]
            return [(array, alone.write(backend, array)) for array in arrays]

        with switching_often():
            written = [
                pair for pairs in at_once([partial(write, seed) for seed in range(4)]) for pair in pairs
            ]
        for array, locator in written:
            got = alone.read(backend, locator, array, 0, 100)
            check_same(got, array, "Backend.write may be called by several threads at once")


def _arrays(name: str) -> list[np.ndarray[Any, Any]]:
    return [filled(DTYPES[name], shape, seed) for seed, shape in enumerate(ROWS)]
