"""Uses a database while calls of the system fail: python faults_worker.py FOLDER STEP USE...

The nth call that a use makes in the folder fails; n goes on in steps until a use makes no nth call. What is
written through a file object of Python is not seen here: see the tests with a disk that is full.
"""

import errno
import itertools
import os
import shutil
import sys
import warnings

import numpy as np

from lotdb import LOTDB, DamagedError, LotdbError

CODES = (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EMFILE)
EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.listdir", "os.scandir", "os.truncate"}
FOLDER = sys.argv[1]
PATH = os.path.join(FOLDER, "db")


class Fault:
    """Fails the call that comes when *left* others have come."""

    left = code = 0
    hit = None

    def __call__(self, call, path, named=True):
        # ZODB asks os.path for what a savepoint has written, which says that it is not there.
        if not self.left or not path.startswith(PATH) or (call.endswith("stat") and "/savepoints" in path):
            return
        self.left -= 1
        if not self.left:
            self.hit = f"{call} of {path}: {errno.errorcode[self.code]}"
            raise OSError(self.code, os.strerror(self.code), *([path] if named else []))


fault = Fault()


def audit(event, args):
    if fault.left and event in EVENTS and isinstance(args[0], str | bytes | os.PathLike):
        fault(event, os.fsdecode(args[0]))


def by_path(name, real):
    def call(path, *args, **kwargs):
        if fault.left and not isinstance(path, int):
            fault(name, os.fsdecode(path))
        return real(path, *args, **kwargs)

    return call


def by_descriptor(name, real):
    def call(descriptor, *args, **kwargs):
        if fault.left and isinstance(descriptor, int):
            fault(name, os.readlink(f"/proc/self/fd/{descriptor}"), named=False)
        return real(descriptor, *args, **kwargs)

    return call


def fill(root, value):
    for backend in ("blob", "zarr"):
        root.get_data_node(f"small {backend}").write_data(np.full(50, value), backend=backend)
        root.get_data_node(f"large {backend}").write_data(np.full(150_000, value), backend=backend)
    root.attrs["value"] = value


def content(root):
    for key in ("small", "large"):
        for backend in ("blob", "zarr"):
            assert (root[f"{key} {backend}"].read_data() == root.attrs["value"]).all()
    return root.attrs["value"]


def write(db):
    with db.connection() as root:
        fill(root, 2)


def append(db):
    with db.connection() as root:
        for backend in ("blob", "zarr"):
            root[f"large {backend}"].append_data(np.full(150_000, 1))


def savepoint(db):
    root = db.open_connection()
    fill(root, 3)
    point = db.savepoint()
    fill(root, 4)
    point.rollback()
    fill(root, 2)
    db.savepoint()
    db.commit()


def abort(db):
    fill(db.open_connection(), 2)
    db.savepoint()
    db.abort()


def read(db):
    with db.connection() as root:
        content(root)


def verify(db):
    assert db.verify() == []


def nothing(db):
    pass


USES = {
    "open": nothing,
    "create": nothing,
    "write": write,
    "append": append,
    "savepoint": savepoint,
    "abort": abort,
    "read": read,
    "verify": verify,
    "pack": LOTDB.pack,
    "refresh": LOTDB.refresh,
}


def attempt(name, nth, code):
    """Use the database with one fault; whether there was one."""
    shutil.rmtree(PATH, ignore_errors=True)
    if name != "create":
        shutil.copytree(os.path.join(FOLDER, "first"), PATH)
    db = kept = None
    fault.hit, fault.code = None, code
    try:
        if name in ("open", "create"):
            fault.left = nth
        db = LOTDB(PATH, read_only=name in ("refresh", "read"))
        fault.left = nth
        USES[name](db)
        db.close()
    except LotdbError as error:
        kept = error  # with all that it leads to: no lock may depend on that
    if kept is not None:
        said = fault.hit, kept
        assert not isinstance(kept, DamagedError), said
        assert isinstance(kept, OSError), said
        assert kept.errno == code, said
        assert kept.filename, said
    fault.left = 0
    if db is not None:
        db.close()
    with LOTDB(PATH) as db:
        if name == "create":
            write(db)
        assert db.verify() == [], (fault.hit, db.verify())
        with db.connection() as root:
            assert content(root) == 2 or (content(root) == 1 and (kept or name != "write")), fault.hit
            root.attrs["next"] = 1
    return fault.hit


def main(step, names):
    warnings.simplefilter("ignore")
    with LOTDB(os.path.join(FOLDER, "first")) as db:
        for value in (0, 1):
            with db.connection() as root:
                fill(root, value)
    sys.addaudithook(audit)
    for call in ("stat", "lstat"):
        setattr(os, call, by_path(call, getattr(os, call)))
    for call in ("fsync", "write", "pwrite", "pread", "preadv", "fstat", "read"):
        setattr(os, call, by_descriptor(call, getattr(os, call)))
    for name in names:
        codes = itertools.cycle(CODES)
        tried = 0
        for nth in itertools.count(1, step):
            if not attempt(name, nth, next(codes)):
                break
            tried += 1
        assert tried, name
        print(name, tried)


if __name__ == "__main__":
    main(int(sys.argv[2]), sys.argv[3:])
