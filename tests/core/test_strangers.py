"""A database that comes from a stranger: parts that lead elsewhere, records that lead back, lying sizes."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ZODB.Connection import TransactionMetaData
from ZODB.serialize import ObjectWriter

from lotdb import LOTDB, DamagedError, LotdbError, open_part
from lotdb.records import Bucket, Children, Guard
from lotdb.records.own import with_values
from lotdb.segments.layout import Layout
from lotdb.segments.payload_record import PayloadRecord

NAME = "lotdb.fs"
FILES = (
    "",
    ".index",
    ".index.index_tmp",
    ".lock",
    ".lotdb",
    ".lotdb.new",
    ".old",
    ".pack",
    ".readers",
    ".tmp",
    ".blobs/.layout",
    ".blobs/.layout.new",
    ".blobs/.removed",
)
FOLDERS = (".blobs", ".blobs/tmp")


@pytest.fixture
def folder(tmp_path):
    """A database with a payload in each backend, beside a folder that is nobody's business."""
    backends = {"blob": {"record_bytes": 0}}
    with LOTDB(tmp_path / "db", backends=backends) as db, db.connection() as root:
        root.get_data_node("a").write_data(np.arange(5.0))
        root.get_data_node("b").write_data(np.arange(5.0), backend="zarr")
    victim = tmp_path / "victim"
    for name in ("tmp", "seg-" + 32 * "0"):
        (victim / name).mkdir(parents=True)
        (victim / name / "precious").write_bytes(b"precious")
    (victim / "file").write_bytes(b"precious")
    return tmp_path / "db"


def victims(folder):
    return {path: path.read_bytes() for path in (folder.parent / "victim").rglob("*") if path.is_file()}


def take_away(path):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()


def use_all(folder, read_only):
    """Everything that one does with a database; the first error ends it."""
    with LOTDB(folder, read_only=read_only) as db:
        root = db.open_connection()
        for key in "ab":
            np.testing.assert_array_equal(root[key].read_data(), np.arange(5.0))
        assert [damage.reason for damage in db.verify()] == []
        if not read_only:
            for backend in ("blob", "zarr"):
                root.get_data_node(f"new/{backend}").write_data(np.arange(3.0), backend=backend)
            db.commit()
            root["a"].delete_tree()
            db.commit()
            db.pack()


@pytest.mark.sampled(6)
@pytest.mark.crossed
@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize("how", ["link", "dangling", "fifo"])
@pytest.mark.parametrize("part", [*FILES, *FOLDERS])
def test_no_part_leads_elsewhere_or_hangs(folder, part, how, read_only):
    path = Path(f"{folder / NAME}{part}")
    take_away(path)
    if how == "fifo":
        os.mkfifo(path)
    else:
        is_folder = part in FOLDERS
        target = "gone" if how == "dangling" else "." if is_folder else "file"
        path.symlink_to(folder.parent / "victim" / target)
    before = victims(folder)
    with pytest.raises(LotdbError, match=path.name.replace(".", r"\.")) as caught:
        use_all(folder, read_only)
    # What is no FileStorage is said to be none, as ever.
    assert isinstance(caught.value, DamagedError) or (part, how) == ("", "fifo")
    assert victims(folder) == before
    assert os.path.lexists(path), "it was left alone"


@pytest.mark.parametrize("part", [".lock", ".tmp", ".readers", ".index", ".lotdb", ".pack"])
def test_a_folder_in_the_place_of_a_file_is_named(folder, part):
    path = folder / f"{NAME}{part}"
    take_away(path)
    path.mkdir()
    with pytest.raises(DamagedError, match=path.name.replace(".", r"\.")):
        use_all(folder, False)


def inner_parts(folder):
    """What lies in the folders of the two backends."""
    blobs = [path for path in (folder / f"{NAME}.blobs").rglob("*") if path.name not in (".layout", "tmp")]
    return [*blobs, *(folder / f"{NAME}.zarr").rglob("*"), folder / f"{NAME}.zarr"]


