"""The other process for a library: it commits until it is killed, and looks at what is left."""

from __future__ import annotations

import logging
import os
import signal
import warnings

from torture.libraries import LIBRARIES, check, rows
from torture.processes import say, say_json, serve

logging.disable(logging.CRITICAL)
warnings.simplefilter("ignore")


def work(name, folder, first, count=100_000):
    """Commit from number *first* on, and say ``acknowledged NUMBER``."""
    library = LIBRARIES[name]()
    library.open(folder)
    say("open")
    for number in range(first, first + count):
        library.commit(number)
        say("acknowledged", number)


def work_traced(name, folder, count):
    """Stop; go on when the process is traced, and commit so many times from the beginning."""
    say("ready")
    os.kill(os.getpid(), signal.SIGSTOP)
    work(name, folder, 1, count)


def work_full(name, folder, first, count):
    """Commit on a disk that is nearly full; say how many commits were done, and the error."""
    done, error = 0, None
    try:
        library = LIBRARIES[name]()
        library.open(folder)
        for number in range(first, first + count):
            library.commit(number)
            done += 1
    except BaseException as failure:
        error = f"{type(failure).__name__}: {failure}"[:200]
    say_json("answer", {"done": done, "error": error})


def look(name, folder):
    """Say what is there."""
    say_json("answer", check(name, folder))


if __name__ == "__main__":
    for module in ("lotdb", "lotdb.public", "h5py", "zarr", "ZODB", "lotdb_backend_blob.backend"):
        try:
            __import__(module)
        except ImportError:
            continue
    assert len(rows(1))
    serve(globals())
