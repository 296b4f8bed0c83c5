"""What a database does with the payloads that a backend keeps: sharing, packing, compacting, moving."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from lotdb import DataNode, ReadOnlyError
from lotdb.testing.arrays import filled
from lotdb.testing.backend_fixtures import BackendFixtures
from lotdb.testing.bench import Bench
from lotdb.testing.promises import CLASS, promise
from lotdb.testing.seen import check_same, picture

__all__ = ["UpkeepTests"]

LARGE = (200_000, 2)
SWEPT = "Backend.locators and Backend.delete: pack() gives back what nothing refers to"

ONE_FILE = "a backend that keeps many arrays in a file makes it smaller in Backend.after_pack: override that"


class UpkeepTests(BackendFixtures):
    """Branches share, pack gives back just what nobody needs, folders move, readers change nothing."""

    # -- sharing -----------------------------------------------------------------------------------

    @promise(CLASS, "a_committed_payload_is_read_back")
    def test_a_branch_shares_its_data_until_it_is_written_to(self, bench: Bench) -> None:
        """Arrays never change, so branches share them."""
        bench.needs_a_database()
        small, large = filled("float64", (10,), 1), filled("float64", LARGE, 2)
        bench.node("recording/small").write_data(small)
        bench.node("recording/large").write_data(large)
        bench.commit()
        stored = bench.stored()
        bench.root()["recording"].branch("variant")
        bench.commit()
        assert bench.stored() == stored, "a branch copies nothing"
        bench.node("variant/large").append_data(filled("float64", (5, 2), 3))
        bench.node("variant/small").replace_data(large[:7])
        bench.node("recording/small").delete_data()
        bench.settle()
        check_same(
            bench.node("recording/large").read_data(), large, "a write to a branch leaves the original"
        )
        check_same(bench.node("variant/small").read_data(), large[:7], "a branch is written to on its own")
        assert len(bench.node("variant/large").get_data()) == len(large) + 5
        bench.root()["recording"].delete_tree()
        bench.commit()
        bench.close()
        bench.pack()
        got = bench.node("variant/large").read_data(0, len(large))
        check_same(got, large, "what a branch shares outlives the original, pack() included")

    @promise(CLASS, "a_committed_payload_is_read_back")
    def test_what_was_obtained_stays_what_it_was(self, bench: Bench) -> None:
        """What was replaced is read until pack() takes it away."""
        array = filled("float64", LARGE)
        payload = bench.node("replaced").write_data(array)
        bench.commit()
        bench.node("replaced").replace_data(array[:10])
        bench.commit()
        check_same(payload.read(), array, "a payload object reads what it was obtained for")
        check_same(bench.node("replaced").read_data(), array[:10], "the node has what replaced it")

    # -- packing -----------------------------------------------------------------------------------

    @pytest.mark.parametrize("how", ["replaced", "deleted"])
    @promise(
        CLASS,
        "a_committed_payload_is_read_back",
        "locators_lists_what_is_stored",
        "deleting_gives_the_space_back",
    )
    def test_pack_gives_back_what_was(self, bench: Bench, how: str) -> None:
        """locators() lists what pack() may look at, and delete() gives the space of what nobody uses back."""
        bench.needs_a_database()
        kept = filled("float64", LARGE, 1)
        in_use = bench.node("kept").write_data(kept)
        payload = bench.node("gone").write_data(filled("float64", LARGE, 2))
        bench.commit()
        if not bench.is_swept():
            pytest.skip("it lists nothing in a place outside of the database's folder")
        gone, files_in_use = ({*bench.files_of(bench.node(key).get_data())} for key in ("gone", "kept"))
        gone -= files_in_use
        listed = {f"locator {locator}" for locator in bench.locators_of(payload)} & bench.stored()
        count, size = len(bench.stored()), bench.bytes_stored()
        for seed in range(3):
            if how == "replaced":
                bench.node("gone").replace_data(filled("float64", LARGE, seed))
            elif "gone" in bench.root():
                bench.root()["gone"].delete_tree()
            bench.settle()
            bench.pack()
        assert len(bench.stored()) <= count, SWEPT
        # A file that holds all arrays may keep as much space for the next as is in use.
        spare, advice = (4096, SWEPT) if gone else (size + 4096, ONE_FILE)
        assert bench.bytes_stored() <= size + spare, (
            f"{bench.bytes_stored()} bytes are left where {size} are in use; {advice}"
        )
        left = [path for path in gone if path.exists()]
        assert not left, f"pack() calls delete() for what locators() lists and nobody uses; left is {left}"
        assert not listed & bench.stored(), f"still listed is {sorted(listed & bench.stored())}"
        check_same(bench.node("kept").read_data(), kept, "pack() takes nothing that is in use")
        if how == "replaced":
            check_same(
                bench.node("gone").read_data(), filled("float64", LARGE, 2), "pack() takes nothing in use"
            )
        assert bench.db.verify() == [], "verify() finds damage after a pack()"
        assert len(in_use) == len(kept)

    @promise(
        CLASS,
        "a_committed_payload_is_read_back",
        "locators_lists_what_is_stored",
        "deleting_gives_the_space_back",
    )
    def test_pack_after_deleting_everything_leaves_nothing(self, bench: Bench) -> None:
        """locators() lists all that is stored, and delete() removes all of it."""
        bench.needs_a_database()
        for number in range(4):
            bench.node(f"{number}").write_data(filled("float64", LARGE, number))
            bench.node(f"{number}/small").write_data(filled("U3", (50,), number))
            bench.commit()
        if not bench.is_swept():
            pytest.skip("it lists nothing in a place outside of the database's folder")
        bench.root().delete_tree()
        bench.settle()
        bench.pack()
        left = bench.bytes_stored()
        assert left < 2_000_000, (
            f"{SWEPT}; {left} bytes are left of 12.8 MB: {sorted(bench.stored())}; {ONE_FILE}"
        )
        assert not [name for name in bench.stored() if name.startswith("locator ")], SWEPT
        bench.node("new").write_data(filled("float64", LARGE))
        bench.settle()
        check_same(bench.node("new").read_data(), filled("float64", LARGE), "it can be written to as before")

    @promise(CLASS, "a_committed_payload_is_read_back")
    def test_pack_spares_what_is_not_yet_committed(self, bench: Bench) -> None:
        """pack() spares what a transaction has just written."""
        bench.needs_a_database()
        arrays = {"large": filled("float64", LARGE, 1), "small": filled("float64", (10,), 2)}
        for key, array in arrays.items():
            bench.node(key).write_data(array)
        bench.pack()
        bench.settle()
        for key, array in arrays.items():
            check_same(
                bench.node(key).read_data(), array, "pack() spares what a transaction has just written"
            )

    @promise(CLASS, "a_committed_payload_is_read_back")
    def test_pack_spares_what_a_savepoint_returns_to(self, bench: Bench) -> None:
        """pack() spares what a savepoint returns to."""
        bench.needs_a_database()
        arrays = {"large": filled("float64", LARGE, 1), "small": filled("float64", (10,), 2)}
        for key, array in arrays.items():
            bench.node(key).write_data(array)
        savepoint = bench.db.savepoint()
        bench.pack()
        bench.root()["large"].delete_tree()
        savepoint.rollback()
        bench.settle()
        for key, array in arrays.items():
            check_same(
                bench.node(key).read_data(), array, "pack() spares what a transaction has just written"
            )

    # -- compacting --------------------------------------------------------------------------------

    @promise(CLASS, "a_committed_payload_is_read_back")
    def test_compacting_makes_one_segment(self, bench: Bench) -> None:
        """Compacting writes the rows anew as one array, and leaves the old ones to their readers."""
        parts = [filled("float64", (rows, 2), rows) for rows in (150_000, 70_000, 300, 20)]
        for part in parts:
            bench.node("grown").append_data(part, samplerate_hz=10, metadata={"unit": "mV"})
            bench.commit()
        before = bench.node("grown").get_data()
        payload = bench.node("grown").compact_data()
        assert len(payload.segments()) == 1
        check_same(
            before.read(), np.concatenate(parts), "compacting leaves the old segments to their readers"
        )
        bench.settle()
        payload = bench.node("grown").get_data()
        assert (payload.samplerate_hz, payload.metadata) == (10, {"unit": "mV"})
        check_same(payload.read(), np.concatenate(parts), "compacting changes no data")

    @promise(CLASS, "a_committed_payload_is_read_back")
    def test_compacting_a_tree_keeps_everything(self, bench: Bench) -> None:
        """Compacting changes no data."""
        for number in range(6):
            for seed in range(3):
                bench.node(f"{number % 2}/{number}").append_data(filled("int16", (40, 2), seed))
                bench.commit()
        before = picture(bench.root())
        assert bench.root().compact_tree() == 6
        bench.settle()
        assert picture(bench.root()) == before, "compacting changes no data"

    # -- folders -----------------------------------------------------------------------------------

    @promise(CLASS, "a_committed_payload_is_read_back", "the_folder_may_be_moved")
    def test_the_database_may_be_moved(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        """No absolute path is stored, for databases are moved."""
        bench.needs_its_folder()
        array = filled("float64", LARGE)
        bench.node("moved").write_data(array)
        bench.settle()
        (bench.folder.parent / "other").mkdir()
        old = bench.folder
        bench.folder = old.rename(old.parent / "other" / "place")
        monkeypatch.chdir(bench.folder.parent)
        bench.folder = Path("place")
        check_same(
            bench.node("moved").read_data(), array, "a database may be moved; no absolute path is stored"
        )
        bench.node("moved").append_data(array[:5])
        bench.settle()
        check_same(bench.node("moved").read_data(-5), array[:5], "a moved database is written to where it is")
        assert not old.exists(), "it came back where it was moved away from"

    @promise(CLASS, "a_committed_payload_is_read_back")
    def test_a_copied_database_is_another_one(self, bench: Bench) -> None:
        """A copy of the folder is a database of its own: nothing done to it changes the original."""
        bench.needs_its_folder()
        array = filled("float64", LARGE)
        bench.node("copied").write_data(array)
        bench.settle()
        copy = bench.another("copy")
        shutil.copytree(bench.folder, copy.folder)
        copy.node("copied").append_data(array[:5])
        copy.node("new").write_data(array[:5])
        copy.commit()
        before = bench.contents()
        check_same(
            copy.node("copied").read_data(-5), array[:5], "a copied database is written to where it is"
        )
        copy.root().delete_tree()
        copy.commit()
        copy.close()
        copy.pack()
        copy.close()
        assert bench.contents() == before, "what is done to a copy of the folder changes the original"
        check_same(bench.node("copied").read_data(), array, "a copy's changes are its own")

    # -- reading only ------------------------------------------------------------------------------

    @promise(CLASS, "a_committed_payload_is_read_back", "reading_only_changes_nothing")
    def test_reading_only_changes_no_file(self, bench: Bench) -> None:
        """With context.read_only nothing is changed."""
        bench.needs_a_database()
        array = filled("float64", LARGE)
        bench.node("large").write_data(array)
        bench.node("small").write_data(filled("U3", (10,)))
        bench.settle()
        before = bench.contents()
        root = bench.reopen(read_only=True).open_connection()
        node = root["large"]
        assert isinstance(node, DataNode)
        check_same(node.read_data(), array, "read_only=True reads as any other")
        with pytest.raises(ReadOnlyError):
            node.write_data(array)
        with pytest.raises(ReadOnlyError):
            node.append_data(array)
        assert bench.db.verify() == []
        bench.close()
        assert bench.contents() == before, "read_only=True changes nothing"

    @promise(CLASS, "a_committed_payload_is_read_back", "reading_only_creates_nothing")
    def test_reading_only_makes_no_folder(self, bench: Bench) -> None:
        """With context.read_only nothing is created, not even the folder."""
        bench.needs_a_database()
        bench.root().attrs["label"] = "no payload yet"
        bench.settle()
        before = bench.contents()
        bench.reopen(read_only=True)
        assert bench.root().attrs["label"] == "no payload yet"
        assert bench.db.verify() == []
        bench.close()
        assert bench.contents() == before, "read_only=True changes nothing"
        assert not bench.backend_folder.exists(), "BackendContext.read_only: not even the folder is created"
