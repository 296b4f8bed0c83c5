"""A backup is the database at its last commit, and costs what is new."""

import os
import shutil
import threading

import numpy as np
import pytest
from tests.core.backups.conftest import FILES, files_of, fill, state, state_of

from lotdb import (
    LOTDB,
    DamagedError,
    DatabaseBusyError,
    DatabaseExistsError,
    InvalidOptionError,
    LotdbError,
)
from lotdb.backups import backup as module
from lotdb.storage.index import read_index, write_index
from lotdb.storage.transactions import DataFile
from lotdb.storage.watermark import End

NAME = "lotdb.fs"


@pytest.fixture
def copy(tmp_path):
    return tmp_path / "copy"


def test_a_backup_is_a_database_that_opens_for_reading_and_for_writing(source, copy):
    report = source.backup(copy, verify=True)
    assert (report.anew, report.commits, report.payload_files) == (True, 8, 11)
    assert report.commit == source.last_commit
    assert state_of(copy) == state(source)
    with LOTDB(copy) as db:
        assert state(db) == state(source)
        assert db.id == source.id


def test_all_earlier_revisions_are_in_a_backup_with_their_payloads(source, copy):
    for number in range(3):
        with source.connection() as root:
            root["group0/node0"].write_data(np.arange(9.0) + number)
    source.backup(copy)
    blobs = [{path.name for path in folder.rglob("*.blob")} for folder in (source.path, copy)]
    assert blobs[0] == blobs[1]


def test_a_backup_takes_no_index_of_a_data_file_that_a_pack_has_put_in_place_meanwhile(source, copy, caplog):
    source.pack()

    def pack_elsewhere(*_):
        path = str(source.path / f"{NAME}.index")
        index, end = read_index(path)
        write_index(path, index, End(end.size - 8, end.tid, end.transactions))

    source.backup(copy, progress=pack_elsewhere)
    assert state_of(copy) == state(source)
    assert caplog.records == []  # an index that does not fit would be dropped, with a warning
    assert not list(copy.glob("*.index*"))


def test_a_second_backup_copies_what_is_new_and_nothing_else(source, copy):
    source.backup(copy)
    before = files_of(copy)
    size = (source.path / NAME).stat().st_size
    fill(source, [6])
    report = source.backup(copy)
    assert (report.anew, report.commits) == (False, 1)
    assert report.tree_bytes == (source.path / NAME).stat().st_size - size
    assert report.payload_files == 3  # a blob, and the two files of an array in zarr
    after = files_of(copy)
    untouched = {path for path in before if path.suffix == ".blob" or "seg-" in str(path)}
    assert {path: before[path] for path in untouched} == {path: after[path] for path in untouched}
    assert state_of(copy) == state(source)


def test_a_backup_of_nothing_new_writes_nothing(source, copy):
    source.backup(copy)
    before = files_of(copy)
    report = source.backup(copy)
    assert (report.commits, report.tree_bytes, report.payload_bytes, report.anew) == (0, 0, 0, False)
    assert files_of(copy) == before


def test_after_a_pack_the_records_are_copied_anew_and_the_payloads_are_kept(source, copy):
    source.backup(copy)
    with source.connection() as root:
        del root["group1"]
    source.pack()
    fill(source, [7])
    report = source.backup(copy)
    assert report.anew
    assert report.payload_files == 1
    assert state_of(copy) == state(source)
    fill(source, [8])
    assert not source.backup(copy).anew
    assert state_of(copy) == state(source)


@pytest.mark.slow
def test_packs_and_backups_in_any_order_leave_the_same_database(source, copy):
    rng = np.random.default_rng(5)
    for number in range(6, 30):
        what = rng.integers(8)
        if what < 4:
            fill(source, [number])
        elif what == 4:
            with source.connection() as root:
                for key in list(root)[:1]:
                    del root[key]
        elif what == 5:
            source.pack()
        elif what == 6:
            with LOTDB(copy) as db:
                db.pack()
        source.backup(copy)
        assert state_of(copy) == state(source), number


