"""File systems in files, whose power can be cut: a copy of the file holds what had reached the disk by then.

The files lie in an XFS of their own, in memory: there a copy is one step, in which no block of it can change.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

__all__ = ["FILE_SYSTEMS", "Images", "NoImagesError"]

#: The command that makes each, and a mount option that makes it write its journal each second.
FILE_SYSTEMS = {
    "ext4": (["mkfs.ext4", "-q", "-F"], "commit=1"),
    "xfs": (["mkfs.xfs", "-q", "-f"], ""),
    "btrfs": (["mkfs.btrfs", "-q", "-f"], "commit=1"),
}
_SIZE = "320M"


class NoImagesError(Exception):
    """Images cannot be made, or mounted, here."""


def _run(*command: object) -> None:
    try:
        subprocess.run([str(each) for each in command], check=True, capture_output=True, timeout=120)
    except FileNotFoundError as error:
        raise NoImagesError(f"{command[0]} is not installed") from error
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines() or [f"code {error.returncode}"]
        raise NoImagesError(f"{command[0]}: {said[-1]}") from error


def _unmount(folder: Path) -> None:
    for _ in range(200):
        if subprocess.run(["umount", folder], capture_output=True, check=False).returncode == 0:
            return
        time.sleep(0.05)
    _run("umount", "-l", folder)


class Images:
    """Images below *folder*, with all that they need; unmounted at the end of the block."""

    def __init__(self, folder: Path) -> None:
        self.memory, self.outer, self.mounted = folder / "memory", folder / "memory/outer", folder / "disk"
        self._numbers = 0
        self._image: Path | None = None
        self._undo: list[Path] = []

    def __enter__(self) -> Images:
        for folder in (self.memory, self.mounted):
            folder.mkdir(parents=True)
        try:
            _run("mount", "-t", "tmpfs", "-o", "size=3g", "tmpfs", self.memory)
            self._undo.append(self.memory)
            self.outer.mkdir()
            _run("truncate", "-s", "2600M", self.memory / "outer.img")
            _run("mkfs.xfs", "-q", "-m", "reflink=1", self.memory / "outer.img")
            _run("mount", "-o", "loop,discard", self.memory / "outer.img", self.outer)
            self._undo.append(self.outer)
        except NoImagesError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.unmount()
        while self._undo:
            _unmount(self._undo.pop())

    def make(self, kind: str) -> None:
        """Make an empty file system, and mount it."""
        self.unmount()
        self._image = self._new_name()
        _run("truncate", "-s", _SIZE, self._image)
        _run(*FILE_SYSTEMS[kind][0], self._image)
        self.mount()

    def cut(self) -> None:
        """Note what has reached the disk until now; :meth:`go_on` continues with that."""
        assert self._image is not None
        self._cut = self._new_name()
        _run("cp", "--reflink=always", self._image, self._cut)

    def go_on(self, option: str = "") -> None:
        """Mount what the cut has left, in the place of what there was."""
        self.unmount()
        self._image = self._cut
        self.mount(option)

    def mount(self, option: str = "") -> None:
        """Mount the image."""
        _run("mount", "-o", f"loop,{option}" if option else "loop", self._image, self.mounted)

    def unmount(self) -> None:
        """Unmount the image, and forget it."""
        if os.path.ismount(self.mounted):
            _unmount(self.mounted)
        if self._image is not None:
            self._image.unlink()
            self._image = None

    def keep(self, target: Path) -> None:
        """Copy what is mounted, to be looked at later."""
        shutil.copytree(self.mounted, target, symlinks=True, dirs_exist_ok=True)

    def _new_name(self) -> Path:
        self._numbers += 1
        return self.outer / f"{self._numbers}.img"
