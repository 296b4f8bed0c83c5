"""A backend for tests that keeps each segment in an ``.npy`` file of its own, so that each can be seen."""

import errno
import os

import numpy as np

from lotdb import Backend, DamagedError, Plugins, hookimpl
from lotdb.values.python_text import again_if_disturbed


class NpyBackend(Backend):
    name = "npy"

    def path(self, locator):
        return self.context.folder / f"{locator}.npy"

    def write(self, locator, array, options):
        self.context.folder.mkdir(exist_ok=True)
        with open(self.path(locator), "xb") as file:
            np.save(file, array)
            file.flush()
            if self.context.durable:
                os.fsync(file.fileno())

    def read_into(self, locator, first_row, out):
        try:
            rows = again_if_disturbed(lambda: np.load(self.path(locator)))
        except FileNotFoundError as error:
            raise DamagedError(f"{self.path(locator)} is missing") from error
        found = rows[first_row : first_row + len(out)]
        if found.shape != out.shape or found.dtype != out.dtype:
            raise DamagedError(f"{self.path(locator)} holds other rows")
        out.view("u1")[...] = found.view("u1")

    def delete(self, locator):
        self.path(locator).unlink(missing_ok=True)

    def locators(self):
        for path in self.context.folder.glob("*.npy"):
            yield path.stem, path.stat().st_mtime

    def describe(self, locator):
        return str(self.path(locator))


class FullDiskBackend(NpyBackend):
    """Its disk has room for `room` more files; the one after that gets half of its bytes."""

    room = 1_000_000

    def write(self, locator, array, options):
        super().write(locator, array, options)
        if type(self).room == 0:
            path = self.path(locator)
            os.truncate(path, path.stat().st_size // 2)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        type(self).room -= 1


def plugins_with(backend: type[Backend]) -> Plugins:
    """The installed plugins, and *backend* under its name."""

    class Plugin:
        @hookimpl
        def lotdb_get_backend(self, name):
            return backend if name == backend.name else None

    plugins = Plugins()
    plugins.register(Plugin(), name=f"test backend {backend.name}")
    return plugins
