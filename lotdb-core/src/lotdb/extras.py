"""What a plain install does not bring: imported when it is first needed, or told how to get."""

from __future__ import annotations

import importlib
from typing import Any

from lotdb.errors import MissingPluginError


def import_extra(module: str, extra: str, needed_by: str) -> Any:
    """The *module* that the extra *extra*, such as ``lotdb-core[pandas]``, installs.

    Raises
    ------
    MissingPluginError
        If it is not installed. The message begins with *needed_by* and holds the pip command.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        # A library that is there, but lacks a part of its own, is another trouble, with a message of its own.
        library = module.partition(".")[0]
        if (error.name or "").partition(".")[0] != library:
            raise
        raise MissingPluginError(
            f'{needed_by} needs {library}, which is not installed; install it with: pip install "{extra}"'
        ) from error


# Of our own packages, those that have a format which not every install of lotdb-ingest has.
_PACKAGES = {
    **dict.fromkeys(("h5", "hdf5", "hdf", "he5"), '"lotdb-ingest[hdf5]"'),
    "zarr": "lotdb-backend-zarr",
}


def package_of(format: str) -> str | None:
    """What to install, as pip is told, for a *format* that is not a matter of ``lotdb-ingest`` alone."""
    return _PACKAGES.get(format)
