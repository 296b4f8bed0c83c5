"""Building the new database under another name, and giving it its own when it is whole."""

from __future__ import annotations

import os
import tempfile

from lotdb.backups.appearing import appearing, refuse_existing
from lotdb.database import LOTDB
from lotdb.database.choosing import refuse_url
from lotdb.errors import system_errors
from lotdb.interfaces.options import check_progress
from lotdb.storage.folder import check_path
from lotdb.upgrading.carrying import Progress, copy_all, survey
from lotdb.upgrading.old import OldDatabase, data_file_of
from lotdb.upgrading.report import UpgradeReport

__all__ = ["build"]


def build(
    old: str | os.PathLike[str],
    new: str | os.PathLike[str] | None,
    *,
    name: str | None,
    progress: Progress | None,
) -> UpgradeReport:
    """See ``lotdb.upgrade``."""
    refuse_url(new, "an upgrade")
    check_progress(progress)
    check_path(old, "old", "a folder or a data file")
    if new is not None:
        check_path(new, "new", "a folder that does not exist")
    data_file = data_file_of(old, name)
    if new is not None:
        refuse_existing(os.path.abspath(new))
    report = UpgradeReport()
    with OldDatabase(data_file) as source:
        total = survey(source)
        if new is None:
            with tempfile.TemporaryDirectory(prefix="lotdb-upgrade-") as folder:
                _fill(folder, source, total, report, progress)
            return report
        target = os.path.abspath(new)
        with (
            system_errors("the new database cannot be written", target),
            appearing(target, "upgrade") as building,
        ):
            _fill(building, source, total, report, progress)
            source.check_unchanged()
    return report


def _fill(
    folder: str, source: OldDatabase, total: int, report: UpgradeReport, progress: Progress | None
) -> None:
    with LOTDB(folder, new=True) as db:
        copy_all(source, db, total, report, progress)
