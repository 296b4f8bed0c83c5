"""Payloads in an object store: what is asked for, what is remembered, and what failures look like."""

import gc
import pickle
import subprocess
import sys
import traceback

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.blob.cut import Proxy
from tests.services.s3 import SECRET

from lotdb import (
    LOTDB,
    DamagedError,
    InvalidOptionError,
    LotdbError,
    MissingPluginError,
    ObjectStore,
    UnavailableError,
)
from lotdb.interfaces import object_store
from lotdb_backend_blob.cache import Cache

RATE = 1000
ROWS = np.random.default_rng(0).standard_normal((400_000, 2))  # 6.4 MB


@pytest.fixture(params=["blob", "zarr"])
def backend(request):
    return request.param


@pytest.fixture
def proxy(s3, monkeypatch):
    proxy = Proxy(s3.port)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.port}")
    # Who waits for a server that is gone should not do so for long in a test.
    monkeypatch.setattr(object_store, "_RETRY", {**object_store._RETRY, "max_retries": 2})
    yield proxy
    proxy.cut()


@pytest.fixture
def opened(tmp_path, s3_bucket, backend):
    """Opens a database whose arrays of one backend are in the bucket."""
    made = []

    def open_it(folder="db", **settings):
        config = {"store": f"{s3_bucket}/arrays", **settings}
        made.append(LOTDB(tmp_path / folder, default_backend=backend, backends={backend: config}))
        return made[-1]

    yield open_it
    for each in made:
        each.close()


def write(db, path="a", rows=ROWS):
    with db.connection() as root:
        root.get_data_node(path, samplerate_hz=RATE).replace_data(rows)


def read(db, path="a", *window):
    with db.connection() as root:
        return root[path].read_data(*window)


def said(error):
    """All that is told of an error, by whoever shows it."""
    return "".join(traceback.format_exception(error)) + repr(error) + str(error)


def stored(db, backend):
    return {locator for locator, _ in db._backends(backend).locators()}


# -- what is asked for -----------------------------------------------------------------------------------


def test_a_window_is_one_request(proxy, opened, backend):
    with opened() as db:
        write(db)
    db = opened()
    with db.connection() as root:
        payload = root["a"].get_data()
        payload.read(0, 10)  # where the rows are
        before = proxy.requests
        for first in (100_000, 200_000, 300_000):
            assert np.array_equal(payload.read(first, first + 1000), ROWS[first : first + 1000])
        assert proxy.requests - before == 3


def test_what_was_read_is_remembered_up_to_a_limit(proxy, opened, backend):
    if backend == "zarr":
        pytest.skip("zarr keeps no rows")
    with opened() as db:
        write(db)
    db = opened(cache_bytes=4 << 20)
    with db.connection() as root:
        payload = root["a"].get_data()
        for first in range(0, 390_000, 10_000):
            payload.read(first, first + 10_000)
        cache = db._backends("blob")._objects._cache
        assert 3 << 20 < cache.size <= 4 << 20
        before = proxy.requests
        assert np.array_equal(payload.read(380_000, 390_000), ROWS[380_000:390_000])
        assert proxy.requests == before


@pytest.mark.parametrize("size", [-1, "64 MB", 1.5, True])
def test_the_size_of_the_cache_is_a_number_of_bytes(opened, size):
    with pytest.raises(InvalidOptionError, match="cache_bytes is"):
        write(opened(cache_bytes=size))


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 90), st.integers(1, 40), st.booleans())))
def test_a_cache_has_what_was_put_there(steps):
    content = {"a": bytes(range(130)), "b": bytes(range(130, 256)) + bytes(4)}
    cache = Cache(100)
    for key, start, size, is_put in steps:
        if is_put:
            cache.put(key, start, content[key][start : start + size])
        elif (found := cache.get(key, start, size)) is not None:
            assert bytes(found) == content[key][start : start + size]
        assert cache.size == sum(map(len, cache._pieces.values())) <= 100
    cache.forget("a")
    assert cache.get("a", 0, 1) is None
    cache.clear()
    assert cache.size == 0


def test_large_arrays_are_sent_in_parts(s3_bucket, opened, backend, monkeypatch):
    monkeypatch.setattr(object_store, "_WHOLE_BYTES", 1 << 20)
    monkeypatch.setattr(object_store, "_PART_BYTES", 5 << 20)
    with opened() as db:
        write(db)
    assert np.array_equal(read(opened()), ROWS)


