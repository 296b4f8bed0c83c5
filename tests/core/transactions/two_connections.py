"""Two connections whose transactions overlap, and what their commits leave."""

import contextlib

import numpy as np
import pytest

from lotdb import ConflictError

OLD, NEW = np.arange(6.0), np.arange(60.0) + 100
LARGE = np.arange(200_000.0)  # so large that it is written at once, not at the commit


def fill(db, *paths, value=0):
    """Make nodes before the test begins."""
    with db.connection() as root:
        for path in paths:
            root.get_node_path(path).set_attribute("value", value)


def begin(db):
    """Both connections begin a new transaction, on the same state."""
    db.abort("mine")
    db.abort("theirs")


def commit_both(db):
    """Theirs first, so that mine is the one that may be in conflict."""
    db.commit("theirs")
    db.commit("mine")


@contextlib.contextmanager
def conflict():
    with pytest.raises(ConflictError, match="another transaction changed the same part"):
        yield


def value(db, path):
    with db.connection() as root:
        return root[path].get_attribute("value")


def files(folder):
    """The files of committed payloads, and of those that another backend than blob has staged."""
    return sorted(path for path in folder.rglob("*") if path.suffix in (".npy", ".blob") and path.is_file())


def uncommitted_blobs(folder):
    return [path for path in (folder / "lotdb.fs.blobs" / "tmp").rglob("*") if path.is_file()]
