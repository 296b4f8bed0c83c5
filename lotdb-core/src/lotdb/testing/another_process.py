"""The other process in the tests, which is killed.

It reads a pickled :class:`Job` from its standard input.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import importlib.util
import inspect
import os
import pickle
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lotdb import LOTDB, Backend
from lotdb.testing.bench import NAME, Bench, plugins_with, skip
from lotdb.testing.faults import Countdown, kill_oneself

__all__ = ["Job", "started"]

# Longer than this no other process lives, whatever becomes of the one that has started it.
LIFE_S = 300

#: A way to open a database.
Opening = Callable[[], LOTDB]


@dataclass(frozen=True)
class Named:
    """A class or function as another process finds it.

    It is given by its module and name, and by the file of the module in case that the module is not on the
    path, as a test file.
    """

    module: str
    qualname: str
    file: str

    @classmethod
    def of(cls, thing: Any) -> Named:
        """How *thing* is found."""
        assert "<locals>" not in thing.__qualname__, (
            f"{thing} is defined in a function; another process cannot import it"
        )
        return cls(thing.__module__, thing.__qualname__, inspect.getfile(thing))

    def find(self) -> Any:
        """What is named."""
        try:
            module = importlib.import_module(self.module)
        except ModuleNotFoundError:
            spec = importlib.util.spec_from_file_location(self.module, self.file)
            assert spec is not None
            assert spec.loader is not None
            module = sys.modules[self.module] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        found: Any = module
        for name in self.qualname.split("."):
            found = getattr(found, name)
        return found


@dataclass(frozen=True)
class Job:
    """What the other process is to do, and where."""

    command: str
    # Of a backend:
    backend: Named | None = None
    folder: str = ""
    config: Mapping[str, Any] | None = None
    config_elsewhere: bytes | None = None
    # Of a way to open a database:
    opening: bytes | None = None

    def prepare(self) -> tuple[Opening, type[Any]]:
        """How to open the database, and the class of its backend."""
        if self.backend is None:
            assert self.opening is not None
            return pickle.loads(self.opening), Backend
        cls = self.backend.find()
        config = self.config
        if self.config_elsewhere is not None:
            config = pickle.loads(self.config_elsewhere)()
        return partial(
            LOTDB,
            Path(self.folder),
            NAME,
            default_backend=cls.name,
            backends={cls.name: config or {}},
            plugins=plugins_with(cls),
        ), cls


@contextlib.contextmanager
def started(command: str, bench: Bench) -> Iterator[subprocess.Popen[bytes]]:
    """A process that opens the database of *bench*, which must be closed, and does *command* in it."""
    cls = Named.of(bench.backend_class)
    place = os.fspath(bench.folder)
    if bench.config_elsewhere is not None:
        job = Job(command, cls, place, config_elsewhere=pickle.dumps(bench.config_elsewhere))
    else:
        try:
            pickle.loads(pickle.dumps(bench.config))
        except Exception as error:
            skip(
                f"its config cannot be sent to another process ({error!r}); give a fixture config_elsewhere: "
                "a function of a module that makes it there"
            )
        job = Job(command, cls, place, config=bench.config)
    with _process(job) as process:
        yield process


@contextlib.contextmanager
def started_with(command: str, opening: Opening) -> Iterator[subprocess.Popen[bytes]]:
    """A process that opens a database by calling *opening*, and does *command* in it."""
    with _process(Job(command, opening=pickle.dumps(opening))) as process:
        yield process


@contextlib.contextmanager
def _process(job: Job) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-c", f"from {__name__} import main; main()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        with process.stdout, process.stdin:
            sent = pickle.dumps(job)
            process.stdin.write(b"%d\n" % len(sent) + sent)
            process.stdin.flush()
            yield process
            if process.poll() is None:
                process.kill()
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def stage_and_die(opening: Opening, backend_class: type[Any]) -> None:
    """Write, replace, append to and delete payloads, have all bytes handed to the backend, and die."""
    faulthandler.dump_traceback_later(LIFE_S, exit=True)
    with opening() as db:
        root = db.open_connection()
        root.get_data_node("new/large").write_data(np.ones((300_000, 2)))
        root.get_data_node("new/small").write_data(np.ones(10))
        root.get_data_node("kept/small").replace_data(np.zeros(10))
        root.get_data_node("kept/large").append_data(np.zeros((200_000, 2)))
        root.get_data_node("kept/other").delete_data()
        db.savepoint()  # what still waited in memory is written now
        kill_oneself()


def commit_until_killed(opening: Opening, backend_class: type[Any]) -> None:
    """Commit again and again what belongs together, and say so after each commit."""
    faulthandler.dump_traceback_later(LIFE_S, exit=True)
    with opening() as db:
        number = 0
        while True:
            number += 1
            with db.connection() as root:
                root.attrs["number"] = number
                root.get_data_node("grows").append_data(np.full((200, 2), number))
                root.get_data_node("replaced").replace_data(np.full((150_000,), number))
            print(number, flush=True)


def step(root: Any, number: int) -> None:
    """What commit *number* of :func:`die_at` changes."""
    root.attrs["number"] = number
    root.get_data_node("small").write_data(np.full((20, 2), number))
    root.get_data_node("large").write_data(np.full((150_000,), number))
    if "older" in root:
        root["older"].delete_tree()
    root["large"].branch("older")


def die_at(opening: Opening, backend_class: type[Any]) -> None:
    """For each line ``number kill_at`` of the input: commit twice, pack, and die at the *kill_at*-th write.

    Each is done by a child of this process, which has imported everything already. The answer is a line with
    the last number that was committed, how many writes and syncs there were, and ``killed`` or ``done``.
    """
    # Of the threads of libraries none does anything yet.
    warnings.filterwarnings("ignore", ".*fork", DeprecationWarning)
    countdown = Countdown()
    countdown.watch(backend_class)
    for line in sys.stdin:
        number, kill_at = map(int, line.split())
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            _commit_and_die(opening, countdown, number, kill_at, writing)
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as file:
            said = file.read().split()
        _, status = os.waitpid(child, 0)
        died = os.WIFSIGNALED(status) and os.WTERMSIG(status) == 9
        outcome = "killed" if died else "done" if status == 0 else f"failed-{status}"
        committed = max([0, *(int(word[1:]) for word in said if word.startswith(b"c"))])
        counted = max([0, *(int(word[1:]) for word in said if word.startswith(b"n"))])
        print(committed, counted, outcome, flush=True)


def _commit_and_die(opening: Opening, countdown: Countdown, number: int, kill_at: int, writing: int) -> None:
    faulthandler.dump_traceback_later(LIFE_S, exit=True)
    told = os.dup(writing)
    tell = os.write.__wrapped__  # type: ignore[attr-defined]  # not counted
    try:
        db = opening()
        countdown.start(kill_at)
        for each in (number, number + 1):
            with db.connection() as root:
                step(root, each)
            tell(told, b"c%d " % each)
        db.pack()
        countdown.stop()
        tell(told, b"n%d " % countdown.counted)
        db.close()
    except BaseException:
        import traceback

        traceback.print_exc()
        os._exit(3)


def count_up_to(opening: Opening, backend_class: type[Any]) -> None:
    """For a line ``name number`` of the input: commit that often beside others, and say how often."""
    faulthandler.dump_traceback_later(LIFE_S, exit=True)
    name, number = map(int, sys.stdin.readline().split())
    with opening() as db:
        for each in range(number):
            db.run(partial(_add_result, name, each), attempts=1000)
    print(number, flush=True)


def _add_result(name: int, number: int, root: Any) -> None:
    root.attrs["count"] = root.attrs.get("count", 0) + 1
    root.get_data_node(f"writer {name}/{number}").write_data(np.full(2000, number))


def count_for_ever(opening: Opening, backend_class: type[Any]) -> None:
    """For each line ``name`` of the input: have a child commit for ever, from the commit on that is there.

    It says ``pid name process`` of each child, and ``did name number`` of each commit. A child is forked from
    this process, which has imported everything already, and has nothing open.
    """
    warnings.filterwarnings("ignore", ".*fork", DeprecationWarning)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        name = int(line)
        child = os.fork()
        if child == 0:
            _count_for_ever(opening, name)
        os.write(1, b"pid %d %d\n" % (name, child))


def _count_for_ever(opening: Opening, name: int) -> None:
    faulthandler.dump_traceback_later(LIFE_S, exit=True)
    try:
        with opening() as db:
            while True:
                number = db.run(partial(_count, name), attempts=1000)
                os.write(1, b"did %d %d\n" % (name, number))
                time.sleep(0.005)  # other processes have something to do, too
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(3)


def _count(name: int, root: Any) -> int:
    node = root.get_node(f"writer {name}")
    node.attrs["count"] = number = node.attrs.get("count", 0) + 1
    node.get_data_node("data").replace_data(np.full(2000, number))
    return int(number)


def look_on(opening: Opening, backend_class: type[Any]) -> None:
    """Say what a transaction sees; again for each line of the input, after which it may move on."""
    faulthandler.dump_traceback_later(LIFE_S, exit=True)
    with opening() as db:
        root = db.open_connection()
        while True:
            value = root["gone"].attrs["value"] if "gone" in root else None
            print(root.attrs["number"], value, len(root["data"].read_data()), flush=True)
            line = sys.stdin.readline()
            if not line:
                break
            if line == "move on\n":
                db.abort()


COMMANDS = {
    "commit_until_killed": commit_until_killed,
    "count_for_ever": count_for_ever,
    "count_up_to": count_up_to,
    "die_at": die_at,
    "look_on": look_on,
    "stage_and_die": stage_and_die,
}


def main() -> None:
    """Do the job that is given on standard input."""
    length = int(sys.stdin.buffer.readline())
    job: Job = pickle.loads(sys.stdin.buffer.read(length))
    COMMANDS[job.command](*job.prepare())
