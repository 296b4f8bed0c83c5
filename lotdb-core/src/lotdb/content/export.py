"""Exporting: asking the plugins to write a payload, or a node with all that it has, to a file."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import IO, Any, Literal

from lotdb.content.new_folder import UNFINISHED, new_folder, recover
from lotdb.errors import (
    ExportError,
    FileSystemError,
    InvalidOptionError,
    LotdbError,
    lacking,
    shown,
    text_of,
)
from lotdb.extras import package_of
from lotdb.interfaces.ingester import TargetFile
from lotdb.interfaces.loader import Loader
from lotdb.interfaces.options import Options, check_choice
from lotdb.storage.durable import Disk
from lotdb.storage.folder import check_path

__all__ = ["TargetFile", "export_file"]


def export_file(
    path: str | os.PathLike[str],
    *,
    hook: str,
    place: str,
    what: str,
    format: str | None,
    if_exists: Literal["error", "replace"],
    options: Mapping[str, Any],
    plugins: Loader,
    **exported: Any,
) -> None:
    """Write *exported* to *path* with the plugin that knows the format.

    *hook* is called with it; messages call it *place*, and say that nobody writes *what*.

    Raises
    ------
    FileSystemError
        If there is no space, or there are too many open files.
    ExportError
        If the file exists, cannot be written, or cannot hold what is exported without loss; then *path* is
        as it was before.
    """
    ask = partial(_ask, hook=hook, what=what, plugins=plugins, exported=exported)
    path, format = _check(path, format, if_exists)
    try:
        # A link stays a link: the file that it points to is written.
        real = Path(os.path.realpath(path))
        recover(real)
        _check_place(real, path, if_exists, may_be_folder=hook == "lotdb_export_node")
        with contextlib.ExitStack() as folders, _written_whole(real, if_exists) as file:
            target = TargetFile(path=path, file=file, format=format, options=Options(options))
            if hook == "lotdb_export_node":
                make = partial(_new_folder, folders, file, real, if_exists)
                target.__dict__["_new_folder"] = make
            ask(target)
    except (ExportError, OSError) as error:
        if isinstance(error, LotdbError) and not isinstance(error, ExportError):
            raise
        if failure := lacking(error):
            about = f"cannot export {place}: {failure.strerror}"
            raise FileSystemError(failure.errno, about, str(path)) from error
        # Without the names in an OSError: one of them is that of the unfinished file.
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise ExportError(f"cannot export {place} to {str(path)!r}: {reason}") from error


def _ask(target: TargetFile, *, hook: str, what: str, plugins: Loader, exported: Mapping[str, Any]) -> None:
    exporters = plugins.ingesters(hook)
    for plugin, function in exporters:
        assert isinstance(target.options, Options)
        target.options.asked.clear()
        try:
            if function(target=target, **exported) is not None:
                target.options.check(f"writing {target.format!r}", ("format", "if_exists"))
                return
        except (LotdbError, KeyboardInterrupt):
            raise
        except BaseException as error:
            # The plugin border: what a file format's library raises becomes one error, SystemExit included.
            raise ExportError(
                f"plugin {plugin!r} failed: {type(error).__name__}: {text_of(error)}"
            ) from error
    if package := package_of(target.format):
        more = f", or install this one with: pip install {package}"
    elif not exporters and not plugins.ingesters("lotdb_export_file"):
        more = ", or install file formats with: pip install lotdb-ingest"
    else:
        formats = [] if hook != "lotdb_export_file" else plugins.export_formats()
        # Not the one that was refused: what writes it takes data of another kind.
        others = [each for each in formats if each != target.format]
        more = f" (there are: {', '.join(others)})" if others else ""
    raise ExportError(
        f"no installed plugin writes {what} as {target.format!r}; choose another suffix or format={more}"
    )


def _check(path: Any, format: Any, if_exists: Any) -> tuple[Path, str]:
    path = check_path(path, what="a file")
    if format is not None and not isinstance(format, str):
        raise InvalidOptionError(f"format is {shown(format)}; use the name of a format, such as 'npy'")
    check_choice("if_exists", if_exists, ("error", "replace"))
    path = Path(path)
    format = (format or path.suffix.removeprefix(".")).lower()
    if not format:
        raise InvalidOptionError(f"{str(path)!r} has no suffix that says the format; pass format=")
    return path, format


def _check_place(place: Path, path: Path, if_exists: str, *, may_be_folder: bool) -> None:
    """Raise ``ExportError`` unless a file may be written at *place*, to which *path* leads."""
    if place.is_dir():
        if not may_be_folder:
            raise ExportError(_FOLDER)
        if if_exists == "error":
            raise ExportError(f"{_FOLDER}, or pass if_exists='replace' if it is an export")
    elif os.path.lexists(place) and not place.is_file():
        raise ExportError("it exists and is not a regular file; choose another path")
    if if_exists == "error" and os.path.lexists(path):
        raise ExportError(_THERE)
    if not place.parent.is_dir():
        raise ExportError(f"there is no folder {str(place.parent)!r}; make it first")


_FOLDER = "it is a folder; add the name of a file"
_THERE = "the file already exists; pass if_exists='replace' to replace it"


def _new_folder(
    folders: contextlib.ExitStack,
    file: IO[bytes],
    place: Path,
    if_exists: str,
    is_ours: Callable[[Path], bool],
) -> Path:
    """A folder that appears at *place* when *folders* are closed, in the place of *file*."""
    folder = folders.enter_context(new_folder(place, if_exists, is_ours))
    file.close()
    return folder


@contextlib.contextmanager
def _written_whole(place: Path, if_exists: str) -> Iterator[IO[bytes]]:
    """A new file that appears at *place*, synced to the disk, when the block ends without an error."""
    # In the same folder, so that the file gets its name in one step.
    unfinished = place.with_name(f".{uuid.uuid4().hex[:16]}{UNFINISHED}")
    try:
        with open(unfinished, "x+b") as file:
            yield file
            if file.closed:  # the exporter has written a folder
                return
            file.flush()
            os.fsync(file.fileno())
        if place.is_dir():
            raise ExportError(_FOLDER)
        if if_exists == "replace":
            if place.exists():
                shutil.copymode(place, unfinished)
            os.replace(unfinished, place)
        else:
            _give_name(unfinished, place)
        with contextlib.suppress(OSError):  # not every network or removable disk can; the file is whole
            Disk().sync_folder(str(place.parent))
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)


def _give_name(unfinished: Path, place: Path) -> None:
    """Move *unfinished* to *place*, unless a file has appeared there meanwhile."""
    try:
        os.link(unfinished, place)
    except OSError as error:
        if os.path.lexists(place):
            raise ExportError(_THERE) from error
        os.replace(unfinished, place)  # a file system without hard links
