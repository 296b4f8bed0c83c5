"""ingest_tree in a database: batches, a second run, and an interrupted one."""

import numpy as np
import pytest
from tests.core.folders.recordings import PATTERN, leaves

from lotdb import LOTDB, BaseNode, InvalidOptionError, ReadOnlyError


def test_a_second_run_takes_in_only_what_has_changed(folder):
    root = BaseNode("root")
    root.ingest_tree(folder, PATTERN)
    np.save(folder / "anna" / "s1_take1.npy", np.arange(9))
    report = root.ingest_tree(folder, PATTERN)
    assert report.replaced == ["anna/s1_take1.npy"]
    assert not report.added
    assert len(report.unchanged) == 3
    assert "0 added, 1 replaced, 3 unchanged" in str(report)
    assert root["anna/s1/take1"].read_data().tolist() == list(range(9))
    assert len(root.ingest_tree(folder, PATTERN, skip_unchanged=False).replaced) == 4
    assert len(root.ingest_tree(folder, PATTERN, to="other/{speaker}/{session}").added) == 4


def test_an_interrupted_run_goes_on_after_its_last_batch(folder, tmp_path):
    def interrupt(done, total, path):
        if done == 3:
            raise KeyboardInterrupt

    with LOTDB(tmp_path / "db") as db:
        with pytest.raises(KeyboardInterrupt), db.connection() as root:
            root.ingest_tree(folder, PATTERN, batch_size=2, progress=interrupt)
        with db.connection() as root:
            assert leaves(root) == ["anna/s1/take1", "anna/s2/take1"]
            report = root.ingest_tree(folder, PATTERN, batch_size=2)
    assert report.unchanged == ["anna/s1_take1.npy", "anna/s2_take1.npy"]
    assert report.added == ["ben/s1_take1.npy", "ben/s2_take1.npy"]
    with LOTDB(tmp_path / "db", read_only=True) as db, db.connection() as root:
        assert len(leaves(root)) == 4


def test_progress_is_told_after_each_file(folder):
    calls = []
    BaseNode("root").ingest_tree(folder, PATTERN, progress=lambda *call: calls.append(call))
    assert [call[:2] for call in calls] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert calls[0][2] == "anna/s1_take1.npy"


def test_small_files_of_a_batch_share_a_pack(folder, tmp_path):
    with LOTDB(tmp_path / "db", backends={"blob": {"record_bytes": 0}}) as db, db.connection() as root:
        root.ingest_tree(folder, PATTERN)
        files = {
            file
            for leaf in root.iterate_tree_leaves()
            for part in leaf.get_data().segments()
            for file in part.files
        }
    assert len(files) == 1


def test_a_read_only_database_takes_nothing_in(folder, tmp_path):
    LOTDB(tmp_path / "db").close()
    with LOTDB(tmp_path / "db", read_only=True) as db, db.connection() as root, pytest.raises(ReadOnlyError):
        root.ingest_tree(folder, PATTERN)


def test_what_a_block_changed_before_is_forgotten_if_it_fails(folder, tmp_path):
    with LOTDB(tmp_path / "db") as db:
        with pytest.raises(RuntimeError), db.connection() as root:
            root.attrs["before"] = 1
            with pytest.raises(InvalidOptionError, match=r"uncommitted changes.*batch_size=None"):
                root.ingest_tree(folder, PATTERN, batch_size=1)
            assert list(root) == []
            raise RuntimeError
        with db.connection() as root:
            assert "before" not in root.attrs
            root.attrs["before"] = 2
            db.savepoint(root)
            with pytest.raises(InvalidOptionError):
                root.ingest_tree(folder, PATTERN)
            db.commit(root)
            assert len(root.ingest_tree(folder, PATTERN, batch_size=1).added) == 4


def test_a_folder_is_taken_in_as_a_part_of_the_transaction(folder, tmp_path):
    with LOTDB(tmp_path / "db") as db:
        with pytest.raises(RuntimeError), db.connection() as root:
            root.attrs["before"] = 1
            assert len(root.ingest_tree(folder, PATTERN, batch_size=None).added) == 4
            raise RuntimeError
        with db.connection() as root:
            assert list(root) == []
            assert "before" not in root.attrs
            root.attrs["before"] = 1
            root.ingest_tree(folder, PATTERN, batch_size=None)
        with db.connection() as root:
            assert sorted(root) == ["anna", "ben"]
            assert root.attrs["before"] == 1
