"""A small disk, which is soon full; ``torture/small_disk.py`` fills it."""

import pytest
from torture.small_disk import NoDiskError, mount, unmount


@pytest.fixture
def small_disk(tmp_path):
    """A function that mounts an empty disk with these options, in a folder of its own, and gives that."""
    mounted = []

    def mount_one(options, folder=None):
        folder = folder or tmp_path / f"disk{len(mounted)}"
        try:
            mount(folder, options)
        except NoDiskError as error:
            pytest.skip(str(error))
        mounted.append(folder)
        return folder

    yield mount_one
    for folder in mounted:
        unmount(folder)
