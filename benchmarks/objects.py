"""A recording in an object store on the same machine: the whole of it, and windows of a second.

The server is SeaweedFS, which the tests bring; without it there is nothing to measure.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import statistics
import sysconfig
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.cases import Against, Case, Figures, Side, at_most
from benchmarks.clock import Timer, check, seconds_each
from benchmarks.data import AUDIO_HZ, audio, windows
from benchmarks.sizes import Sizes

if TYPE_CHECKING:
    from lotdb import LOTDB

BUCKET = "s3://recordings"
PLAIN = "plain"
READS = 5
START_S = 60.0


def server_program() -> str | None:
    """The S3 server, if it is installed."""
    installed = os.path.join(sysconfig.get_path("scripts"), "weed")
    return installed if os.path.exists(installed) else shutil.which("weed")


@contextlib.contextmanager
def serving(folder: str, program: str) -> Iterator[None]:
    """While a server has the objects in *folder*."""
    from tests.services.s3 import LastingS3

    with contextlib.closing(LastingS3(program, Path(folder) / "objects")) as server:
        os.environ.update(server.environment())
        yield


def wait_for_objects() -> None:
    """Return when the server reads its objects: it answers some time before it has found them again."""
    import obstore
    from obstore.exceptions import BaseError

    end = time.monotonic() + START_S
    while True:
        try:
            obstore.get_range(plain_store(), PLAIN, start=0, end=1)
            return
        except BaseError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def plain_store() -> Any:
    """obstore's own, for the bucket."""
    from obstore.store import from_url

    return from_url(BUCKET, client_options={"allow_http": True})


def write(folder: str, seconds: int, program: str) -> Figures:
    """The recording as one plain object, and as a payload of both backends."""
    import obstore

    from lotdb import LOTDB

    rows = audio(seconds * AUDIO_HZ)
    with serving(folder, program):
        obstore.put(plain_store(), PLAIN, rows.tobytes())
        with LOTDB(f"{folder}/results", new=True, payloads=f"{BUCKET}/arrays") as db, db.connection() as root:
            for backend in ("blob", "zarr"):
                root.get_data_node(backend).write_data(rows, backend=backend)
    return {}


def read(folder: str, how: str, seconds: int, window: int, count: int, program: str) -> Figures:
    """The seconds of a whole read, the least of several; and of a window, the median."""
    total = seconds * AUDIO_HZ
    with serving(folder, program), contextlib.ExitStack() as stack:
        wait_for_objects()
        all_of_it, part = _plain() if how == "obstore" else _ours(stack, folder, how)
        whole = []
        for _ in range(READS):
            with Timer() as timer:
                rows = all_of_it()
            whole.append(timer.seconds)
        signal = audio(total)
        check(np.array_equal(_as_rows(rows), signal), "all rows")
        places = windows(count, window, total)
        for start, stop in places[:3]:
            check(np.array_equal(_as_rows(part(start, stop)), signal[start:stop]), "the rows of the window")
        each = seconds_each(part, places)
    return {"whole": min(whole), "window": statistics.median(each[count // 10 :])}


def _plain() -> tuple[Callable[[], Any], Callable[[int, int], Any]]:
    import obstore

    store, row = plain_store(), 8
    return (
        lambda: obstore.get(store, PLAIN).bytes(),
        lambda start, stop: obstore.get_range(store, PLAIN, start=start * row, end=stop * row),
    )


def _ours(
    stack: contextlib.ExitStack, folder: str, backend: str
) -> tuple[Callable[[], Any], Callable[[int, int], Any]]:
    from lotdb import LOTDB

    db: LOTDB = stack.enter_context(LOTDB(f"{folder}/results", read_only=True))
    node = db.open_connection()[backend]
    return node.read_data, node.read_data


def _as_rows(data: Any) -> np.ndarray[Any, Any]:
    return data if isinstance(data, np.ndarray) else np.frombuffer(data, "f4").reshape(-1, 2)


def cases(sizes: Sizes) -> list[Case]:
    program = server_program()
    if program is None:
        return []
    made = Side("", write, {"seconds": sizes.seconds, "program": program})
    size = {"seconds": sizes.seconds, "window": AUDIO_HZ, "count": sizes.windows, "program": program}

    def side(how: str, figure: str, label: str) -> Side:
        return Side(label, read, {"how": how, **size}, data=made, figure=figure)

    found = []
    for figure, what, target in (
        ("whole", f"all of {sizes.seconds} s of stereo audio from S3", at_most(1.25)),
        ("window", "a window of 1 s of it", at_most(1.3)),
    ):
        plain = Against(side("obstore", figure, "obstore, the same bytes"), target)
        for backend in ("blob", "zarr"):
            found.append(Case(f"{what}, {backend}", side(backend, figure, f"LOTDB, {backend}"), (plain,)))
    return found