# -- whose it is -----------------------------------------------------------------------------------------


def test_another_database_is_refused(opened, backend):
    write(opened())
    with pytest.raises(InvalidOptionError, match="belongs to another LOTDB database"):
        write(opened("other"))
    with pytest.raises(InvalidOptionError, match="belongs to another LOTDB database"):
        opened("third").pack(sweep_outside=True)


def test_a_place_outside_is_swept_on_request(opened, backend):
    db = opened()
    write(db)
    (first,) = stored(db, backend)
    write(db, rows=ROWS[::-1])
    db.pack()
    assert len(stored(db, backend)) == 2, "a copy of the folder may use the same place"
    db.pack(sweep_outside=True)
    assert len(stored(db, backend)) == 1
    assert first not in stored(db, backend)
    assert np.array_equal(read(db), ROWS[::-1])


@pytest.mark.parametrize("storage", ["file", "sqlite"])
def test_the_place_is_noted_in_the_database(tmp_path, s3_bucket, backend, storage):
    if storage == "sqlite":
        pytest.importorskip("relstorage")
    with LOTDB(tmp_path / "db", new=True, storage=storage, payloads=s3_bucket, default_backend=backend) as db:
        write(db)
    assert not (tmp_path / f"db/lotdb.fs.{backend}").exists()
    with LOTDB(tmp_path / "db", default_backend=backend) as db:
        assert np.array_equal(read(db), ROWS)
        assert db.verify() == []


@pytest.mark.sampled(1)
def test_the_place_of_a_database_on_a_server_is_swept(postgresql_url, s3_bucket, backend):
    pytest.importorskip("psycopg2")
    with LOTDB(postgresql_url, new=True, payloads=s3_bucket, default_backend=backend) as db:
        write(db)
        write(db, rows=ROWS[::-1])
    with LOTDB(postgresql_url, default_backend=backend) as db:  # which has not opened the backend
        db.pack()
        assert len(stored(db, backend)) == 2, "another process may be about to commit what is young"
    with LOTDB(postgresql_url, default_backend=backend) as db:
        db.pack(grace_s=0)
        assert len(stored(db, backend)) == 1
    with LOTDB(postgresql_url, default_backend=backend) as db:
        assert np.array_equal(read(db), ROWS[::-1])


# -- failures --------------------------------------------------------------------------------------------


def test_what_is_missing_is_named(s3, s3_bucket, opened, backend):
    db = opened()
    write(db)
    (locator,) = stored(db, backend)
    db._backends(backend).delete(locator)
    with pytest.raises(DamagedError, match=f"{s3_bucket}/arrays/{locator}") as caught:
        read(db)
    assert SECRET not in said(caught.value)


def test_a_bucket_that_is_not_there_is_no_damage(tmp_path, s3, backend):
    config = {backend: {"store": "s3://no-such-bucket/arrays"}}
    with (
        LOTDB(tmp_path / "db", default_backend=backend, backends=config) as db,
        pytest.raises(UnavailableError, match=r"there is no such bucket.*no-such-bucket"),
    ):
        write(db)


def test_a_server_that_is_gone_is_unavailable_and_comes_back(proxy, s3_bucket, opened, backend):
    db = opened()
    write(db)
    proxy.cut()
    with pytest.raises(UnavailableError, match=f"{s3_bucket}/arrays/") as caught:
        read(db)
    assert SECRET not in said(caught.value)
    with pytest.raises(UnavailableError, match=f"{s3_bucket}/arrays/") as caught:
        write(db, "b")
    assert SECRET not in said(caught.value)
    proxy.begin()
    assert np.array_equal(read(db), ROWS)
    write(db, "b", ROWS[::-1])
    assert np.array_equal(read(db, "b"), ROWS[::-1])
    assert db.verify() == []