@pytest.mark.sampled(1)
@pytest.mark.parametrize("how", ["link", "moved", "fifo"])
def test_nothing_in_the_folders_of_backends_is_a_link(folder, tmp_path, how):
    for number, path in enumerate(sorted(inner_parts(folder), reverse=True)):
        copy = tmp_path / f"copy{number}"
        shutil.copytree(folder, copy)
        path = copy / path.relative_to(folder)
        real = tmp_path / f"real{number}"
        path.rename(real)
        if how == "fifo":
            os.mkfifo(path)
        else:  # to what is not theirs, or to the very thing, elsewhere
            victim = folder.parent / "victim"
            path.symlink_to(real if how == "moved" else victim if real.is_dir() else victim / "file")
        before = victims(folder)
        kept = sorted(real.rglob("*"))
        with pytest.raises((LotdbError, AssertionError)) as caught:
            use_all(copy, False)
        assert path.name in str(caught.value), f"{path} is not named: {caught.value}"
        assert victims(folder) == before
        assert sorted(real.rglob("*")) == kept
        shutil.rmtree(copy)


def test_the_sweep_removes_what_has_the_form_of_a_locator_and_is_no_link(folder):
    zarr = folder / f"{NAME}.zarr"
    (zarr / ("seg-" + 32 * "1")).mkdir()
    (zarr / "seg-mine").mkdir()
    (zarr / ("seg-" + 32 * "0")).symlink_to(folder.parent / "victim" / ("seg-" + 32 * "0"))
    before = victims(folder)
    with LOTDB(folder) as db:
        db.pack()
    assert victims(folder) == before
    assert not (zarr / ("seg-" + 32 * "1")).exists()
    assert (zarr / "seg-mine").exists()


def test_packing_removes_no_blob_behind_a_link(folder):
    blobs = folder / f"{NAME}.blobs"
    (top,) = (path for path in blobs.iterdir() if path.name.startswith("0x"))
    real = folder.parent / "victim" / "blobs"
    top.rename(real)
    with LOTDB(folder) as db:
        with db.connection() as root:
            root["a"].delete_tree()
        top.symlink_to(real)
        before = victims(folder)
        with pytest.raises(DamagedError, match="0x00 is a link"):
            db.pack()
        with pytest.raises(DamagedError, match="0x00 is a link"), db.connection() as root:
            root.get_data_node("new").write_data(np.arange(9000.0))
    assert victims(folder) == before


def test_the_folder_itself_may_be_reached_by_links(folder):
    link = folder.with_name("link")
    link.symlink_to(folder)
    use_all(link, False)