def test_a_reader_makes_a_backup_of_what_another_process_commits(source, copy):
    with LOTDB(source.path, read_only=True) as reader:
        fill(source, [6])
        reader.backup(copy)
        assert state_of(copy) == state(source)
        source.pack()
        fill(source, [9])
        reader.backup(copy)
        assert state_of(copy) == state(source)


def test_a_backup_beside_a_writer_is_one_moment(source, copy):
    done, begun, failures, numbers = threading.Event(), threading.Event(), [], [0]

    def write():
        try:
            while not done.is_set():
                numbers[0] += 1
                with source.connection() as root:
                    for key in ("one", "two"):
                        backend = "zarr" if numbers[0] % 4 == 0 else "blob"
                        root.get_data_node(key).write_data(np.full(20, numbers[0]), backend=backend)
                    root.attrs["number"] = numbers[0]
                begun.set()
                if numbers[0] % 20 == 0:
                    source.pack()
        except BaseException as error:
            failures.append(error)
            begun.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        seen = []
        assert begun.wait(60)
        for _ in range(12):
            source.backup(copy)
            with LOTDB(copy, read_only=True) as db, db.connection() as root:
                number = root.attrs["number"]
                for key in ("one", "two"):
                    assert (root[key].read_data() == number).all()
                seen.append(number)
                assert db.verify() == []
    finally:
        done.set()
        writer.join()
    assert not failures, failures
    assert seen == sorted(seen)


def test_what_a_pack_took_away_before_the_backup_knew_of_it_is_not_missed(source, copy, monkeypatch):
    monkeypatch.setattr(module._Hold, "oldest", b"\xff" * 8)  # one that holds nothing back
    done = []

    def pack(*_):
        if not done:
            done.append(True)
            with source.connection() as root:
                del root["group1"]
            source.pack()

    monkeypatch.setattr(module.Payloads, "copy", _after(pack, module.Payloads.copy))
    report = source.backup(copy)
    assert done
    assert report.missing == ()
    assert state_of(copy) == state(source)


def _after(first, then):
    def both(*arguments):
        first()
        return then(*arguments)

    return both


def test_a_pack_that_runs_meanwhile_frees_nothing_that_is_copied(source, copy):
    with source.connection() as root:
        del root["group1"]
    files = len(list(source.path.rglob("*.blob")))
    packed = []

    def progress(*_):
        if not packed:
            packed.append(source.pack())

    report = source.backup(copy, progress=progress)
    assert packed
    assert len(list(source.path.rglob("*.blob"))) == files
    assert report.missing == ()
    assert state_of(copy) == state(source)
    source.pack()
    assert len(list(source.path.rglob("*.blob"))) < files


def test_progress_counts_up_to_all_and_names_files_of_the_copy(source, copy):
    calls = []
    for numbers in (range(0), [6], [7]):
        fill(source, numbers)
        calls.clear()
        report = source.backup(copy, progress=lambda *call: calls.append(call))
        done = [done for done, _, _ in calls]
        assert done == sorted(done)
        assert calls[-1][0] == calls[-1][1] == report.tree_bytes + report.payload_bytes
        assert all(os.path.abspath(place).startswith(str(copy)) for *_, place in calls)


def test_a_progress_that_raises_ends_the_backup_and_the_next_one_goes_on(source, copy):
    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        source.backup(copy, progress=stop)
    with pytest.raises(DamagedError, match=r"first backup .* was not finished"):
        LOTDB(copy)
    source.backup(copy)
    before = state(source)
    fill(source, [6])
    with pytest.raises(KeyboardInterrupt):
        source.backup(copy, progress=stop)
    assert state_of(copy) == before
    source.backup(copy)
    assert state_of(copy) == state(source)
    assert not list((copy / f"{NAME}.blobs/tmp").iterdir())


def test_a_reader_of_the_copy_sees_the_next_backup(source, copy):
    source.backup(copy)
    with LOTDB(copy, read_only=True) as reader:
        fill(source, [6])
        source.backup(copy)
        assert state(reader) == state(source)
        source.pack()
        source.backup(copy)
        assert state(reader) == state(source)