@pytest.mark.parametrize(
    "size", [70_000, *(pytest.param(n, marks=pytest.mark.slow) for n in (0, 300, 3_000_000))]
)
def test_a_server_that_dies_within_a_write_leaves_nothing_torn(proxy, opened, backend, size):
    db = opened()
    write(db)
    root = db.open_connection()
    root.attrs["label"] = "of the commit that failed"
    proxy.cut_after(size)
    with pytest.raises(UnavailableError):
        root.get_data_node("b").write_data(ROWS[::-1])
        db.commit()
        pytest.fail("all of it has been written")
    db.abort()
    proxy.begin()
    assert "b" not in root
    assert "label" not in root.attrs
    assert np.array_equal(root["a"].read_data(), ROWS)
    root.get_data_node("b").write_data(ROWS[::-1])
    db.commit()
    assert db.verify() == []
    db.close_connection()
    db.pack(sweep_outside=True)
    assert len(stored(db, backend)) == 2
    assert np.array_equal(read(db, "b"), ROWS[::-1])


@pytest.mark.parametrize(
    "size", [70_000, *(pytest.param(n, marks=pytest.mark.slow) for n in (0, 300, 3_000_000))]
)
def test_a_server_that_dies_within_a_read_gives_no_wrong_rows(proxy, opened, backend, size):
    with opened() as db:
        write(db)
    db = opened()
    proxy.cut_after(size)
    try:
        rows = read(db)
    except UnavailableError:
        rows = None
        proxy.begin()
    assert rows is None or np.array_equal(rows, ROWS)
    assert np.array_equal(read(db), ROWS)


@pytest.mark.parametrize(
    "url", ["s3://key:secret@bucket/x", "s3://bucket/x?secret=secret", "ftps://bucket/x", "s3:///x"]
)
def test_a_url_that_is_no_store_is_refused_and_not_repeated(url):
    with pytest.raises(InvalidOptionError) as caught:
        ObjectStore(url, extra="lotdb-backend-blob[s3]")
    assert "secret" not in str(caught.value)


def test_without_obstore_the_pip_command_is_said(tmp_path, backend, monkeypatch):
    monkeypatch.setitem(sys.modules, "obstore", None)
    config = {backend: {"store": "s3://bucket/arrays"}}
    with (
        LOTDB(tmp_path / "db", default_backend=backend, backends=config) as db,
        pytest.raises(MissingPluginError, match=rf'pip install "lotdb-backend-{backend}\[s3\]"'),
    ):
        write(db)


def test_no_credentials_are_pickled(s3_bucket, opened, backend):
    db = opened()
    write(db)
    store = db._backends(backend)
    for each in (store, getattr(store, "_store", None)):
        try:
            assert SECRET.encode() not in pickle.dumps(each)
        except (TypeError, pickle.PicklingError):
            continue
    data = b"".join(path.read_bytes() for path in db.path.rglob("*") if path.is_file())
    assert SECRET.encode() not in data


FORKED = """
import os, sys, traceback
from lotdb import ObjectStore, WrongThreadError
store = ObjectStore(sys.argv[1], extra="x")
store.get("nothing")
child = os.fork()
if child == 0:
    answers = 0
    for make in (lambda: store, lambda: ObjectStore(sys.argv[1], extra="x")):
        try:
            make().get("nothing")
        except WrongThreadError:
            answers += 1
    os._exit(answers)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.slow
def test_a_forked_child_is_refused_and_does_not_hang(s3_bucket):
    command = [sys.executable, "-c", FORKED, f"{s3_bucket}/x"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.stdout.strip() == "2", result.stderr
    gc.collect()


def test_each_error_is_one_of_ours(proxy, s3_bucket):
    store = ObjectStore(f"{s3_bucket}/x", extra="lotdb-backend-blob[s3]")
    proxy.cut()
    asked = [
        lambda: store.put("a", [np.zeros(3, "u1")], 3),
        lambda: store.put_new("a", b"x"),
        lambda: store.get("a"),
        lambda: store.start_of("a", 3),
        lambda: store.end_of("a", 3),
        lambda: store.get_range("a", 0, 3),
        lambda: store.read_into("a", 0, np.zeros(3, "u1")),
        lambda: store.size("a"),
        lambda: list(store.list()),
        lambda: store.delete(["a"]),
        lambda: store.now(),
    ]
    for each in asked:
        with pytest.raises(UnavailableError) as caught:
            each()
        assert isinstance(caught.value, LotdbError)
        assert f"{s3_bucket}/x" in str(caught.value)
        assert SECRET not in said(caught.value)
