"""Opening a database that is to be copied."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from lotdb.database import LOTDB
from lotdb.database.choosing import where_is
from lotdb.errors import DatabaseNotFoundError
from lotdb.storage import DatabaseFolder

__all__ = ["open_source"]


def open_source(
    path: str | os.PathLike[str],
    name: str,
    backends: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    option: str,
) -> LOTDB:
    """The database, read-only. If there is none, the message does not say how to create one.

    *option* is what the user calls *path*.
    """
    if not where_is(path, name, None, option=option).url:
        DatabaseFolder.at(path, name, option=option)
    try:
        return LOTDB(path, name=name, read_only=True, backends=backends)
    except DatabaseNotFoundError as error:
        raise DatabaseNotFoundError(str(error).partition("; leave out read_only")[0]) from error
