"""The other process in the tests of backends, which is killed: ``python -m lotdb.testing.another_process``.

It reads a pickled :class:`Job` from its standard input.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from lotdb import LOTDB, Backend
from lotdb.testing.bench import NAME, Bench, plugins_with

__all__ = ["Job", "start"]


@dataclass(frozen=True)
class Job:
    """What the other process is to do, and where.

    The class is given by its module and name, and by the file of the module in case that the module is not on
    the path, as a test file.
    """

    command: str
    folder: str
    module: str
    qualname: str
    file: str
    config: Mapping[str, Any]

    def backend_class(self) -> type[Backend]:
        """The class that the job names."""
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
        return found  # type: ignore[no-any-return]


def start(command: str, bench: Bench) -> subprocess.Popen[bytes]:
    """A process that opens the database of *bench*, which must be closed, and does *command* in it."""
    cls = bench.backend_class
    assert "<locals>" not in cls.__qualname__, (
        f"{cls} is defined in a function; another process cannot import it"
    )
    job = Job(
        command, os.fspath(bench.folder), cls.__module__, cls.__qualname__, inspect.getfile(cls), bench.config
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "lotdb.testing.another_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert process.stdin is not None
    with process.stdin:
        pickle.dump(tuple(vars(job).values()), process.stdin)
    process.stdin = None  # communicate() would flush it
    return process


def kill_oneself() -> NoReturn:
    """End at once, with nothing cleaned up."""
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
    raise AssertionError("still alive")


def stage_and_die(db: LOTDB) -> None:
    """Write, replace, append to and delete payloads, have all bytes handed to the backend, and die."""
    root = db.open_connection()
    root.get_data_node("new/large").write_data(np.ones((300_000, 2)))
    root.get_data_node("new/small").write_data(np.ones(10))
    root.get_data_node("kept/small").replace_data(np.zeros(10))
    root.get_data_node("kept/large").append_data(np.zeros((200_000, 2)))
    root.get_data_node("kept/other").delete_data()
    db.savepoint()  # what still waited in memory is written now
    kill_oneself()


def commit_until_killed(db: LOTDB) -> None:
    """Commit again and again what belongs together, and say so after each commit."""
    number = 0
    while True:
        number += 1
        with db.connection() as root:
            root.attrs["number"] = number
            root.get_data_node("grows").append_data(np.full((200, 2), number))
            root.get_data_node("replaced").replace_data(np.full((150_000,), number))
        print(number, flush=True)


COMMANDS = {"stage_and_die": stage_and_die, "commit_until_killed": commit_until_killed}


def main() -> None:
    """Do the job that is given on standard input."""
    job = Job(*pickle.load(sys.stdin.buffer))
    cls = job.backend_class()
    with LOTDB(
        job.folder,
        NAME,
        default_backend=cls.name,
        backends={cls.name: job.config},
        plugins=plugins_with(cls),
    ) as db:
        COMMANDS[job.command](db)


if __name__ == "__main__":
    main()
