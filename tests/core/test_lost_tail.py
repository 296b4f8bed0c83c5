"""A data file that was cut at a transaction's end is noticed, also when what watches over it is damaged."""

import os
import shutil

import numpy as np
import pytest

from lotdb import LOTDB, DamagedError
from lotdb.storage.transactions import DataFile
from lotdb.storage.watermark import Watermark

NAME = "lotdb.fs"


@pytest.fixture
def folder(tmp_path):
    with LOTDB(tmp_path / "db") as db:
        for number in range(5):
            with db.connection() as root:
                root.get_data_node(f"n{number}").write_data(np.arange(50.0))
    return tmp_path / "db"


def ends_of(folder):
    descriptor = os.open(folder / NAME, os.O_RDONLY)
    try:
        file = DataFile(descriptor, os.fstat(descriptor).st_size)
        return [each.end for each in file.transactions()]
    finally:
        os.close(descriptor)


def marks_of(folder):
    mark = Watermark(str(folder / f"{NAME}.end"), read_only=True)
    mark.close()
    return mark.ends


@pytest.mark.crossed
@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("end", ["kept", "emptied", "altered"])
def test_a_cut_at_each_transactions_end_is_damage_as_long_as_anything_knows_of_the_rest(
    folder, tmp_path, read_only, end
):
    for size in ends_of(folder)[:-1]:
        copy = shutil.copytree(folder, tmp_path / f"copy {size}")
        os.truncate(copy / NAME, size)
        if end == "emptied":
            os.truncate(copy / f"{NAME}.end", 0)
        elif end == "altered":
            mark = bytearray((copy / f"{NAME}.end").read_bytes())
            mark[20] ^= 1
            mark[532] ^= 1
            (copy / f"{NAME}.end").write_bytes(mark)
        with pytest.raises(DamagedError, match="Missing are"):
            LOTDB(copy, read_only=read_only)
        assert (copy / NAME).stat().st_size == size


def test_no_empty_database_takes_the_place_of_one_that_was_cut_after_its_first_transaction(folder):
    with LOTDB(folder) as db, db.connection() as root:
        root.get_data_node("large").write_data(np.arange(50_000.0))  # of which the file stays
    os.truncate(folder / NAME, ends_of(folder)[0])
    (folder / f"{NAME}.end").unlink()
    for read_only in (True, False):
        with pytest.raises(DamagedError, match="holds no commit"):
            LOTDB(folder, read_only=read_only)
    assert (folder / NAME).stat().st_size == ends_of(folder)[0]


def test_a_creation_that_was_killed_after_the_first_transaction_is_gone_on_with(tmp_path):
    LOTDB(tmp_path / "db").close()
    os.truncate(tmp_path / "db" / NAME, ends_of(tmp_path / "db")[0])
    for part in ("end", "index"):
        (tmp_path / "db" / f"{NAME}.{part}").unlink()
    with LOTDB(tmp_path / "db") as db, db.connection() as root:
        root.attrs["there"] = True
    with LOTDB(tmp_path / "db", read_only=True) as db, db.connection() as root:
        assert root.attrs["there"]


def test_an_opening_writes_down_the_end_that_a_power_cut_took_from_the_watermark(folder, tmp_path):
    before = (folder / f"{NAME}.end").read_bytes()
    with LOTDB(folder) as db, db.connection() as root:
        root.attrs["late"] = True
    (folder / f"{NAME}.end").write_bytes(before)
    LOTDB(folder).close()
    assert [mark.size for mark in marks_of(folder)] == [(folder / NAME).stat().st_size]
    os.truncate(folder / NAME, ends_of(folder)[-2])
    with pytest.raises(DamagedError, match="Missing are 1 of"):
        LOTDB(folder)


def test_an_opening_for_reading_leaves_the_watermark_alone(folder):
    before = (folder / f"{NAME}.end").read_bytes()
    with LOTDB(folder) as db, db.connection() as root:
        root.attrs["late"] = True
    (folder / f"{NAME}.end").write_bytes(before)
    with LOTDB(folder, read_only=True) as db, db.connection() as root:
        assert root.attrs["late"]
    assert (folder / f"{NAME}.end").read_bytes() == before


def test_what_a_process_left_that_was_killed_before_the_first_commit_after_a_pack_is_no_damage(tmp_path):
    with LOTDB(tmp_path) as db:
        db.pack()  # all that a new database has is in one transaction by now
        root = db.open_connection()
        root.get_data_node("a").write_data(np.zeros(400_000), backend="zarr")
        assert list((tmp_path / "lotdb.fs.zarr").glob("seg-*"))
        shutil.copytree(tmp_path, tmp_path / "killed", ignore=shutil.ignore_patterns("killed"))
    assert list((tmp_path / "killed" / "lotdb.fs.zarr").glob("seg-*"))
    for read_only in (True, False):
        with LOTDB(tmp_path / "killed", read_only=read_only) as db, db.connection() as root:
            assert list(root) == []
    with LOTDB(tmp_path / "killed") as db:
        db.pack()
        assert not list((tmp_path / "killed" / "lotdb.fs.zarr").glob("seg-*"))
