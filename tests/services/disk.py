"""A small disk, which is soon full."""

import os
import shutil
import subprocess

import pytest


@pytest.fixture
def small_disk(tmp_path):
    """A function that mounts an empty disk with these options, in a folder of its own, and gives that."""
    mounted = []

    def mount(options, folder=None):
        folder = folder or tmp_path / f"disk{len(mounted)}"
        folder.mkdir(exist_ok=True)
        try:
            subprocess.run(
                ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True, capture_output=True
            )
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("mounting a small disk needs a privilege")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", folder], check=True)


def fill_disk(folder, left):
    """Take all space of a disk but *left* bytes."""
    disk = os.statvfs(folder)
    (folder / "rest").write_bytes(bytes(max(disk.f_bavail * disk.f_frsize - left, 0)))


def give_back(folder):
    rest = folder / "rest"
    if rest.is_file():
        rest.unlink()
    else:
        shutil.rmtree(rest)
