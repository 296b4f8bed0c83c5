"""What was not touched is found, nothing wrong is returned as right, and the damaged folder is left alone."""

import os
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ZODB.FileStorage.format import DATA_HDR_LEN

from lotdb import LOTDB, DatabaseExistsError, DatabaseNotFoundError, InvalidOptionError, salvage
from lotdb.records.children import parts
from lotdb.storage.transactions import DataFile

NAME = "lotdb.fs"


def rows(number, version):
    return np.arange(30.0) + 1000 * number + version


def put(root, number, version):
    """A node that says of itself what it must hold."""
    node = root.get_data_node(f"group{number % 4}/node{number}")
    node.attrs.update({"id": f"id-{number:04d}", "number": number, "version": version})
    node.write_data(rows(number, version), backend="zarr" if number % 5 == 0 else "blob")


def fill(folder, *, packed=False, nodes=40):
    # Small arrays in files, too: those in records go with the tree.
    with LOTDB(folder, durability="process", backends={"blob": {"record_bytes": 0}}) as db:
        for first in range(0, nodes, 8):
            with db.connection() as root:
                for number in range(first, first + 8):
                    put(root, number, 0)
        with db.connection() as root:
            for number in range(300):
                root.get_node("wide").get_node(f"leaf{number}").attrs["id"] = f"id-{1000 + number:04d}"
            root["group0"].branch("branch0")
        with db.connection() as root:
            for number in range(0, nodes, 7):
                put(root, number, 1)
        if packed:
            db.pack()
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return {packed: fill(tmp_path_factory.mktemp("whole") / "db", packed=packed) for packed in (False, True)}


@pytest.fixture
def folder(whole, tmp_path):
    return Path(shutil.copytree(whole[False], tmp_path / "damaged"))


def content(folder):
    """The nodes of a database, each with its attributes, and its payloads as arrays; all can be read."""
    with LOTDB(folder, read_only=True) as db:
        assert db.verify() == []
        with db.connection() as root:
            return {
                node.path: (
                    {name: node.attrs[name] for name in node.attrs if name not in node.payloads},
                    {name: node.payloads[name].read() for name in node.payloads},
                )
                for node in root.iterate_tree()
            }


def check_right(found):
    """No node holds what it never held at one time."""
    for path, (attrs, payloads) in found.items():
        if "number" in attrs:
            assert attrs["id"] == f"id-{attrs['number']:04d}", path
            for name, array in payloads.items():
                right = rows(attrs["number"], attrs["version"])
                if name != "data":
                    first, last = map(int, name.removeprefix("data_rows_").split("_"))
                    right = right[first:last]
                assert np.array_equal(array, right), (path, name)


def ids(found):
    return {attrs["id"] for attrs, _ in found.values() if "id" in attrs}


