"""Another process, which runs one job after the other, each in a child that may be killed.

Forking a process that has imported everything takes a few milliseconds; starting Python with numpy takes most
of a second. The other process reads jobs from its standard input, a JSON list a line, and what its children
say are lines of words, which the parent reads.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import select
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["ROOT", "Hung", "OtherProcess", "say", "say_json", "serve"]

ROOT = Path(__file__).resolve().parent.parent
# How long a job may say nothing: a machine with a lot to do is slow, but a deadlock lasts.
PATIENCE_S = 120.0


class Hung(Exception):
    """A job that has said nothing for a long while; it was killed."""


# -- in the other process -------------------------------------------------------------------------


def say(*words: object) -> None:
    """Tell the parent a line of words, at once."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def say_json(word: str, content: object) -> None:
    """Tell the parent *word*, and a document."""
    data = (word + " " + json.dumps(content) + "\n").encode()
    while data:
        data = data[os.write(1, data) :]


def serve(functions: Mapping[str, Any]) -> None:
    """Run the jobs that are asked for, until there are no more."""
    logging.getLogger("lotdb").setLevel(logging.CRITICAL)  # what it says of a kill is no news here
    gc.freeze()  # a collection in a child would copy all that it looks at
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        child = os.fork()
        if child == 0:
            say("pid", os.getpid())
            try:
                functions[name](*arguments)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        if os.WIFSIGNALED(status):
            ended = "killed" if os.WTERMSIG(status) == signal.SIGKILL else f"crashed {os.WTERMSIG(status)}"
        else:
            ended = "failed" if os.WEXITSTATUS(status) else "done"
        # A child that was killed in the middle of a line leaves its beginning.
        say("\nend", ended)


# -- in the parent --------------------------------------------------------------------------------


class OtherProcess:
    """A process that serves jobs: the file, or the module, that calls :func:`serve` when it is run.

    Parameters
    ----------
    program
        The path of a file, or the name of a module.
    python
        The interpreter, if it is another one.
    quiet
        True to throw away what the jobs print as errors.
    """

    def __init__(self, program: str, python: str = sys.executable, *, quiet: bool = False) -> None:
        found = os.environ.get("PYTHONPATH")
        environment = {
            **os.environ,
            "PYTHONPATH": f"{ROOT}{os.pathsep}{found}" if found else str(ROOT),
            "PYTHONHASHSEED": "0",
        }
        run = [program] if program.endswith(".py") else ["-m", program]
        self.process = subprocess.Popen(
            [python, "-W", "ignore", *run],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if quiet else None,
            env=environment,
            cwd=ROOT,
        )
        self.pid = 0
        self._buffer = b""

    def start(self, name: str, *arguments: object) -> int:
        """Begin the job *name*; the id of the process that does it."""
        job = json.dumps([name, *(str(each) if isinstance(each, Path) else each for each in arguments)])
        assert self.process.stdin is not None
        self.process.stdin.write(job.encode() + b"\n")
        self.process.stdin.flush()
        word, pid = self.line()
        assert word == "pid", (word, pid)
        self.pid = int(pid)
        return self.pid

    def line(self, patience_s: float = PATIENCE_S) -> list[str]:
        """The first word of the next line, and all the others.

        Raises
        ------
        Hung
            Nothing was said for *patience_s*; the job was killed.
        """
        assert self.process.stdout is not None
        descriptor = self.process.stdout.fileno()
        until = time.monotonic() + patience_s
        while True:
            text, newline, rest = self._buffer.partition(b"\n")
            if newline:
                self._buffer = rest
                if text.strip():
                    return text.decode().split(maxsplit=1)
                continue
            ready = select.select([descriptor], [], [], max(until - time.monotonic(), 0))[0]
            if not ready:
                os.kill(self.pid, signal.SIGKILL)
                raise Hung(f"nothing was said for {patience_s} s")
            data = os.read(descriptor, 1 << 20)
            assert data, "the other process ended"
            self._buffer += data

    def has_line(self, wait_s: float = 0.0) -> bool:
        """Whether there is something to read, now or within *wait_s*."""
        assert self.process.stdout is not None
        return bool(self._buffer.strip()) or bool(select.select([self.process.stdout], [], [], wait_s)[0])

    def kill(self) -> None:
        """Kill the job that runs."""
        os.kill(self.pid, signal.SIGKILL)

    def to_the_end(self) -> tuple[list[list[str]], str]:
        """What the job has said until it ended, and how it ended: done, killed, failed or crashed."""
        said = []
        while (line := self.line())[0] != "end":
            said.append(line)
        return said, line[1]

    def words_to_the_end(self) -> list[str]:
        """The first word of each line until the job was killed."""
        said, ended = self.to_the_end()
        assert ended == "killed", ended
        return [line[0] for line in said]

    def ask(self, name: str, *arguments: object) -> tuple[Any, str]:
        """The document that a job gives, or None; and how it ended, ``hung`` included."""
        try:
            self.start(name, *arguments)
            said, ended = self.to_the_end()
        except Hung:
            while self.line()[0] != "end":
                pass
            return None, "hung"
        found = [json.loads(line[1]) for line in said if line[0] == "answer"]
        return (found[-1] if found else None), ended

    def close(self) -> None:
        """End the other process."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def __enter__(self) -> OtherProcess:
        return self

    def __exit__(self, *exception: object) -> None:
        if exception[0] is not None and self.pid:  # a job that waits would be waited for
            with suppress(ProcessLookupError):
                self.kill()
        self.close()
