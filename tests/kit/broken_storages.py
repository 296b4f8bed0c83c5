"""Ways to open a database that break one promise each, and the good one that they are made from.

``test_broken_storages.py`` tells which tests of the kit notice.
"""

import contextlib

from lotdb import LOTDB, ConflictError
from lotdb.storage import restricted


def good(folder, **how):
    return LOTDB(folder / "database", **how)


def forgets_what_it_had(folder, **how):
    """A new database each time."""
    folder = folder / str(len(list(folder.iterdir())))
    LOTDB(folder, new=True).close()
    return LOTDB(folder, **how)


def takes_reading_only_for_writing(folder, read_only=False, **how):
    return LOTDB(folder / "database", **how)


class SwallowsConflicts(LOTDB):
    """Who loses is told that all is well."""

    def commit(self, *args, **kwargs):
        with contextlib.suppress(ConflictError):
            super().commit(*args, **kwargs)


def swallows_conflicts(folder, **how):
    return SwallowsConflicts(folder / "database", **how)


class PacksTooMuch(LOTDB):
    """A pack takes branches away, which share what others have."""

    def pack(self, *args, **kwargs):
        with self.connection() as root:
            for key in [key for key in root if key.startswith("branch")]:
                root[key].delete_tree()
        return super().pack(*args, **kwargs)


def packs_too_much(folder, **how):
    return PacksTooMuch(folder / "database", **how)


class MergesWhatItMustNot(LOTDB):
    """The storage resolves conflicts without asking whether it may."""

    def commit(self, *args, **kwargs):
        asked = restricted.refuse_unmerged
        restricted.refuse_unmerged = lambda oid, serials=None: None
        try:
            super().commit(*args, **kwargs)
        finally:
            restricted.refuse_unmerged = asked


def merges_what_it_must_not(folder, **how):
    return MergesWhatItMustNot(folder / "database", **how)
