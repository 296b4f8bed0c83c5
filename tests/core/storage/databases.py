"""Databases without a tree: what is put in, read and damaged, in this process and another."""

import contextlib
import errno
import subprocess
from pathlib import Path

import zodbpickle.pickle
from tests.services import forked

from lotdb.storage import open_database, open_storage

NAME = "lotdb.fs"
WORKER = Path(__file__).with_name("storage_worker.py")


@contextlib.contextmanager
def database(path, **options):
    db = open_database(open_storage(path, **options))
    try:
        yield db
    finally:
        db.close()


def put(db, **values):
    with db.transaction() as connection:
        connection.root().update(values)


def get(db, key, inner=None):
    with db.transaction() as connection:
        value = connection.root().get(key)
        return value if inner is None else value[inner]


def blob_bytes(db, key):
    with db.transaction() as connection, connection.root()[key].open() as file:
        return file.read()


def blob_files(path):
    return sorted((path / f"{NAME}.blobs").rglob("*.blob"))


@contextlib.contextmanager
def worker(*arguments):
    process = forked.Popen(
        [WORKER, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.stdin.close()
        process.wait(60)
        process.stdout.close()


def record(kind, state):
    return zodbpickle.pickle.dumps(kind, 3) + zodbpickle.pickle.dumps(state, 3)


def fail_once(monkeypatch, module, name, number=0):
    """Make the call of this number raise EIO."""
    function, calls = getattr(module, name), iter(range(number + 1))

    def call(*args):
        if next(calls, None) == number:
            raise OSError(errno.EIO, "Input/output error")
        return function(*args)

    monkeypatch.setattr(module, name, call)


def pack_database(db, *, oldest_tid=None):
    """Drop what is not current, or what nobody sees who sees the transaction *oldest_tid* or a later one."""
    db.storage.pack_before(oldest_tid, db.references)


def raw_records(storage):
    """Object id, transaction id and bytes of every record of every revision, each checked."""
    return storage.checked_records()
