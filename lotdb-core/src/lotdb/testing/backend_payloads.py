"""Payloads of a tree that a backend holds: whatever goes in comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lotdb import Backend, InvalidOptionError
from lotdb.testing.arrays import DTYPES, SHAPES, filled
from lotdb.testing.backend_alone import skip_refused
from lotdb.testing.backend_fixtures import BackendFixtures
from lotdb.testing.bench import Bench, open_files_in
from lotdb.testing.promises import CLASS, promise
from lotdb.testing.seen import bytes_of, check_same

__all__ = ["PayloadTests"]

ROUND_TRIP = "a payload comes back as it went in"
TEXTS = ["", "one line", "Größe 日本 𝄞 \0 \r\n" * 50, "\ud800 alone", "x" * 1_500_000]


class PayloadTests(BackendFixtures):
    """Round trips, windows and appends, committed, and read from the disk again."""

    @pytest.mark.parametrize("name", DTYPES)
    @promise(CLASS, "a_committed_payload_is_read_back", "what_was_written_is_read_back")
    def test_arrays_of_every_shape_come_back(
        self, bench: Bench, backend_class: type[Backend], name: str
    ) -> None:
        """A payload of any shape comes back as it went in."""
        skip_refused(backend_class, name)
        arrays = [filled(DTYPES[name], shape, seed) for seed, shape in enumerate(SHAPES)]
        for number, array in enumerate(arrays):
            bench.node(f"node_{number}").write_data(array)
        bench.settle()
        for number, array in enumerate(arrays):
            payload = bench.node(f"node_{number}").get_data()
            assert (payload.shape, payload.dtype) == (array.shape, array.dtype)
            check_same(payload.read(), array, ROUND_TRIP)

    @pytest.mark.parametrize("text", TEXTS, ids=["empty", "short", "of all letters", "surrogate", "long"])
    @promise(CLASS, "a_committed_payload_is_read_back")
    def test_texts_and_bytes_come_back(self, bench: Bench, text: str) -> None:
        """Texts and bytes come back as they went in."""
        data = text.encode("utf-8", "surrogatepass")
        bench.node("text").write_data(text)
        bench.node("bytes").write_data(data)
        bench.settle()
        check_same(bench.node("text").read_data(), text, ROUND_TRIP)
        check_same(bench.node("bytes").read_data(), data, ROUND_TRIP)
        check_same(bench.node("bytes").read_data(2, 7), data[2:7], "a window is that of Python's slice")

    @promise(CLASS, "a_committed_payload_is_read_back")
    def test_large_arrays_come_back(self, bench: Bench) -> None:
        """Payloads that are written at once come back as they went in."""
        array = filled("float32", (400_000, 3))  # 4.8 MB: written at once, not gathered with others
        bench.node("large").write_data(array)
        bench.settle()
        check_same(bench.node("large").read_data(), array, ROUND_TRIP)
        check_same(bench.node("large").read_data(-5), array[-5:], "a window is numpy's slice")

    @promise(CLASS, "a_committed_payload_is_read_back")
    def test_many_small_arrays_come_back(self, bench: Bench) -> None:
        """Small payloads, which share an array, come back as they went in."""
        arrays = [filled("int16", (1 + seed % 7, 3), seed) for seed in range(300)]
        for number, array in enumerate(arrays):
            bench.node(f"{number}").write_data(array)
        check_same(bench.node("123").read_data(), arrays[123], "it can be read before the commit")
        bench.settle()
        for number, array in enumerate(arrays):
            check_same(bench.node(f"{number}").read_data(), array, ROUND_TRIP)

    @promise(CLASS, "a_committed_payload_is_read_back", "any_window_is_read")
    def test_windows_are_those_of_numpy(self, bench: Bench) -> None:
        """A window of a payload has the rows that numpy's slice has."""
        node = bench.node("windows")
        parts = [filled("float64", (rows, 2), rows) for rows in (400, 90, 11)]
        for part in parts:
            node.append_data(part, samplerate_hz=100)
            bench.commit()
        bench.settle()
        array = np.concatenate(parts)
        payload = bench.node("windows").get_data()

        @settings(max_examples=self.amount(80, 5), deadline=None)
        @given(st.slices(len(array)))
        @example(slice(None))
        @example(slice(100, 495))
        @example(slice(450, 30, -7))
        def check_slice(rows: slice) -> None:
            check_same(payload[rows], array[rows], f"payload[{rows}] is numpy's slice")

        @settings(max_examples=self.amount(80, 5), deadline=None)
        @given(st.tuples(st.integers(0, 600), st.integers(0, 600)).map(sorted), st.booleans())
        @example([0, 501], False)
        @example([100, 495], True)
        def check_window(window: list[int], from_the_end: bool) -> None:
            start, stop = (place - 601 for place in window) if from_the_end else window
            check_same(
                payload.read(start, stop), array[start:stop], f"read({start}, {stop}) is numpy's slice"
            )

        check_slice()
        check_window()
        assert bytes_of(payload[-1]) == bytes_of(array[-1])
        check_same(payload.read_seconds(1.5, 4.2), array[150:420], "a window in seconds is exact")
        check_same(np.concatenate(list(payload.iter_blocks(37))), array, "blocks hold each row once")

    @pytest.mark.parametrize("commits", [False, True], ids=["in one transaction", "in many transactions"])
    @promise(CLASS, "a_committed_payload_is_read_back")
    def test_appended_rows_follow_each_other(self, bench: Bench, commits: bool) -> None:
        """Appended rows follow each other."""
        node = bench.node("grows")
        lengths = [1, 5, 100, 3, 3, 3, 0, 2000, 30_000, 60_000, 1, 2]  # the last but two are over 1 MiB
        parts = [filled("float64", (rows, 3), number) for number, rows in enumerate(lengths)]
        for done, part in enumerate(parts, 1):
            node.append_data(part)
            if commits:
                bench.commit()
            if len(part):
                got = node.read_data(-min(10, len(part)))
                check_same(got, part[-10:], f"after {done} appends the last rows are those of the last one")
        bench.settle()
        payload = bench.node("grows").get_data()
        assert sum(segment.rows for segment in payload.segments()) == sum(lengths)
        check_same(payload.read(), np.concatenate(parts), "appended rows follow each other")

    @promise(CLASS, "a_committed_payload_is_read_back")
    def test_options_are_kept_by_append_and_compaction(
        self, bench: Bench, options: Sequence[Mapping[str, Any]]
    ) -> None:
        """Options that check_options() has returned are stored, and serve for each later write."""
        if not options:
            pytest.skip("no options are given")
        arrays = [filled("float32", (1000, 2), 1), filled("float32", (200_000, 2), 2)]
        for number, choice in enumerate(options):
            node = bench.node(f"{number}")
            for array in arrays:
                node.write_data(array, if_exists="append", **choice)
                bench.commit()
            written = node.get_data().options
            node.append_data(arrays[0])
            node.compact_data()
            assert node.get_data().options == written, f"appending or compacting lost the options {choice}"
        bench.settle()
        for number, choice in enumerate(options):
            got = bench.node(f"{number}").read_data()
            check_same(got, np.concatenate([*arrays, arrays[0]]), f"with options {choice}, {ROUND_TRIP}")

    @promise(CLASS, "a_committed_payload_is_read_back", "an_unknown_option_is_refused")
    def test_a_refused_option_changes_nothing(self, bench: Bench) -> None:
        """An option that check_options() does not know is refused with InvalidOptionError, and nothing is
        changed.
        """
        array = filled("float64", (10,))
        node = bench.node("kept")
        node.write_data(array)
        if not bench.in_memory:
            with pytest.raises(InvalidOptionError, match="no_such_option"):
                node.write_data(array[:5], no_such_option=1)
                pytest.fail("Backend.check_options: an option that it does not know is an InvalidOptionError")
        bench.settle()
        check_same(bench.node("kept").read_data(), array, "a refused call changes nothing")

    @promise(CLASS, "a_committed_payload_is_read_back")
    def test_a_payload_from_memory_is_taken_over(self, bench: Bench) -> None:
        """A tree from memory brings its payloads along."""
        other = bench.another("source")
        other.in_memory = True
        arrays = {"small": filled("U3", (7, 2)), "large": filled("float64", (300_000,))}
        for key, array in arrays.items():
            other.node(f"dataset/{key}").write_data(array, samplerate_hz=50, metadata={"key": key})
        bench.root().add_tree(other.root()["dataset"])
        bench.settle()
        for key, array in arrays.items():
            payload = bench.node(f"dataset/{key}").get_data()
            assert (payload.samplerate_hz, payload.metadata) == (50, {"key": key})
            check_same(payload.read(), array, "a tree from memory brings its payloads along")

    @promise(CLASS, "a_committed_payload_is_read_back")
    def test_a_payload_of_another_database_is_copied_over(self, bench: Bench) -> None:
        """A tree of another database brings copies of its payloads along."""
        bench.needs_its_folder()
        source = bench.another("source")
        arrays = {"small": filled("U3", (7, 2)), "large": filled("float64", (300_000,))}
        for key, array in arrays.items():
            source.node(f"dataset/{key}").write_data(array)
        source.commit()
        bench.root().add_tree(source.root()["dataset"], copy=True)
        source.close()
        bench.settle()
        for key, array in arrays.items():
            check_same(
                bench.node(f"dataset/{key}").read_data(), array, "a copied tree has payloads of its own"
            )

    @promise(CLASS, "a_committed_payload_is_read_back")
    def test_a_copy_in_memory_reads_where_its_payloads_lie(self, bench: Bench) -> None:
        """A copy in memory reads the payloads of what it was copied from."""
        arrays = {"small": filled("U3", (7, 2)), "large": filled("float64", (300_000,))}
        for key, array in arrays.items():
            bench.node(f"dataset/{key}").write_data(array)
        bench.commit()
        copy = bench.root()["dataset"].copy_tree()
        bench.node("dataset/small").replace_data("something else")
        for key, array in arrays.items():
            got = copy.get_data_node(key, create=False).read_data()
            check_same(got, array, "a copy in memory reads the payloads of what it was copied from")

    @promise(CLASS, "a_committed_payload_is_read_back", "closing_releases_the_files")
    def test_closing_the_database_releases_the_files(self, bench: Bench) -> None:
        """close() closes all files when the database is closed."""
        bench.needs_a_database()
        bench.node("read").write_data(filled("float64", (1000,)))
        bench.settle()
        bench.node("read").read_data()
        bench.close()
        still = open_files_in(bench.folder)
        assert not still, f"Backend.close: it leaves files open: {still}"
