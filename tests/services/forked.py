"""Processes that have lotdb imported when they begin: the tests start hundreds, and importing is dear.

:func:`run` and :class:`Popen` are those of :mod:`subprocess` for ``[sys.executable, *arguments]``. The new
process is a fork of one that has imported what most of them need, and has done nothing else. So it is one
like any other, which is waited for and killed, and nothing of this one is in it. Where it matters what is
imported, or an option of Python other than ``-W``, a test needs a new interpreter, from :mod:`subprocess`.

Run as a script, this file is the process that is forked.
"""

import atexit
import ctypes
import gc
import importlib
import inspect
import json
import os
import runpy
import socket
import subprocess
import sys
import threading
import types
import warnings
from typing import Any

PRELOADED = ("json", "numpy", "textwrap", "importlib_metadata", "lotdb.public", "lotdb_backend_blob.backend")
PR_SET_CHILD_SUBREAPER = 36
MORE_THAN_A_REQUEST = 1 << 20


def run(arguments, *, capture_output=False, timeout=None, check=False, **how):
    """``subprocess.run([sys.executable, *arguments])``."""
    if capture_output:
        how |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with Popen(arguments, **how) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    done = subprocess.CompletedProcess(process.args, process.returncode, out, err)
    if check:
        done.check_returncode()
    return done


class Popen(subprocess.Popen[Any]):
    """``subprocess.Popen([sys.executable, *arguments])``; *needs* are more modules that it has imported."""

    def __init__(self, arguments, *, needs=(), **how):
        self._needs = needs
        if sys.platform != "linux":
            arguments = [sys.executable, *arguments]
        super().__init__([*map(str, arguments)], **how)

    if sys.platform == "linux":

        def _execute_child(self, *args):
            how = inspect.signature(super()._execute_child).bind(*args).arguments
            pipes = [how[name] for name in ("p2cread", "c2pwrite", "errwrite")]
            request = {
                "arguments": how["args"],
                "cwd": os.fspath(how["cwd"] or os.getcwd()),
                "env": dict(os.environ if how["env"] is None else how["env"]),
                "needs": self._needs,
            }
            self.pid = _first().fork(request, [own if pipe == -1 else pipe for own, pipe in enumerate(pipes)])
            self._child_created = True
            self._close_pipe_fds(
                *(how[each] for each in ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite"))
            )


class _First:
    """The process that is forked, as seen from the one that runs the tests."""

    def __init__(self):
        self._lock = threading.Lock()
        self._socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(other.fileno())],
                pass_fds=[other.fileno()],
                stdin=subprocess.DEVNULL,
                # numpy's threads would not be in a fork
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            )
        self.owner = os.getpid()

    def fork(self, request, files):
        """The id of a new process, which is a child of this one."""
        with self._lock:
            # The parent of the new process is the fork of a fork, and ends at once; then it is ours.
            _adopt_children(True)
            try:
                sent = json.dumps(request).encode()
                assert len(sent) < MORE_THAN_A_REQUEST
                socket.send_fds(self._socket, [sent], files)
                said = self._socket.recv(100)
            finally:
                _adopt_children(False)
        assert said, "the process that is forked has ended"
        return int(said)

    def close(self):
        if self.owner == os.getpid():
            self._socket.shutdown(socket.SHUT_RDWR)  # a fork of this process may have it, too
            self._socket.close()
            self._process.wait(60)


def _adopt_children(on):
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, int(on), 0, 0, 0)


_firsts: list[_First] = []


def _first():
    if not _firsts or _firsts[0].owner != os.getpid():
        _firsts[:] = [_First()]
        atexit.register(_firsts[0].close)
    return _firsts[0]


# -- the process that is forked -------------------------------------------------------------------


def serve(connection):
    """Fork for each request; returns in the forks alone, with what is asked of it."""
    imported = []
    while True:
        sent, files, _, _ = socket.recv_fds(connection, MORE_THAN_A_REQUEST, 3)
        if not sent:
            os._exit(0)
        request = json.loads(sent)
        for name in (*PRELOADED, *request["needs"]):
            if name not in imported:
                importlib.import_module(name)
                imported.append(name)
                gc.collect()
                gc.freeze()
        reading, writing = os.pipe()
        middle = os.fork()
        if middle == 0:
            child = os.fork()
            if child == 0:
                for fd in (reading, writing, connection.detach()):
                    os.close(fd)
                return request, files
            os.write(writing, b"%d" % child)
            os._exit(0)
        os.close(writing)
        os.waitpid(middle, 0)
        connection.send(os.read(reading, 100))
        for fd in (reading, *files):
            os.close(fd)


def become(request, files):
    """Be as a process is that was started."""
    for own, fd in enumerate(files):
        os.dup2(fd, own)
    for fd in files:
        if fd > 2:
            os.close(fd)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    at_once = bool(os.environ.get("PYTHONUNBUFFERED"))
    for fd, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        file = open(  # noqa: SIM115
            fd,
            mode,
            encoding="utf-8",
            errors="backslashreplace" if fd == 2 else "strict",
            buffering=1 if fd == 2 or os.isatty(fd) else -1,
            closefd=False,
        )
        if fd and at_once:
            file.reconfigure(write_through=True)
        setattr(sys, name, file)
        setattr(sys, f"__{name}__", file)


def begin(arguments):
    """Run what the arguments of Python name."""
    warnings.resetwarnings()
    warnings.filters[:] = _FIRST_FILTERS
    while arguments[0] == "-W":
        warnings.simplefilter(arguments[1])
        arguments = arguments[2:]
    more = [
        each for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each not in ("", *sys.path)
    ]
    what = arguments[0]
    if what == "-m":
        sys.path[:1] = [os.getcwd(), *more]
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        return
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    if what == "-c":
        sys.path[:1] = ["", *more]
        sys.argv = ["-c", *arguments[2:]]
        code = compile(arguments[1], "<string>", "exec")
    else:
        sys.path[:1] = [os.path.dirname(os.path.abspath(what)), *more]
        sys.argv = arguments
        main.__file__ = what
        with open(what, "rb") as file:
            code = compile(file.read(), what, "exec")
    exec(code, main.__dict__)


if __name__ == "__main__":
    _FIRST_FILTERS = warnings.filters[:]
    _request, _files = serve(socket.socket(fileno=int(sys.argv[1])))
    become(_request, list(_files))
    begin(_request["arguments"])