def files_of(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def salvaged(folder, tmp_path):
    before = files_of(folder)
    report = salvage(folder, tmp_path / "new")
    assert files_of(folder) == before
    found = content(tmp_path / "new")
    check_right(found)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({folder.name, "new"})
    return report, found


def same(one, other):
    return one.keys() == other.keys() and all(
        one[path][0] == other[path][0]
        and one[path][1].keys() == other[path][1].keys()
        and all(np.array_equal(array, other[path][1][name]) for name, array in one[path][1].items())
        for path in one
    )


def test_of_a_whole_database_all_is_found(whole, folder, tmp_path):
    report, found = salvaged(folder, tmp_path)
    assert report.is_whole
    assert same(found, content(whole[False]))
    assert report.nodes == len(found) - 1


def test_branches_share_as_much_as_before(tmp_path):
    with LOTDB(tmp_path / "damaged") as db:
        with db.connection() as root:
            for number in range(200):
                root.get_node("a").get_data_node(f"n{number}").write_data(rows(number, 0))
            for key in "bc":
                root["a"].branch(key)
        with db.connection() as root:
            root["c"]["n1"].attrs["own"] = 1
            before = [root[key].usage() for key in "abc"]
    assert salvage(tmp_path / "damaged", tmp_path / "new").is_whole
    with LOTDB(tmp_path / "new") as db, db.connection() as root:
        after = [root[key].usage() for key in "abc"]
        assert [each.payload_bytes for each in after] == [each.payload_bytes for each in before]
        assert after[1].alone_bytes < 1000
        assert {node.path for node in root["c"].iterate_tree()} >= {"c/n1", "c/n199"}


DAMAGES: dict[str, Callable[[Path], object]] = {
    "no index": lambda folder: os.remove(folder / f"{NAME}.index"),
    "no marker": lambda folder: os.remove(folder / f"{NAME}.lotdb"),
    "no watermark": lambda folder: os.remove(folder / f"{NAME}.end"),
    "a foreign marker": lambda folder: (folder / f"{NAME}.lotdb").write_bytes(b"{}"),
    "no readers": lambda folder: os.remove(folder / f"{NAME}.readers"),
    "no beginning": lambda folder: overwrite(folder / NAME, 0, b"XXXX"),
    "a group of zarr that cannot be read": lambda folder: (folder / f"{NAME}.zarr/zarr.json").write_text("{"),
    "a layout that is none": lambda folder: (folder / f"{NAME}.blobs/.layout").write_text("lawn"),
}


def overwrite(path, at, content):
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(content)


@pytest.mark.sampled(4)
@pytest.mark.parametrize("what", DAMAGES)
def test_all_is_found_without_what_only_leads_to_it(whole, folder, tmp_path, what):
    DAMAGES[what](folder)
    _, found = salvaged(folder, tmp_path)
    assert same(found, content(whole[False]))


def test_a_data_file_that_was_lost_in_a_pack_is_found_under_its_old_name(whole, folder, tmp_path):
    os.rename(folder / NAME, folder / f"{NAME}.old")
    _, found = salvaged(folder, tmp_path)
    assert same(found, content(whole[False]))


def test_a_cut_tail_is_told_and_all_before_is_found(folder, tmp_path):
    size = (folder / NAME).stat().st_size
    os.truncate(folder / NAME, size // 2)
    report, found = salvaged(folder, tmp_path)
    assert any("is missing" in note.reason for note in report.lost)
    assert {"id-0000", "id-0001"} <= ids(found)


def test_a_missing_blob_and_a_damaged_chunk_are_told_by_node_and_name(whole, folder, tmp_path):
    blob = sorted(folder.rglob("*.blob"))[0]
    blob.unlink()
    chunk = sorted(path for path in folder.rglob("c.0*") if path.is_file())[0]
    overwrite(chunk, 3, b"\xff\xff")
    report, found = salvaged(folder, tmp_path)
    lost = {(note.path, note.name) for note in report.lost}
    good = content(whole[False])
    gone = {path for path in good if "data" in good[path][1] and "data" not in found[path][1]}
    assert gone
    assert gone == {path for path, name in lost if name == "data"}
    assert found.keys() == good.keys()
    assert all(found[path][0] == good[path][0] for path in good)


def test_no_blob_folder_loses_its_payloads_alone(whole, folder, tmp_path):
    shutil.rmtree(folder / f"{NAME}.blobs")
    report, found = salvaged(folder, tmp_path)
    good = content(whole[False])
    assert found.keys() == good.keys()
    assert all(found[path][0] == good[path][0] for path in good)
    assert any(payloads for _, payloads in found.values())
    assert not report.is_whole


def test_of_a_payload_that_lost_rows_the_others_are_kept_under_another_name(tmp_path):
    with LOTDB(tmp_path / "damaged") as db, db.connection() as root:
        for backend in ("blob", "zarr"):
            root.get_data_node(backend).write_data(np.arange(400_000.0), backend=backend)
    blob = next((tmp_path / "damaged").rglob("*.blob"))
    overwrite(blob, 1_000_000, b"\0\1\2\3")
    chunk = max((tmp_path / "damaged").rglob("c.0"), key=lambda path: path.stat().st_size)
    overwrite(chunk, chunk.stat().st_size // 2, b"\0\1\2\3")
    report = salvage(tmp_path / "damaged", tmp_path / "new")
    with LOTDB(tmp_path / "new") as db, db.connection() as root:
        for backend in ("blob", "zarr"):
            kept = root[backend].payloads
            assert "data" not in kept
            count = 0
            for name in kept:
                first, last = map(int, name.removeprefix("data_rows_").split("_"))
                assert np.array_equal(kept[name].read(), np.arange(400_000.0)[first:last])
                count += last - first
            assert 300_000 < count < 400_000
    assert [(note.path, note.name) for note in report.lost] == [("blob", "data"), ("zarr", "data")]


def test_an_attribute_that_cannot_be_decoded_is_kept_and_told(tmp_path):
    with LOTDB(tmp_path / "damaged") as db:
        with db.connection() as root:
            root.get_node("a").attrs.update({"good": 1, "bad": 2})
        connection = db._zodb.open()
        children = connection.root()["tree"]["root"][1]
        children["a"] = ("", ("good", "bad"), 1, ("no such tag", 3))
        connection.transaction_manager.commit()
        connection.close()
    report = salvage(tmp_path / "damaged", tmp_path / "new")
    assert [(note.path, note.name) for note in report.lost] == [("a", "bad")]
    with LOTDB(tmp_path / "new") as db, db.connection() as root:
        assert root["a"].attrs["good"] == 1


def test_a_data_file_within_an_attribute_is_no_part_of_the_database(tmp_path):
    with LOTDB(tmp_path / "other") as db, db.connection() as root:
        root.attrs["id"] = "of another database"
        root.get_node("stranger")
    other = (tmp_path / "other" / NAME).read_bytes()
    with LOTDB(tmp_path / "damaged") as db:
        for number in range(3):
            with db.connection() as root:
                root.get_node(f"n{number}").attrs["file"] = other
    data_file = tmp_path / "damaged" / NAME
    at = data_file.read_bytes().rindex(other)
    for place in (at - 30, at + len(other) + 5):
        shutil.rmtree(tmp_path / "new", ignore_errors=True)
        copy = Path(shutil.copytree(tmp_path / "damaged", tmp_path / "copy", dirs_exist_ok=True))
        overwrite(copy / NAME, place, b"\xff")
        salvage(copy, tmp_path / "new")
        with LOTDB(tmp_path / "new") as db, db.connection() as root:
            paths = {node.path for node in root.iterate_tree()}
            assert not any("stranger" in path for path in paths)
            assert "id" not in root.attrs


def test_what_is_older_than_it_was_is_told(tmp_path):
    with LOTDB(tmp_path / "damaged") as db:
        for number in range(3):
            with db.connection() as root:
                root.get_node("a").get_node("b").attrs["text"] = f"text {number}"
    data_file = tmp_path / "damaged" / NAME
    overwrite(data_file, data_file.read_bytes().rindex(b"text 2"), b"T")
    report = salvage(tmp_path / "damaged", tmp_path / "new")
    with LOTDB(tmp_path / "new") as db, db.connection() as root:
        assert root["a/b"].attrs["text"] == "text 1"
    assert [note.path for note in report.lost] == ["a"]
    assert "may be older" in report.lost[0].reason
    assert len(report.unreadable) == 1
    assert report.unplaced == []


# -- damage at random places ------------------------------------------------------------------------


def spoil(path, rng):
    """Flip, overwrite, or cut; the bytes that were touched, as a range."""
    size = path.stat().st_size
    how = rng.choice(["flip", "flip", "zeros", "noise", "cut"])
    at = rng.randrange(size)
    if how == "cut":
        os.truncate(path, at)
        return at, size
    length = 1 if how == "flip" else min(rng.choice([1, 16, 512, 4096]), size - at)
    before = path.read_bytes()[at : at + length]
    after = (
        bytes([before[0] ^ 1 << rng.randrange(8)])
        if how == "flip"
        else (bytes(length) if how == "zeros" else rng.randbytes(length))
    )
    overwrite(path, at, after)
    return at, at + length


def untouched_ids(data_file, touched):
    """The ids in the newest revisions of all records, but for those that were touched."""
    with open(data_file, "rb") as opened:
        file = DataFile(opened.fileno(), data_file.stat().st_size)
        newest = {
            oid: (at, at + DATA_HDR_LEN + length, file.data(at))
            for transaction in file.transactions()
            for oid, at, length in transaction.records
        }
    known = set()
    for start, end, data in newest.values():
        if all(stop <= start or first >= end for first, stop in touched):
            known |= {found.decode() for found in re.findall(rb"id-\d{4}", data)}
    return known


@pytest.mark.sampled(4)
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    "seed", [*range(4), *(pytest.param(n, marks=pytest.mark.slow) for n in range(4, 40))]
)
def test_what_was_not_touched_is_found_and_nothing_wrong_is_returned(whole, tmp_path, packed, seed):
    rng = random.Random(seed)
    folder = Path(shutil.copytree(whole[packed], tmp_path / "damaged"))
    touched = [
        spoil(folder / NAME, rng) for _ in range(rng.choice([1, 1, 2, 4])) if (folder / NAME).stat().st_size
    ]
    expected = untouched_ids(whole[packed] / NAME, touched)
    if not expected:
        return
    report, found = salvaged(folder, tmp_path)
    assert expected <= ids(found), (touched, report)
    good = content(whole[packed])
    if not same(found, good):
        assert not report.is_whole


# -- what is refused --------------------------------------------------------------------------------


def test_children_that_no_look_up_finds_are_put_right(tmp_path):
    with LOTDB(tmp_path / "db") as db:
        with db.connection() as root:
            for number in range(300):
                root.get_node("wide").get_node(f"{number:03d}").attrs["place"] = number
        with db.connection() as root:
            lower, _, upper = list(parts(root["wide"]._children()))[:3]
            only, twice = f"{upper.keys()[0]}x", upper.keys()[1]
            lower[only], lower[twice] = lower["001"], lower["002"]
            upper["003"] = upper[twice]
        assert {each.path for each in db.verify()} == {f"wide/{key}" for key in (only, twice, "003")}
    report, found = salvaged(tmp_path / "db", tmp_path)
    places = {path: attrs["place"] for path, (attrs, _) in found.items() if "place" in attrs}
    others = {f"wide/{only}": 1, f"wide/{twice}_2": 2, "wide/003_2": int(twice)}
    assert places == {f"wide/{number:03d}": number for number in range(300)} | others
    assert {each.path for each in report.lost} == {f"wide/{twice}_2", "wide/003_2"}


def test_a_target_that_exists_or_lies_in_the_folder_is_refused(folder, tmp_path):
    (tmp_path / "new").mkdir()
    with pytest.raises(DatabaseExistsError):
        salvage(folder, tmp_path / "new")
    with pytest.raises(InvalidOptionError, match="lies in the folder"):
        salvage(folder, folder / "new")


def test_nothing_to_be_read_is_not_found(tmp_path):
    (tmp_path / "damaged").mkdir()
    with pytest.raises(DatabaseNotFoundError):
        salvage(tmp_path / "damaged", tmp_path / "new")
    (tmp_path / "damaged" / NAME).write_bytes(b"FS30" + bytes(5000))
    with pytest.raises(DatabaseNotFoundError):
        salvage(tmp_path / "damaged", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_progress_counts_the_nodes_and_an_interrupt_leaves_nothing(folder, tmp_path):
    calls = []
    report = salvage(folder, tmp_path / "new", progress=lambda *call: calls.append(call))
    assert [count for count, _ in calls] == list(range(1, report.nodes + 1))

    def stop(count, path):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        salvage(folder, tmp_path / "again", progress=stop)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["damaged", "new"]