def test_open_part_opens_files_and_nothing_else(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "fifo")
    with open(tmp_path / "file", "rb", opener=open_part) as file:
        assert file.read() == b"content"
    for name in ("link", "fifo", "."):
        with pytest.raises(DamagedError, match="must be a file"):
            open_part(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        open_part(tmp_path / "gone")


# -- records that lead back -----------------------------------------------------------------------


def children_of(node):
    return node._entry()[1]


def ring(folder, length):
    """A node a below which it stands itself, *length* levels deeper."""
    db = LOTDB(folder, durability="process")
    with db.connection() as root:
        path = ["a", *["n"] * (length - 1)]
        root.get_node_path([*path, "leaf"]).set_attribute("label", "leaf")
        root.get_node_path([*path, "z"])
        children_of(root.get_node_path(path))["again"] = ("", children_of(root["a"]), False, Guard())
        root.get_node("other").set_attribute("label", "other")
    return db


@pytest.mark.parametrize("length", [1, 2, 40])
def test_a_node_below_itself_ends_whatever_is_done(tmp_path, length):
    with ring(tmp_path, length) as db:
        again = "/".join(["a", *["n"] * (length - 1), "again"])

        def refused(function):
            with pytest.raises(DamagedError, match="below itself"), db.connection() as root:
                function(root)

        refused(lambda root: list(root.iterate_tree()))
        refused(lambda root: list(root.iterate_tree_leaves()))
        refused(lambda root: list(root.iterate_tree_level("deepest")))
        refused(lambda root: root.compact_tree())
        refused(lambda root: root["a"].copy_tree())
        with LOTDB(tmp_path / "second") as second, second.connection() as other:
            refused(lambda root: other.add_tree(root["a"], copy=True))
            refused(lambda root: other.merge_tree(root))
            assert list(other) == []
        if length < 16:
            refused(lambda root: root[again].attrs["label"])
            refused(lambda root: root[again].set_attribute("label", 1))
            refused(lambda root: root.get_node_path(again + "/new"))
            refused(lambda root: root[again].delete_tree())
        with pytest.raises(DamagedError, match=f"'{again}' is below itself"):
            db.pack()
        (damage,) = db.verify()
        assert "below itself" in damage.reason
        with db.connection() as root:
            assert root["other"].get_attribute("label") == "other"
            del root["a"]
        assert db.verify() == []
        db.pack()


def test_branches_of_branches_are_read_lazily_and_looked_after_once(tmp_path):
    with LOTDB(tmp_path, durability="process") as db:
        with db.connection() as root:
            root.get_data_node("n/leaf").write_data(np.arange(4.0))
            for _ in range(60):  # 2 ** 60 nodes, one above another
                root.get_node("above")
                root.get_node("n").move(root["above"], "left")
                root["above"].add_tree(root["above/left"], key="right", copy=True)
                root["above"].rename("n")
        assert (tmp_path / NAME).stat().st_size < 100_000
        with db.connection() as root:
            down = root["n/" + "/".join(["left", "right"] * 30) + "/leaf"]
            np.testing.assert_array_equal(down.read_data(), np.arange(4.0))
            assert sum(1 for _ in zip(root.iterate_tree(), range(5000), strict=False)) == 5000
        assert db.verify() == []
        db.pack()
        assert db.verify() == []


def wide(folder, count):
    db = LOTDB(folder, durability="process")
    with db.connection() as root:
        for number in range(count):
            root.get_node("wide").get_node(f"{number:06}")
    return db


def chain(root):
    bucket = children_of(root["wide"])._firstbucket
    found = []
    while bucket is not None:
        found.append(bucket)
        bucket = bucket._next
    return found


def lead(bucket, to):
    state = bucket.__getstate__()
    bucket.__setstate__((state[0], to) if to is not None else (state[0],))
    bucket._p_changed = True


@pytest.mark.parametrize("where", ["back", "to itself", "nowhere"])
def test_buckets_in_a_ring_or_cut_off_are_told(tmp_path, where):
    with wide(tmp_path, 1000) as db:
        with db.connection() as root:
            found = chain(root)
            assert len(found) > 6
            if where == "to itself":
                with pytest.raises(DamagedError):
                    lead(found[4], found[4])
                return
            lead(found[4], found[1] if where == "back" else None)

        def refused(function):
            with pytest.raises(DamagedError, match="tree"), db.connection() as root:
                function(root)

        refused(lambda root: list(root["wide"]))
        refused(lambda root: list(root.iterate_tree()))
        refused(lambda root: len(root["wide"]))
        refused(lambda root: root["wide"].copy_tree())
        refused(lambda root: root["wide"].delete_tree(only_node=True))
        refused(
            lambda root: (
                root["wide"].branch("copy"),
                root.set_attribute("x", 1),
                root["copy"].get_node("new"),
            )
        )
        with pytest.raises(DamagedError):
            db.pack()
        assert [damage.path for damage in db.verify()] == ["wide"]


@pytest.mark.slow
def test_containers_in_a_ring_are_told(tmp_path):
    with wide(tmp_path, 40_000) as db:
        with db.connection() as root:
            top = children_of(root["wide"])
            parts, _ = top.__getstate__()
            assert type(parts[0]) is Children
            with pytest.raises(DamagedError, match="tree"):
                Children().__setstate__(((*parts[:-1], top), Bucket()))
        # As it would lie in a stranger's file: one refers to the other, and that back.
        with db.connection() as root:
            one, other, bucket = Children(), Children(), Bucket({"k": ("", ())})
            for record in (one, other, bucket):
                root._tree._session.connection.add(record)
            root.get_node("x")
            children_of(root)["ring"] = ("", one, False, Guard())
        with db.connection() as root:
            connection = root._tree._session.connection
            ids = [record._p_oid for record in (one, other, bucket)]
            one, other, bucket = map(connection.get, ids)
            store_states(db, {one: ((other,), bucket), other: ((one,), bucket)})
        with db.connection() as root:
            root._tree._session.connection.cacheMinimize()
            for use in (list, len, lambda node: node.get_node("x"), lambda node: "x" in node):
                with pytest.raises(DamagedError):
                    use(root["ring"])
            with pytest.raises(DamagedError):
                root["ring"].set_attribute("label", 1)
        assert [damage.path for damage in db.verify()] == ["ring"]
        with pytest.raises(DamagedError):
            db.pack()
        with db.connection() as root:
            assert len(root["wide"]) == 40_000


def store_states(db, states):
    """Commit states that the objects do not have."""
    storage, about = db._zodb.storage, TransactionMetaData()
    storage.tpc_begin(about)
    for record, state in states.items():
        data = ObjectWriter(record)._dump(Children, state)
        storage.store(record._p_oid, record._p_serial, data, "", about)
    storage.tpc_vote(about)
    storage.tpc_finish(about)


# -- payloads that lie ----------------------------------------------------------------------------


def lie(db, key, change):
    with db.connection() as root:
        own = root[key]._entry()[1:]
        (at,) = (at for at, value in enumerate(own) if at and type(value) is tuple and value[0] == "p")
        record = change(PayloadRecord.decode(own[at]))
        stored = record if type(record) is tuple else record.encode()
        root[key]._put_own(with_values(own, {own[0][at - 1]: stored}))


def with_rows(rows):
    return lambda record: replace(
        record,
        shape=(rows, *record.shape[1:]),
        segments=(record.segments[0]._replace(rows=rows),),
    )


def with_row_shape(*row_shape):
    return lambda record: replace(
        record,
        shape=(record.shape[0], *row_shape),
        layout=Layout(record.layout.backend, record.layout.dtype, row_shape),
    )


@pytest.mark.parametrize("backend", ["blob", "zarr"])
@pytest.mark.parametrize(
    "change",
    [
        with_rows(6),
        with_rows(10**7),
        with_rows(10**12),
        with_rows(2**62),
        with_row_shape(10**7),
        with_row_shape(10**14),
    ],
    ids=["6", "1e7", "1e12", "2**62", "row of 1e7", "row of 1e14"],
)
def test_a_payload_that_claims_more_than_its_file_has_is_damaged(tmp_path, backend, change):
    with LOTDB(tmp_path, durability="process") as db:
        with db.connection() as root:
            root.get_data_node("a").write_data(np.arange(5.0), backend=backend)
        lie(db, "a", change)
        with db.connection() as root:
            payload = root["a"].get_data()
            for read in (
                payload.read,
                lambda: payload[3:],
                lambda: list(payload.iter_blocks(10**9)),
                lambda: root["a"].compact_data(),
                lambda: root["a"].copy_tree().compact_tree(),
            ):
                with pytest.raises(DamagedError, match=r"payload 'data' of node 'a'|seg-|of its rows"):
                    read()
        (damage,) = db.verify()
        assert (damage.path, damage.name) == ("a", "data")
        db.pack()


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("place", "value"),
    [
        (1, "secret"),
        (2, 3),
        (3, "O"),
        (3, "nonsense"),
        (3, "V0"),
        (4, (-1,)),
        (4, (True,)),
        (4, [5]),
        (4, "5"),
        (5, -1.0),
        (5, "fast"),
        (8, {}),
        (9, ((None, 0, 5, 0),)),
        (9, (("../../victim", 0, 5, 0),)),
        (9, (("seg-" + 32 * "G", 0, 5, 0),)),
        (9, (("seg-" + 32 * "0" + "/..", 0, 5, 0),)),
        (9, (("seg-" + 32 * "0", -3, 5, 0),)),
        (9, (("seg-" + 32 * "0", 0, 5),)),
        (9, 7),
    ],
)
def test_a_record_of_a_payload_that_makes_no_sense_is_damaged(tmp_path, place, value):
    with LOTDB(tmp_path, durability="process") as db:
        with db.connection() as root:
            root.get_data_node("a").write_data(np.arange(5.0))
        lie(db, "a", lambda record: (*record.encode()[:place], value, *record.encode()[place + 1 :]))
        with db.connection() as root:
            for use in (
                lambda: root["a"].get_data(),
                lambda: root["a"].attrs["data"],
                lambda: root["a"].append_data([1.0]),
            ):
                with pytest.raises(
                    DamagedError, match="payload 'data' of node 'a': its record makes no sense"
                ):
                    use()
        assert [(damage.path, damage.name) for damage in db.verify()] == [("a", "data")]
        with db.connection() as root:
            del root["a"]
        db.pack()
        assert db.verify() == []
