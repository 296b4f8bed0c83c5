"""A small disk in memory, which can be filled up and emptied again."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

__all__ = ["NoDiskError", "fill_disk", "give_back", "mount", "take_inodes", "unmount"]


class NoDiskError(Exception):
    """Disks cannot be mounted here."""


def mount(folder: Path, options: str) -> None:
    """Mount an empty disk with these options."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True, capture_output=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise NoDiskError("mounting a small disk needs a privilege") from error


def unmount(folder: Path) -> None:
    """Unmount the disk, whoever still uses it."""
    subprocess.run(["umount", "-l", folder], check=True)


def fill_disk(folder: Path, left: int) -> None:
    """Take all space of a disk but *left* bytes."""
    disk = os.statvfs(folder)
    (folder / "rest").write_bytes(bytes(max(disk.f_bavail * disk.f_frsize - left, 0)))


def take_inodes(folder: Path, left: int) -> None:
    """Take all inodes of a disk but *left*."""
    (folder / "rest").mkdir()
    for number in range(os.statvfs(folder).f_favail - left):
        (folder / "rest" / str(number)).touch()


def give_back(folder: Path) -> None:
    """Free what was taken."""
    rest = folder / "rest"
    if rest.is_file():
        rest.unlink()
    else:
        shutil.rmtree(rest)
