"""A backend for tests that keeps the bytes of each array in a file, and counts what it is asked for."""

import threading
from typing import ClassVar

import numpy as np

from lotdb import LOTDB, Backend, DamagedError, Plugins, hookimpl


class RawBackend(Backend):
    """Like that of any stranger: it declares nothing."""

    name = "raw"
    requests: ClassVar[list[tuple[str, int, int]]] = []
    threads: ClassVar[set[int]] = set()

    def path(self, locator):
        return self.context.folder / locator

    def write(self, locator, array, options):
        self.context.folder.mkdir(exist_ok=True)
        self.path(locator).write_bytes(array.tobytes())

    def read_into(self, locator, first_row, out):
        self.requests.append((locator, first_row, len(out)))
        self.threads.add(threading.get_ident())
        self.answer(locator)
        row_bytes = out.nbytes // len(out)
        try:
            with open(self.path(locator), "rb") as file:
                file.seek(first_row * row_bytes)
                if file.readinto(out.reshape(-1).view(np.uint8)) != out.nbytes:
                    raise DamagedError(f"{self.path(locator)} is too short")
        except FileNotFoundError as error:
            raise DamagedError(f"{self.path(locator)} is missing") from error

    def answer(self, locator):
        """What a subclass does before it reads."""

    def delete(self, locator):
        self.path(locator).unlink(missing_ok=True)

    def locators(self):
        for path in self.context.folder.glob("seg-*"):
            yield path.name, path.stat().st_mtime

    def files(self, locator):
        path = self.path(locator)
        return [(str(path), path.stat().st_size)] if path.exists() else []

    def describe(self, locator):
        return str(self.path(locator))


def fresh(base=RawBackend, **members):
    """A class of its own, so that no test sees what another one counted."""
    return type("Fresh", (base,), {"requests": [], "threads": set(), **members})


class Plugin:
    def __init__(self, backend):
        self.backend = backend

    @hookimpl
    def lotdb_get_backend(self, name):
        return self.backend if name == self.backend.name else None


def opened(folder, backend, **how):
    """A database whose payloads go to *backend*, a class or a name."""
    plugins = Plugins()
    if isinstance(backend, type):
        plugins.register(Plugin(backend), name=f"test backend {backend.name}")
        backend = backend.name
    return LOTDB(folder, default_backend=backend, plugins=plugins, durability="process", **how)
