"""Copying a backup to a folder of its own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from lotdb.backups.appearing import appearing, refuse_existing
from lotdb.backups.backup import check_copy, check_outside
from lotdb.backups.source import open_source
from lotdb.database.choosing import refuse_url
from lotdb.database.copied import BackupReport, Progress
from lotdb.errors import system_errors
from lotdb.interfaces.options import check_flag, check_progress
from lotdb.storage.folder import check_path

__all__ = ["restore_to"]


def restore_to(
    backup: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    name: str,
    verify: bool,
    progress: Progress | None,
    backends: Mapping[str, Mapping[str, Any]] | None,
) -> BackupReport:
    """See ``lotdb.restore``."""
    check_path(folder, "folder", "a folder that does not exist")
    refuse_url(folder, "the restored database")
    verify = check_flag("verify", verify)
    check_progress(progress)
    target = os.path.abspath(folder)
    refuse_existing(target)
    with (
        open_source(backup, name, backends, option="backup") as db,
        system_errors("the backup was not restored", target),
    ):
        check_outside(db, target)  # before a folder is made there
        with appearing(target, "restore") as building:
            report = db.backup(building, progress=progress)
            os.remove(os.path.join(building, f"{name}.backup"))  # it is no backup, but the database itself
            if verify:
                check_copy(db, building, backends)
    return report
