"""The other process in the tests of the storage: python storage_worker.py COMMAND FOLDER [NUMBER]."""

import os
import signal
import sys

import transaction
from ZODB.blob import Blob

from lotdb.storage import open_database, open_storage


def hold(folder):
    with_database(folder, wait)


def read(folder):
    with_database(folder, wait, read_only=True)


def with_database(folder, work, **options):
    db = open_database(open_storage(folder, **options))
    work()
    db.close()


def wait():
    print("ready", flush=True)
    sys.stdin.read()


def leave_a_child(folder):
    """Die and leave a forked child behind that lives as long as its standard input."""
    open_database(open_storage(folder))
    if os.fork() == 0:
        wait()
    os._exit(0)


def commit_until_killed(folder):
    """Acknowledge each commit of a value and a blob that must go together."""
    connection = open_database(open_storage(folder)).open()
    root = connection.root()
    number = root.get("number", 0)
    while True:
        number += 1
        root["number"] = number
        root["blob"] = Blob(b"%d" % number * 1000)
        transaction.commit()
        print(number, flush=True)


def die_in_pack(folder, at):
    """Pack, and be killed just before the call of that number that changes or syncs a file."""
    storage = open_storage(folder)
    db = open_database(storage)
    calls = iter(range(int(at)))

    def deadly(function):
        def call(*args, **kwargs):
            if next(calls, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)

        return call

    for name in ("rename", "replace", "remove", "rmdir", "unlink", "pwrite", "fsync"):
        setattr(os, name, deadly(getattr(os, name)))
    db.storage.pack_before(None, db.references)


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