def test_a_copy_of_the_folder_is_gone_on_with(source, copy):
    shutil.copytree(source.path, copy)
    fill(source, [6])
    report = source.backup(copy)
    assert (report.anew, report.commits) == (False, 1)
    assert state_of(copy) == state(source)


def test_a_database_with_another_name_has_a_backup_of_that_name(tmp_path, copy):
    with LOTDB(tmp_path / "one", "x.db") as db:
        fill(db, range(2))
        db.backup(copy)
        with LOTDB(copy, "x.db", read_only=True) as there:
            assert state(there) == state(db)


# -- what is refused --------------------------------------------------------------------------------


def refused(source, copy, error, match):
    before = files_of(copy)
    with pytest.raises(error, match=match) as caught:
        source.backup(copy)
    assert isinstance(caught.value, LotdbError)
    assert files_of(copy) == before


@pytest.mark.parametrize("place", ["", "inside", f"{NAME}.blobs"])
def test_the_databases_own_folder_is_no_place_for_its_backup(source, place):
    with pytest.raises(InvalidOptionError, match="own folder"):
        source.backup(source.path / place)


def test_another_database_is_left_alone(source, copy):
    with LOTDB(copy) as db:
        fill(db, range(2))
    refused(source, copy, DatabaseExistsError, "another database")


def test_a_backup_of_another_database_is_left_alone(source, copy, tmp_path):
    with LOTDB(tmp_path / "other") as db:
        db.backup(copy)
    refused(source, copy, DatabaseExistsError, "backup of another database")


def test_parts_of_a_database_are_left_alone(source, copy):
    copy.mkdir()
    (copy / f"{NAME}.blobs").mkdir()
    (copy / f"{NAME}.blobs" / "x").write_text("precious")
    refused(source, copy, DatabaseExistsError, "none of a backup")


def test_a_copy_that_was_changed_is_left_alone(source, copy):
    source.backup(copy)
    with LOTDB(copy) as db, db.connection() as root:
        root.attrs["mine"] = True
    fill(source, [6])
    refused(source, copy, DatabaseExistsError, "changed since")


def test_commits_that_the_database_has_lost_stay_in_the_backup(source, copy):
    fill(source, [6, 7])
    source.backup(copy)
    source.close()
    data_file = source.path / NAME
    with open(data_file, "rb") as file:
        ends = [each.end for each in DataFile(file.fileno(), data_file.stat().st_size).transactions()]
    os.truncate(data_file, ends[-2])
    os.remove(f"{data_file}.end")
    with LOTDB(source.path) as db:
        refused(db, copy, DatabaseExistsError, "restore the backup")
        fill(db, [8])
        refused(db, copy, DatabaseExistsError, "that the database lacks")


def test_a_folder_that_somebody_writes_to_is_busy(source, copy):
    source.backup(copy)
    fill(source, [6])
    with LOTDB(copy), pytest.raises(DatabaseBusyError):
        source.backup(copy)
    source.backup(copy)


@pytest.mark.sampled(4)
@pytest.mark.parametrize("part", ["", ".backup", ".copy", ".end", ".lock", ".blobs", ".zarr", ".lotdb"])
def test_a_link_in_the_copy_leads_nowhere(source, copy, tmp_path, part):
    source.backup(copy)
    outside = tmp_path / "outside"
    place = copy / f"{NAME}{part}"
    if place.is_dir():
        shutil.move(place, outside)
    else:
        outside.write_bytes(place.read_bytes() if place.exists() else b"precious")
        place.unlink(missing_ok=True)
    before = files_of(outside) if outside.is_dir() else outside.read_bytes()
    place.symlink_to(outside)
    fill(source, [6])
    with pytest.raises(DamagedError, match="is a link"):
        source.backup(copy)
    assert (files_of(outside) if outside.is_dir() else outside.read_bytes()) == before


def test_a_damaged_record_is_not_copied(source, copy):
    source.backup(copy)
    fill(source, [6])
    data_file = source.path / NAME
    content = bytearray(data_file.read_bytes())
    place = content.rindex(b"number")
    content[place] ^= 1
    with open(data_file, "r+b") as file:
        file.write(content)
    refused(source, copy, DamagedError, "not the ones that were stored")


