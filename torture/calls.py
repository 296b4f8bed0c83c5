"""System calls of a process that has begun: telling them, and letting one of them fail, with strace."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Call", "calls_in", "has_strace", "traced"]

#: The calls that have to do with files.
FILES = (
    "open,openat,creat,close,read,pread64,readv,preadv,preadv2,write,pwrite64,writev,pwritev,pwritev2,"
    "fsync,fdatasync,sync_file_range,syncfs,sync,truncate,ftruncate,fallocate,rename,renameat,renameat2,"
    "link,linkat,symlink,symlinkat,unlink,unlinkat,mkdir,mkdirat,rmdir,flock,fcntl,stat,lstat,fstat,newfstatat,"
    "statx,getdents64,lseek,copy_file_range,sendfile,chmod,fchmod,fchmodat,access,faccessat,faccessat2,"
    "readlink,readlinkat,fadvise64,mmap,dup,dup2,dup3,chdir"
)
_CALL = re.compile(r"^(\d+) +(\w+)\(")


def has_strace() -> bool:
    """Whether strace is there, and may trace."""
    return shutil.which("strace") is not None


@dataclass(frozen=True)
class Call:
    """The *nth* call of a name in a thread."""

    name: str
    nth: int
    line: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.nth}"


def traced(pid: int, log: Path, *options: str, calls: str = FILES) -> subprocess.Popen[bytes]:
    """Trace the stopped process *pid*, and let it go on; the process that traces."""
    strace = subprocess.Popen(
        ["strace", "-f", "-y", "-o", str(log), "-e", f"trace={calls}", *options, "-p", str(pid)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert strace.stderr is not None
    said = strace.stderr.readline()
    if b"attached" not in said:
        strace.kill()
        raise RuntimeError(f"strace does not trace: {said.decode()}")
    os.kill(pid, signal.SIGCONT)
    return strace


def wait_until_stopped(pid: int) -> None:
    """Wait until *pid* has stopped itself."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with open(f"/proc/{pid}/stat") as file:
            if file.read().rpartition(")")[2].split()[0] in "Tt":
                return
        time.sleep(0.001)
    raise RuntimeError(f"process {pid} does not stop")


def calls_in(log: Path, folder: str) -> list[Call]:
    """The calls that *log* tells of and that name something in *folder*, each with its number."""
    counts: Counter[tuple[str, str]] = Counter()
    found: dict[tuple[str, int], Call] = {}
    for line in log.read_text(errors="replace").splitlines():
        match = _CALL.match(line)
        if match is None:
            continue
        counts[match[1], match[2]] += 1
        # What is read of a process's own files, such as modules, is no affair of the database.
        if folder in line:
            # strace counts in each thread by itself.
            key = match[2], counts[match[1], match[2]]
            found.setdefault(key, Call(*key, line.partition(" ")[2].strip()))
    return list(found.values())
