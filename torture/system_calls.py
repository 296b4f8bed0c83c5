"""Each system call of an operation fails, or is the last one: all or nothing is left, and the error says so.

strace counts the calls that an operation makes in the database's folder; then the operation is done once for
each of them, and once more for each way in which it may end.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from torture.calls import calls_in, has_strace, traced, wait_until_stopped
from torture.processes import Hung, OtherProcess, say, say_json, serve
from torture.tally import Settings, Tally, tell

# A call that changes nothing needs no space, and a kill at it leaves what the one at the next change leaves.
CHANGING = {
    "write", "pwrite64", "writev", "pwritev", "pwritev2", "fsync", "fdatasync", "syncfs", "truncate",
    "ftruncate", "fallocate", "rename", "renameat", "renameat2", "link", "linkat", "symlink", "unlink",
    "unlinkat", "mkdir", "mkdirat", "rmdir", "copy_file_range", "sendfile", "chmod", "fchmod", "flock",
}  # fmt: skip
LARGE = 70_000  # rows that are written at once, and not at the commit

# -- in the other process -------------------------------------------------------------------------


def fill(root: Any, value: int) -> None:
    """Write payloads of both backends, and an attribute, all of them *value*."""
    for backend in ("blob", "zarr"):
        root.get_data_node(f"small {backend}").write_data(np.full(50, value), backend=backend)
        root.get_data_node(f"large {backend}").write_data(np.full(LARGE, value), backend=backend)
    root.attrs["value"] = value


def content(root: Any) -> list[Any]:
    """What :func:`fill` has written, and how many rows there are."""
    if "value" not in root.attrs:
        assert list(root) == [], "an attribute is missing"
        return [None, 0]
    value, rows = root.attrs["value"], 0
    for key in ("small", "large"):
        for backend in ("blob", "zarr"):
            data = root[f"{key} {backend}"].read_data()
            assert (data == value).all(), f"{key} {backend} is torn"
            rows += len(data)
    return [value, rows]


def commit(db: Any, place: Path) -> None:
    with db.connection() as root:
        fill(root, 2)


def abort(db: Any, place: Path) -> None:
    fill(db.open_connection(), 2)
    db.savepoint()
    db.abort()


def append(db: Any, place: Path) -> None:
    with db.connection() as root:
        for backend in ("blob", "zarr"):
            root[f"large {backend}"].append_data(np.full(1000, 1))


def pack(db: Any, place: Path) -> None:
    db.pack()


def backup(db: Any, place: Path) -> None:
    db.backup(place / "copy")


def create(db: Any, place: Path) -> None:
    raise AssertionError("it has no database yet")


OPERATIONS = {
    "create": create, "commit": commit, "abort": abort, "append": append, "pack": pack, "backup": backup,
}  # fmt: skip


def prepare(place: str) -> None:
    """Make the database that each operation begins with, and a backup that is behind."""
    from lotdb import LOTDB

    with LOTDB(Path(place) / "db") as db:
        with db.connection() as root:
            fill(root, 0)
        db.backup(Path(place) / "copy")
        with db.connection() as root:
            fill(root, 1)
    say_json("answer", True)


def operate(place: str, name: str) -> None:
    """Stop; go on when the process is traced; do the operation; say how it ended."""
    from lotdb import LOTDB

    warnings.simplefilter("ignore")
    folder = Path(place)
    db = None if name == "create" else LOTDB(folder / "db")
    if db is not None:
        # As at any moment but the very first: an index, and what is loaded when it is needed, is there.
        with db.connection() as root:
            content(root)
        db.open_connection()
    say("ready")
    os.kill(os.getpid(), signal.SIGSTOP)
    found: dict[str, Any] = {"error": None}
    try:
        if db is None:
            db = LOTDB(folder / "db")
        else:
            OPERATIONS[name](db, folder)
    except Exception as error:
        found |= _told(error)
    if db is not None:
        try:
            db.close()
        except Exception as error:
            found["closing"] = _told(error)
    say_json("answer", found)


def _told(error: Exception) -> dict[str, Any]:
    from lotdb import LotdbError

    return {
        "error": type(error).__name__,
        "typed": isinstance(error, LotdbError),
        "errno": getattr(error, "errno", None),
        "file": getattr(error, "filename", None),
        "damage": type(error).__name__ == "DamagedError",
        "text": str(error)[:300],
    }


def look(place: str, name: str) -> None:
    """Say what is in the database now, and in its backup."""
    from lotdb import LOTDB

    found: dict[str, Any] = {}
    for folder in ("db", "copy"):
        if folder == "copy" and name != "backup":
            continue
        try:
            with LOTDB(Path(place) / folder, read_only=folder == "copy") as db:
                with db.connection() as root:
                    found[folder] = content(root)
                found["damage"] = [str(each) for each in db.verify()]
                if folder == "db":
                    with db.connection() as root:
                        root.attrs["next"] = 1
        except Exception as error:
            found["error"] = f"{folder}: {type(error).__name__}: {error}"[:500]
    say_json("answer", found)


# -- in the parent --------------------------------------------------------------------------------

_ROWS = 2 * (50 + LARGE)
_BEFORE = {"create": [None, 0]}
_AFTER = {"commit": [2, _ROWS], "append": [1, _ROWS + 2000]}


def run(settings: Settings) -> list[Tally]:
    if not has_strace():
        return [Tally("system calls", settings.seed, note="not run: strace is not installed")]
    tallies = []
    with ExitStack() as stack:
        workers = []
        for number in range(settings.jobs):
            place = settings.folder / f"calls{number}"
            place.mkdir()
            workers.append((stack.enter_context(OtherProcess("torture.system_calls")), place))
            _ask(workers[-1][0], "prepare", place / "first")
        pool = stack.enter_context(ThreadPoolExecutor(settings.jobs))
        for name in OPERATIONS:
            tally = Tally(f"system calls of {name}", settings.seed)
            start = time.monotonic()
            points = [(call, end) for call in _calls(*workers[0], name) for end in _ends_of(call)]
            chosen = settings.random(name).sample(
                points, max(round(len(points) * min(settings.effort, 1)), 1)
            )
            done = [
                pool.submit(_try_all, tally, *worker, name, chosen[number :: settings.jobs])
                for number, worker in enumerate(workers)
            ]
            for each in done:
                each.result()
            tally.note_counts(f"{len({call for call, _ in chosen})} calls; ")
            tally.seconds = time.monotonic() - start
            tallies.append(tally)
    return tallies


def _try_all(tally: Tally, other: OtherProcess, place: Path, name: str, points: list[Any]) -> None:
    for call, end in points:
        tell(f"{tally.test} {tally.runs + 1}")
        _try(tally, other, place, name, call, end)


def _ends_of(call: Any) -> tuple[str, ...]:
    changes = call.name in CHANGING or (call.name in ("open", "openat") and "O_CREAT" in call.line)
    return ("EIO", "ENOSPC", "KILL") if changes else ("EIO",)


def _ask(other: OtherProcess, *job: object) -> Any:
    answer, ended = other.ask(*map(str, job))
    assert ended == "done", (job, ended)
    return answer


def _begin(other: OtherProcess, place: Path, name: str) -> None:
    shutil.rmtree(place / "now", ignore_errors=True)
    if name == "create":
        (place / "now").mkdir()
    else:
        shutil.copytree(place / "first", place / "now")
    other.start("operate", place / "now", name)
    word, *_ = other.line()
    assert word == "ready", word
    wait_until_stopped(other.pid)


def _calls(other: OtherProcess, place: Path, name: str) -> list[Any]:
    _begin(other, place, name)
    strace = traced(other.pid, place / "log")
    other.to_the_end()
    strace.communicate(timeout=60)
    return calls_in(place / "log", str(place / "now"))


def _try(tally: Tally, other: OtherProcess, place: Path, name: str, call: Any, end: str) -> None:
    about = f"--only system_calls, {name}, {call} {end}: {call.line[:200]}"
    tally.runs += 1
    _begin(other, place, name)
    how = "signal=KILL" if end == "KILL" else f"error={end}"
    strace = traced(other.pid, place / "log", "-e", f"inject={call.name}:{how}:when={call.nth}")
    try:
        said, ended = other.to_the_end()
    except Hung:
        tally.blame("untyped", f"{about}: it hangs")
        other.to_the_end()
        strace.kill()
        strace.communicate()
        return
    strace.communicate(timeout=60)
    answers = [line for line in said if line[0] == "answer"]
    outcome = json.loads(answers[-1][1]) if answers else None
    if end != "KILL":
        _judge_error(tally, outcome, ended, end, about)
    elif ended == "killed":
        tally.counted["killed"] += 1
    _judge_state(tally, other, place, name, outcome, about)


def _judge_error(tally: Tally, outcome: Any, ended: str, end: str, about: str) -> None:
    if outcome is None:
        tally.blame("untyped", f"{about}: the process {ended}")
        return
    for told in (outcome, outcome.get("closing")):
        if told is None:
            continue
        if told["error"] is None:
            tally.counted["done nevertheless"] += 1
            tally.acknowledged += 1
        elif not told["typed"] or told["damage"]:
            tally.blame("untyped", f"{about}: {told}")
        elif not told["file"]:
            tally.blame("untyped", f"{about}: it does not say where: {told}")
        elif told["errno"] != getattr(errno, end):
            # os.path.exists, which ZODB asks, says of a file that cannot be looked at that it is not there.
            tally.counted["another number"] += 1
        else:
            tally.counted[told["error"]] += 1


def _judge_state(tally: Tally, other: OtherProcess, place: Path, name: str, outcome: Any, about: str) -> None:
    found, ended = other.ask("look", place / "now", name)
    if found is None or "error" in found:
        tally.blame(
            "torn" if found and "torn" in found["error"] else "not_opened", f"{about}: {ended} {found}"
        )
        return
    before = _BEFORE.get(name, [1, _ROWS])
    after = _AFTER.get(name, before)
    may_be = [before, after]
    if outcome is not None:
        if outcome["error"] is None:
            may_be = [after]
        elif outcome["error"] != "CommitInDoubtError":
            may_be = [before]
    if found["db"] not in may_be:
        what = "lost" if found["db"] == before else "torn"
        tally.blame(what, f"{about}: {outcome} left {found}, and not {may_be}")
    elif found["damage"]:
        tally.blame("torn", f"{about}: {found}")
    if name == "backup" and found["copy"] not in ([0, _ROWS], [1, _ROWS]):
        tally.blame("torn", f"{about}: {found}")


if __name__ == "__main__":
    from torture.story_worker import load_everything

    load_everything()
    serve(globals())
