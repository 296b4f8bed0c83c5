"""Payloads in a folder of ``.npy`` files, one for each array."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lotdb import Backend, DamagedError, open_part


class NpyFolderBackend(Backend):
    """One ``.npy`` file for each array, named by its locator."""

    name = "npyfolder"
    concurrent_reads = 1  # a local folder answers at once

    def write(self, locator: str, array: np.ndarray[Any, Any], options: Mapping[str, Any]) -> None:
        path = self._path(locator)
        path.parent.mkdir(exist_ok=True)
        with open(path, "xb") as file:
            np.save(file, array, allow_pickle=False)
            file.flush()
            self.context.sync(file.fileno())
        # A new file is on the disk only once the folder that names it is.
        self.context.sync_folder(path.parent)
        self.context.sync_folder(path.parent.parent)

    def read_into(self, locator: str, first_row: int, out: np.ndarray[Any, Any]) -> None:
        path = self._path(locator)
        try:
            os.close(open_part(path))  # which refuses a link, and whatever else is no file
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except SystemError:  # Python before 3.11.8, if another thread parses a header, too: the file is right
            return self.read_into(locator, first_row, out)
        except Exception as error:  # NumPy has many for a header that is damaged
            raise DamagedError(f"cannot read {path}: {error!r}") from error
        rows = array[first_row : first_row + len(out)] if array.ndim else array
        if rows.shape != out.shape or rows.dtype != out.dtype:
            raise DamagedError(
                f"{path} holds an array {array.shape} {array.dtype}; recorded are, from row {first_row} on, "
                f"{out.shape} {out.dtype}"
            )
        # As bytes, because NumPy's assignment skips the padding between the fields of a structure.
        out.view(np.uint8)[...] = rows.view(np.uint8)

    def delete(self, locator: str) -> None:
        self._path(locator).unlink(missing_ok=True)

    def locators(self) -> Iterator[tuple[str, float]]:
        for path in self.context.folder.glob("*.npy"):
            yield path.stem, path.stat().st_mtime

    def files(self, locator: str) -> Iterator[tuple[str, int]]:
        path = self._path(locator)
        if path.exists():
            yield str(path), path.stat().st_size

    def describe(self, locator: str) -> str:
        return str(self._path(locator))

    def _path(self, locator: str) -> Path:
        return self.context.folder / f"{locator}.npy"
