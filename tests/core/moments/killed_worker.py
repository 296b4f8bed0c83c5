"""Commits, undoes, tags and packs, and dies in the middle; started by ``test_kills``.

For each number that it reads it forks: the child does the same each time, and is killed at its write or sync
of that number. It tells what was committed (``commit ID NUMBER``), what was packed (``pack ID``), and at its
end how many writes there were (``done COUNT``).
"""

import os
import sys

import numpy as np

from lotdb import LOTDB
from lotdb.testing.faults import Countdown
from lotdb_backend_blob.backend import BlobBackend


def write(root, number):
    root.get_node_path("a/b").attrs["number"] = number
    root.get_data_node("payload").write_data(np.full(number % 50 + 1, number))
    root.get_data_node("large").write_data(np.full(70_000, number))


def story(folder, tell):
    with LOTDB(folder, durability="process") as db:
        with db.connection() as root:
            number = root.attrs.get("next", 0)
        before = None
        for _ in range(2):
            number += 1
            with db.connection(note="write") as root:
                write(root, number)
                root.attrs["next"] = number
            commit = db.last_commit
            tell(f"commit {commit} {number}")
            with db.connection(note="more") as root:
                write(root, number + 1000)
            later = db.last_commit
            tell(f"commit {later} {number + 1000}")
            with db.connection(note="undo") as root:
                db.undo(later, root)
            tell(f"commit {db.last_commit} {number}")
            before = before or later
        db.tags["kept"] = before
        tell(f"commit {db.last_commit} {number}")
        db.pack(keep=commit)
        tell(f"pack {before}")


def main(folder):
    def tell(text):
        os.write(1, f"{text}\n".encode())

    for line in sys.stdin:
        child = os.fork()
        if not child:
            countdown = Countdown()
            countdown.watch(BlobBackend)
            tell_really = os.write.__wrapped__

            def told(text, tell_really=tell_really):
                tell_really(1, f"{text}\n".encode())

            countdown.start(int(line))
            try:
                story(folder, told)
            except BaseException as error:
                print(repr(error), file=sys.stderr, flush=True)
                os._exit(1)
            told(f"done {countdown.counted}")
            os._exit(0)
        _, status = os.waitpid(child, 0)
        tell(f"end {os.waitstatus_to_exitcode(status)}")


if __name__ == "__main__":
    main(sys.argv[1])
