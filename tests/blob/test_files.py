"""Arrays in files of their own, in a folder that several processes write."""

import errno
import json
import os
import threading

import numpy as np
import pytest

from lotdb import LOTDB, BackendContext, DamagedError, FileSystemError, InvalidOptionError
from lotdb_backend_blob.backend import BlobBackend
from lotdb_backend_zarr.backend import ZarrBackend

BACKENDS = {"blob": BlobBackend, "zarr": ZarrBackend}
LARGE = np.arange(200_000, dtype="f8")


@pytest.fixture(params=["blob", "zarr"])
def name(request):
    return request.param


@pytest.fixture
def shared(tmp_path, name):
    """Opens the backend once more, as another process would."""
    made = []

    def open_it(**about):
        about = {"database_id": "1" * 32, "has_blobs": False, "many_writers": True, **about}
        made.append(BACKENDS[name](BackendContext(folder=tmp_path / f"lotdb.fs.{name}", **about)))
        return made[-1]

    yield open_it
    for each in made:
        each.close()


def write(backend, array=LARGE):
    locator = backend.new_locator()
    backend.write(locator, array, {})
    return locator


def read(backend, locator, like=LARGE):
    out = np.empty_like(like)
    backend.read_into(locator, 0, out)
    return out


def test_the_place_is_made_by_several_at_once(shared, name, monkeypatch):
    backends = [shared() for _ in range(4)]
    barrier, found, failed = threading.Barrier(len(backends)), {}, []
    make = "_make_group" if name == "zarr" else "write"
    real = getattr(type(backends[0]), make)

    def at_once(self, *about):
        barrier.wait(30)  # each has seen that nothing is there
        return real(self, *about)

    monkeypatch.setattr(type(backends[0]), make, at_once)

    def work(number):
        try:
            found[number] = write(backends[number], LARGE + number)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=[number], daemon=True) for number in range(len(backends))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    last = shared()
    for number, locator in found.items():
        assert np.array_equal(read(last, locator), LARGE + number)
    assert {locator for locator, _ in last.locators()} == set(found.values())
    if name == "zarr":
        group = json.loads((last.context.folder / "zarr.json").read_bytes())
        assert group["attributes"] == {"lotdb_database": "1" * 32}
        assert not list(last.context.folder.glob("*.new"))


def test_what_another_process_takes_away_is_made_anew(shared):
    one, other = shared(), shared()
    locator = write(one)
    for each in list(other.locators()):
        other.delete(each[0])
    with pytest.raises(DamagedError):
        read(shared(), locator)
    assert np.array_equal(read(other, write(one)), LARGE)


def test_a_full_disk_leaves_nothing_and_says_so(tmp_path, name, monkeypatch):
    pytest.importorskip("relstorage")
    with LOTDB(tmp_path / "db", new=True, storage="sqlite", default_backend=name) as db:
        with db.connection() as root:
            root.get_data_node("kept").write_data(LARGE)
        before = dict(db._backends(name).locators())
        real, left = os.write, [300_000]

        def write_some(descriptor, data):
            path = os.readlink(f"/proc/self/fd/{descriptor}")
            if f"lotdb.fs.{name}/seg-" not in path:
                return real(descriptor, data)
            if not left[0]:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            written = real(descriptor, memoryview(data).cast("B")[: left[0]])  # short, and without a word
            left[0] -= written
            return written

        def write_some_of(descriptor, several):
            return write_some(descriptor, b"".join(several))

        with monkeypatch.context() as patched:
            patched.setattr(os, "write", write_some)
            patched.setattr(os, "writev", write_some_of)
            root = db.open_connection()
            root.attrs["label"] = "x"
            with pytest.raises(FileSystemError) as caught:
                root.get_data_node("new").write_data(np.random.default_rng(0).standard_normal(200_000))
                db.commit()
            assert caught.value.errno == errno.ENOSPC
            db.abort()
        assert dict(db._backends(name).locators()) == before
        assert "new" not in root
        root.get_data_node("new").write_data(LARGE[::-1])
        db.commit()
        assert np.array_equal(root["new"].read_data(), LARGE[::-1])
        assert db.verify() == []


def test_a_folder_elsewhere_belongs_to_one_database(tmp_path, name):
    config = {name: {"store": tmp_path / "elsewhere"}}

    def opened(folder):
        return LOTDB(tmp_path / folder, default_backend=name, backends=config)

    with opened("one") as db:
        for rows in (LARGE, LARGE + 1):
            with db.connection() as root:
                root.get_data_node("a").replace_data(rows)
        stored = db._backends(name).locators
        db.pack()
        assert len(list(stored())) == 2
        db.pack(sweep_outside=True)
        assert len(list(stored())) == 1
    with opened("other") as db:
        with (
            pytest.raises(InvalidOptionError, match="belongs to another LOTDB database"),
            db.connection() as root,
        ):
            root.get_data_node("a").write_data(LARGE)
        with pytest.raises(InvalidOptionError, match="belongs to another LOTDB database"):
            db.pack(sweep_outside=True)
    with opened("one") as db, db.connection() as root:
        assert np.array_equal(root["a"].read_data(), LARGE + 1)


@pytest.mark.parametrize("store", [5, ["s3://bucket"], "nothing://bucket"])
def test_what_is_no_place_is_refused(tmp_path, name, store):
    if (name, store) == ("zarr", "nothing://bucket"):
        pytest.skip("fsspec says so, in its own words")
    settings = {name: {"store": store}}
    with (
        LOTDB(tmp_path / "db", default_backend=name, backends=settings) as db,
        pytest.raises(InvalidOptionError, match="store is"),
    ):
        db.run(lambda root: root.get_data_node("a").write_data(LARGE))


def test_a_link_in_place_of_a_file_is_not_followed(tmp_path, shared, name):
    backend = shared()
    locator = write(backend)
    place = backend.context.folder / (f"{locator}.npy" if name == "blob" else locator)
    place.rename(tmp_path / "elsewhere")
    place.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DamagedError):
        read(shared(), locator)
    assert list(shared().locators()) == []


def test_both_kinds_of_locators_are_read(tmp_path):
    with LOTDB(tmp_path / "db") as db, db.connection() as root:
        root.get_data_node("a").write_data(LARGE)
        db.commit(root)
        blob = root["a"].get_data()._record.segments[0].locator
        backend = db._backends("blob")
        text = "seg-" + "0" * 32
        backend.write(text, LARGE + 1, {})
        assert np.array_equal(read(backend, blob), LARGE)
        assert np.array_equal(read(backend, text), LARGE + 1)
        assert [each for each, _ in backend.locators()] == [text]
        db.pack()
        assert list(backend.locators()) == []
        assert np.array_equal(read(backend, blob), LARGE)
