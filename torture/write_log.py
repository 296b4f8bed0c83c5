"""What a process wrote, call by call, and what of it a power cut may leave, on the strictest file system.

strace notes each call that changes something below a folder, with its data. Replayed up to a call, what was
synced is there. What was not may be there or not, each write and each name by itself: real file systems write
in some order, and this one in any.

- A write that no later ``fsync`` of its file covers may be there, in part, or not at all.
- A name that was made, moved or removed since the last ``fsync`` of its folder may be as before or as after.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

__all__ = ["CALLS", "Event", "LoggedDisk", "events_in"]

#: The calls that are noted.
CALLS = (
    "openat,open,creat,read,readv,write,pwrite64,writev,pwritev,ftruncate,truncate,fallocate,rename,renameat,renameat2,"
    "unlink,unlinkat,mkdir,mkdirat,rmdir,fsync,fdatasync,sync_file_range,syncfs,sync,copy_file_range,sendfile,"
    "lseek,dup,dup2,fcntl,close,link,linkat"
)
_LINE = re.compile(r"^(\d+) +(\w+)\((.*)$")
_RESUMED = re.compile(r"^(\d+) +<\.\.\. (\w+) resumed>(.*)$")
_ENDED = re.compile(r"^(.*)\) += (.*)$")
_FILE = re.compile(r"^(-?\d+|AT_FDCWD)(?:<([^>]*)>)?")
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')


@dataclass
class Event:
    """A call that has returned: its name, arguments as strace tells them, and result."""

    call: str
    arguments: str
    result: int
    begun: int  # how many events had ended when it began
    opened: str = ""  # the path of the descriptor that was returned

    def strings(self) -> list[bytes]:
        """The texts and data among the arguments."""
        return [bytes.fromhex(text.replace("\\x", "")) for text, _ in _STRING.findall(self.arguments)]

    def file(self, number: int = 0) -> tuple[str, str]:
        """The descriptor that is argument *number*, and the path of it."""
        part = [each.strip() for each in _STRING.sub("", self.arguments).split(",")][number]
        match = _FILE.match(part)
        return ("", "") if match is None else (match[1], _path(match[2] or ""))

    def numbers(self) -> list[int]:
        """The arguments that are plain numbers."""
        parts = [each.strip() for each in _STRING.sub("", self.arguments).split(",")]
        return [int(each) for each in parts if re.fullmatch(r"-?\d+", each)]


def _path(text: str) -> str:
    return re.sub(r"\\x([0-9a-f]{2})", lambda match: chr(int(match[1], 16)), text)


def events_in(log: Path) -> Iterator[Event]:
    """The calls in *log* that did not fail, in the order in which they ended."""
    begun: dict[str, tuple[str, str, int]] = {}
    count = 0
    for line in log.read_text(errors="replace").splitlines():
        if resumed := _RESUMED.match(line):
            call, text, since = begun.pop(resumed[1])
            text += resumed[3]
        elif started := _LINE.match(line):
            call, text, since = started[2], started[3], count
            if text.endswith("<unfinished ...>"):
                begun[started[1]] = call, text.removesuffix("<unfinished ...>"), since
                continue
        else:
            continue
        ended = _ENDED.match(text)  # a call that was resumed is filled up with blanks
        arguments, result = ended.groups() if ended else ("", "")
        match = _FILE.match(result.strip())
        if match is None or match[1].startswith("-") or match[1] == "AT_FDCWD":
            continue
        count += 1
        yield Event(call, arguments, int(match[1]), since, _path(match[2] or ""))


@dataclass
class _File:
    """A file: what is on the disk for sure, and the writes since; each is (number, offset, data or None)."""

    synced: bytes = b""
    now: bytearray = field(default_factory=bytearray)
    writes: list[tuple[int, int, bytes | None]] = field(default_factory=list)


class LoggedDisk:
    """The folder *top*, to which events are applied, and of which power cuts are taken."""

    def __init__(self, top: Path) -> None:
        self._top = str(top)
        self._files: dict[int, _File] = {}
        self._names: dict[str, int | None] = {}  # path to file; None is a folder
        # Of each folder, the paths in it that have changed since it was synced, with what they were before.
        self._unsure: dict[str, dict[str, list[tuple[int, int | None]]]] = {}
        self._synced: dict[str, int | None] = {}
        self._places: dict[tuple[str, str], int] = {}
        self._inodes = 0
        self._count = 0
        for path in sorted(top.rglob("*")):
            if path.is_dir():
                self._names[str(path)] = None
            elif path.is_file():
                content = path.read_bytes()
                self._inodes += 1
                self._files[self._inodes] = _File(content, bytearray(content))
                self._names[str(path)] = self._inodes
        self._synced = dict(self._names)

    def apply(self, event: Event) -> None:
        """Do what an event did."""
        self._count += 1
        method = getattr(self, f"_do_{event.call}", None)
        if method is not None:
            method(event)

    # -- calls ---------------------------------------------------------------------------------------

    def _is_ours(self, path: str) -> bool:
        return path.startswith(self._top + os.sep)

    def _set(self, path: str, what: Any) -> None:
        """Change a name: the folder is unsure of it until it is synced."""
        folder = os.path.dirname(path)
        self._unsure.setdefault(folder, {}).setdefault(path, []).append((self._count, what))
        if what == -1:
            self._names.pop(path, None)
        else:
            self._names[path] = what

    def _do_openat(self, event: Event) -> None:
        path = event.opened
        if not self._is_ours(path):
            return
        flags = event.arguments
        if "O_CREAT" in flags and path not in self._names:
            self._inodes += 1
            self._files[self._inodes] = _File()
            self._set(path, self._inodes)
        file = self._file(path)
        if file is None:
            return
        if "O_TRUNC" in flags and file.now:
            self._truncate(file, 0)
        self._places[str(event.result), path] = len(file.now) if "O_APPEND" in flags else 0

    _do_open = _do_creat = _do_openat

    def _file(self, path: str) -> _File | None:
        inode = self._names.get(path)
        return None if inode is None else self._files[inode]

    def _put(self, file: _File, at: int, data: bytes) -> None:
        if len(file.now) < at:
            file.now.extend(bytes(at - len(file.now)))
        file.now[at : at + len(data)] = data
        file.writes.append((self._count, at, data))

    def _truncate(self, file: _File, size: int) -> None:
        del file.now[size:]
        file.now.extend(bytes(size - len(file.now)))
        file.writes.append((self._count, size, None))

    def _do_write(self, event: Event) -> None:
        key = event.file()
        file = self._file(key[1])
        if file is not None:
            at = self._places.get(key, 0)
            data = b"".join(event.strings())[: event.result]
            assert len(data) == event.result, "strace did not tell all of a write"
            self._put(file, at, data)
            self._places[key] = at + len(data)

    _do_writev = _do_write

    def _do_pwrite64(self, event: Event) -> None:
        file = self._file(event.file()[1])
        if file is not None:
            self._put(file, event.numbers()[-1], b"".join(event.strings())[: event.result])

    _do_pwritev = _do_pwrite64

    def _do_lseek(self, event: Event) -> None:
        if self._is_ours(event.file()[1]):
            self._places[event.file()] = event.result

    def _do_read(self, event: Event) -> None:
        # Python writes where it has read to, and does not ask for that place.
        if self._is_ours(event.file()[1]):
            self._places[event.file()] = self._places.get(event.file(), 0) + event.result

    _do_readv = _do_read

    def _do_ftruncate(self, event: Event) -> None:
        file = self._file(event.file()[1])
        if file is not None:
            self._truncate(file, event.numbers()[-1])

    def _do_truncate(self, event: Event) -> None:
        file = self._file(os.fsdecode(event.strings()[0]))
        if file is not None:
            self._truncate(file, event.numbers()[-1])

    def _do_copy_file_range(self, event: Event) -> None:
        self._copy(event, event.file(0), event.file(2))

    def _do_sendfile(self, event: Event) -> None:
        self._copy(event, event.file(1), event.file(0))

    def _copy(self, event: Event, source: tuple[str, str], target: tuple[str, str]) -> None:
        file = self._file(target[1])
        if file is None:
            return
        # The places that the caller says, each as [before], or [before] => [after].
        given = re.findall(r"\[(\d+)\](?: => \[\d+\])?", event.arguments)
        start = int(given[0]) if given else self._places.get(source, 0)
        there = self._file(source[1])
        if there is not None:
            data = bytes(there.now[start : start + event.result])
        else:
            with open(source[1], "rb") as other:
                other.seek(start)
                data = other.read(event.result)
        at = int(given[1]) if len(given) > 1 else self._places.get(target, 0)
        self._put(file, at, data)
        if len(given) < 2:
            self._places[target] = at + len(data)
        if not given:
            self._places[source] = start + event.result

    def _paths(self, event: Event) -> list[str]:
        parts = [each.strip() for each in event.arguments.split(",")]
        folders = [
            _path(match[1]) for each in parts if (match := re.match(r"(?:AT_FDCWD|\d+)<([^>]*)>", each))
        ]
        texts = [os.fsdecode(each) for each in event.strings()]
        if len(folders) == 1 and len(texts) > 1:
            folders *= len(texts)
        return [
            os.path.join(folder, text)
            for folder, text in zip(folders or [""] * len(texts), texts, strict=False)
        ]

    def _do_rename(self, event: Event) -> None:
        one, other = self._paths(event)
        if not (self._is_ours(one) and self._is_ours(other)):
            return
        moved = {
            path: what for path, what in self._names.items() if path == one or path.startswith(one + os.sep)
        }
        if "RENAME_EXCHANGE" in event.arguments:
            back = {p: w for p, w in self._names.items() if p == other or p.startswith(other + os.sep)}
        else:
            back = {}
        for path in moved:
            self._set(path, -1)
        for path in back:
            self._set(path, -1)
        for path, what in moved.items():
            self._set(other + path[len(one) :], what)
        for path, what in back.items():
            self._set(one + path[len(other) :], what)
        for (number, path), at in list(self._places.items()):
            if path == one or path.startswith(one + os.sep):
                self._places[number, other + path[len(one) :]] = at

    _do_renameat = _do_renameat2 = _do_rename

    def _do_unlink(self, event: Event) -> None:
        (path,) = self._paths(event)
        if path in self._names:
            self._set(path, -1)

    _do_unlinkat = _do_rmdir = _do_unlink

    def _do_mkdir(self, event: Event) -> None:
        (path,) = self._paths(event)
        if self._is_ours(path):
            self._set(path, None)

    _do_mkdirat = _do_mkdir

    def _do_link(self, event: Event) -> None:
        one, other = self._paths(event)
        if self._is_ours(other) and one in self._names:
            self._set(other, self._names[one])

    _do_linkat = _do_link

    def _do_fsync(self, event: Event) -> None:
        path = event.file()[1]
        if path == self._top or (path in self._names and self._names[path] is None):
            for name, changes in self._unsure.pop(path, {}).items():
                later = [change for change in changes if change[0] > event.begun]
                if later:
                    self._unsure.setdefault(path, {})[name] = later
                done = [what for count, what in changes if count <= event.begun]
                if done and done[-1] == -1:
                    self._synced.pop(name, None)
                elif done:
                    self._synced[name] = done[-1]
            return
        file = self._file(path)
        if file is not None:
            if not any(count > event.begun for count, _, _ in file.writes):
                file.synced, file.writes = bytes(file.now), []
                return
            for count, at, data in list(file.writes):
                if count <= event.begun:
                    file.synced = _written(file.synced, at, data)
                    file.writes.remove((count, at, data))

    _do_fdatasync = _do_fsync

    def _do_syncfs(self, event: Event) -> None:
        for path in [self._top, *self._names]:
            self._do_fsync(replace(event, arguments=f"0<{path}>"))

    _do_sync = _do_syncfs

    # -- power cuts ----------------------------------------------------------------------------------

    def cut(self, target: Path, rng: random.Random) -> None:
        """Make in *target* what a power cut may leave now."""
        names = dict(self._synced)
        # All lost, all there, or each by itself.
        chance = rng.choice([0.0, 1.0, 0.5, 0.1, 0.9])
        for changes in self._unsure.values():
            for path, events in changes.items():
                kept = [event for event in events if rng.random() < chance]
                if kept:
                    if kept[-1][1] == -1:
                        names.pop(path, None)
                    else:
                        names[path] = kept[-1][1]
        target.mkdir(parents=True)
        for path in sorted(names):
            place = target / os.path.relpath(path, self._top)
            inode = names[path]
            # What lies in a folder that is not there cannot be reached.
            if not place.parent.is_dir():
                continue
            if inode is None:
                place.mkdir(exist_ok=True)
                continue
            if place.is_dir():
                continue
            place.write_bytes(self._content(self._files[inode], rng, chance))

    def _content(self, file: _File, rng: random.Random, chance: float) -> bytes:
        content = file.synced
        for _, at, data in file.writes:
            if rng.random() >= chance:
                continue
            if data is not None and len(data) > 512 and rng.random() < 0.2:
                data = data[: rng.randrange(len(data) // 512) * 512]  # a sector is written whole
            content = _written(content, at, data)
        return content

    def files(self) -> dict[str, bytes]:
        """All files as the process sees them, each with its content."""
        return {
            path: bytes(self._files[inode].now) for path, inode in self._names.items() if inode is not None
        }


def _written(content: bytes, at: int, data: bytes | None) -> bytes:
    if data is None:
        return content[:at] + bytes(max(at - len(content), 0))
    padded = content + bytes(max(at - len(content), 0))
    return padded[:at] + data + padded[at + len(data) :]
