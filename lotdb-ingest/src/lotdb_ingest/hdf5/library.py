"""h5py, which is imported when it is needed, and files that it opens."""

from __future__ import annotations

import importlib
from typing import Any

from lotdb import IngestError, MissingPluginError, SourceFile

__all__ = ["check_inside", "h5py", "opened"]


def h5py() -> Any:
    """The library; ``MissingPluginError`` with the pip command if it is not installed."""
    try:
        return importlib.import_module("h5py")
    except ModuleNotFoundError as error:
        if error.name != "h5py":
            raise
        raise MissingPluginError(
            'HDF5 needs h5py, which is not installed; install it with: pip install "lotdb-ingest[hdf5]"'
        ) from error


def opened(source: SourceFile) -> Any:
    """*source* as a file of h5py, which lives as long as something refers to it."""
    library = h5py()
    try:
        # Through the open file, so that no path is opened again; a link to another file is never followed.
        return library.File(source.file, "r")
    except (OSError, RuntimeError, ValueError) as error:
        raise IngestError(f"it is no HDF5 file, or damaged: {error}") from error


def check_inside(dataset: Any) -> None:
    """Raise ``IngestError`` if the data of *dataset* are in other files: only what was named is opened."""
    if dataset.external or dataset.is_virtual:
        raise IngestError(f"the data of dataset {dataset.name} are in other files, which are not read")
