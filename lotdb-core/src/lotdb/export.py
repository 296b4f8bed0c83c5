"""Writing a payload to a file: what an exporter is given, and asking for it."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from lotdb.errors import ExportError, InvalidOptionError, LotdbError, shown, text_of

if TYPE_CHECKING:
    from lotdb.payload import Payload
    from lotdb.plugins import Plugins

__all__ = ["TargetFile", "export_file"]


@dataclass(frozen=True)
class TargetFile:
    """The file that an exporter is to write.

    Parameters
    ----------
    path
        As the user gave it; for messages. It comes into being when all is written: write to *file*.
    file
        An open file, binary, readable, seekable and empty.
    format
        What the user asked for with ``format=``, or else the suffix in lower case without its dot.
    options
        Further arguments of the user's, such as ``subtype``.
    """

    path: Path
    file: IO[bytes]
    format: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def check_options(self, *known: str) -> None:
        """Raise ``InvalidOptionError`` for an option of the user's that is none of the *known* ones."""
        for option in self.options:
            if option not in known:
                takes = ", ".join(known) or "none"
                raise InvalidOptionError(
                    f"writing {self.format!r} takes no option {option!r} (it takes: {takes})"
                )


def export_file(
    payload: Payload,
    path: str | os.PathLike[str],
    *,
    format: str | None,
    if_exists: Literal["error", "replace"],
    options: Mapping[str, Any],
    plugins: Plugins,
) -> None:
    """Have *payload* written to *path* by the plugin that knows the format.

    Raises
    ------
    ExportError
        If the file is there already, cannot be written, or cannot hold the payload without loss; nothing
        is left at *path* then that was not there before.
    """
    path, format = _check(path, format, if_exists)
    what = f"cannot export {payload._place} to {str(path)!r}"
    if if_exists == "error" and os.path.lexists(path):
        raise ExportError(f"{what}: the file is there already; pass if_exists='replace' to replace it")
    try:
        with _written_whole(path) as file:
            target = TargetFile(path=path, file=file, format=format, options=options)
            _ask(target, payload, plugins)
    except ExportError as error:
        raise ExportError(f"{what}: {error}") from error
    except OSError as error:
        if isinstance(error, LotdbError):
            raise
        raise ExportError(f"{what}: {error}") from error


def _ask(target: TargetFile, payload: Payload, plugins: Plugins) -> None:
    for plugin, function in plugins.ingesters("lotdb_export_file"):
        try:
            if function(target=target, payload=payload) is not None:
                return
        except (LotdbError, KeyboardInterrupt):
            raise
        except BaseException as error:
            # The plugin border: what a file format's library raises becomes one error, SystemExit included.
            raise ExportError(
                f"plugin {plugin!r} failed: {type(error).__name__}: {text_of(error)}"
            ) from error
    raise ExportError(
        f"no installed plugin writes {payload.kind} data as {target.format!r}; "
        "choose another suffix or format=, or install more with: pip install lotdb-ingest"
    )


def _check(path: Any, format: Any, if_exists: Any) -> tuple[Path, str]:
    if not isinstance(path, str | os.PathLike) or not isinstance(os.fspath(path), str) or not os.fspath(path):
        raise InvalidOptionError(f"path is {shown(path)}; use the path of a file, as text")
    if format is not None and not isinstance(format, str):
        raise InvalidOptionError(f"format is {shown(format)}; use the name of a format, such as 'npy'")
    if if_exists not in ("error", "replace"):
        raise InvalidOptionError(f"if_exists is {shown(if_exists)}; use 'error' or 'replace'")
    path = Path(path)
    format = (format or path.suffix.removeprefix(".")).lower()
    if not format:
        raise InvalidOptionError(f"{str(path)!r} has no suffix that says the format; pass format=")
    return path, format


@contextlib.contextmanager
def _written_whole(path: Path) -> Iterator[IO[bytes]]:
    """A new file that comes to *path*, durably, when the block has ended without an error."""
    # Beside it, so that renaming it is one step.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.")
    try:
        with open(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