def test_a_damaged_copy_is_left_alone(source, copy):
    source.backup(copy)
    os.truncate(copy / NAME, (copy / NAME).stat().st_size - 20)
    fill(source, [6])
    refused(source, copy, DamagedError, "move it away")


# -- payloads ---------------------------------------------------------------------------------------


def test_a_payload_that_is_gone_is_named_and_all_else_is_copied(source, copy):
    gone = sorted(source.path.rglob("*.blob"))[0]
    gone.unlink()
    with pytest.warns(RuntimeWarning, match=gone.name):
        report = source.backup(copy)
    assert report.missing == (str(gone),)
    with LOTDB(copy, read_only=True) as db:
        assert len(db.verify()) == 1


def test_verify_finds_what_is_damaged_in_the_copy(source, copy):
    blob = sorted(source.path.rglob("*.blob"))[0]
    content = bytearray(blob.read_bytes())
    content[-1] ^= 1
    blob.write_bytes(content)
    source.backup(copy)
    fill(source, [6])
    with pytest.raises(DamagedError, match="group0/node0"):
        source.backup(copy, verify=True)
    with LOTDB(copy, read_only=True) as db, db.connection() as root:
        assert root.attrs["last"] == 6


def test_a_store_outside_is_named_or_copied_to_the_one_that_the_copy_names(tmp_path, copy):
    stores = {"zarr": {"store": str(tmp_path / "store")}}, {"zarr": {"store": str(tmp_path / "store2")}}
    with LOTDB(tmp_path / "source", backends=stores[0] | FILES) as db:
        fill(db, range(4))
        with pytest.warns(RuntimeWarning, match="backend 'zarr' lie in a store outside"):
            assert db.backup(copy).left_out == ("zarr",)
        shutil.rmtree(copy)
        report = db.backup(copy, backends=stores[1], verify=True)
        assert (report.left_out, report.payload_files) == ((), 4 + 2)
        fill(db, [6])
        assert db.backup(copy, backends=stores[1]).payload_files == 2
        assert state_of(copy, backends=stores[1]) == state(db)


def test_arrays_go_to_a_store_of_the_copy_also_from_the_folder(source, copy, tmp_path):
    stores = {"zarr": {"store": str(tmp_path / "store")}}
    source.backup(copy, backends=stores)
    assert not (copy / f"{NAME}.zarr").exists()
    assert state_of(copy, backends=stores) == state(source)


def test_the_folder_of_a_backend_that_is_not_installed_is_copied_as_it_is(source, copy):
    folder = source.path / f"{NAME}.other"
    (folder / "deeper").mkdir(parents=True)
    (folder / "deeper" / "file").write_bytes(b"precious")
    source.backup(copy)
    assert (copy / f"{NAME}.other/deeper/file").read_bytes() == b"precious"


def test_what_begins_like_a_payload_is_none(tmp_path, copy):
    """A text or a key may be the same as the mark of payloads, and the first of as many parts."""
    arrays = {}
    with LOTDB(tmp_path / "db", durability="process", backends=FILES) as db:
        root = db.open_connection()
        root.get_data_node("column/0").attrs["take"] = "p"
        for number in range(130):
            root.get_node_path(f"bucket/a{number:03}")
        for path in [*(f"column/{number}" for number in range(1, 10)), *(f"bucket/{key}" for key in "pqrst")]:
            arrays[path] = np.arange(3000.0) + len(arrays)
            root.get_data_node(path).write_data(arrays[path], data_attribute="take", backend="zarr")
        db.commit()
        for number in range(60, 130):
            del root[f"bucket/a{number:03}"]
        db.commit()
        db.backup(copy, verify=True)
        assert db.verify(history=True) == []
    with LOTDB(copy, backends=FILES) as db, db.connection() as root:
        for path, array in arrays.items():
            np.testing.assert_array_equal(root[path].read_data(data_attribute="take"), array)
