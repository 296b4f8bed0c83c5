"""What an ingester returns, and what the core gives to exporters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, ClassVar, TypeAlias

from lotdb.errors import ExportError
from lotdb.interfaces.options import Options, check_known

__all__ = ["Answer", "Ingested", "IngestedNode", "TargetFile"]


@dataclass(frozen=True)
class Ingested:
    """The result of an ingester.

    Parameters
    ----------
    data
        An array (rows first; channels in columns), a text, bytes, or :class:`lotdb.Blocks` of such.
    format
        The name of the format that was read, such as ``"npy"``.
    samplerate_hz
        Rows per second, if the file names a rate.
    content_type
        The media type, such as ``"audio/wav"``.
    metadata
        Other contents of the file, as values that attributes can hold; stored with the payload.
    attributes
        Attributes for the node, by name; names that begin with "_" are the core's own.
    backend
        Name of the backend, if the format calls for one. The user's ``backend=`` comes first, this one
        before the node's default.
    """

    data: Any
    format: str
    samplerate_hz: float | None = None
    content_type: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    backend: str | None = None


@dataclass(frozen=True)
class IngestedNode:
    """The result of an ingester for a file that holds a tree: a node, with those below it.

    Parameters
    ----------
    payloads
        The payloads of the node by name, or a single one. As for a file without a tree, a payload is called
        ``<data_attribute>.<name>``, and a single one ``<data_attribute>``, in each node of the tree.
    attributes
        Attributes of the node, by name; names that begin with "_" are the core's own.
    node_type
        Registered name of the node's type; by default ``"data"`` for a node with payloads. A node that is
        there already keeps its type if that is a kind of *node_type*.
    children
        The nodes below, by key; one that has nothing but payloads may be given as these alone.

    Examples
    --------
    >>> import numpy as np
    >>> left = Ingested(np.zeros((100, 3)), format="gait", samplerate_hz=50)
    >>> IngestedNode(attributes={"subject": "S01"}, children={"left": left}).children["left"].samplerate_hz
    50
    """

    payloads: Ingested | Mapping[str, Ingested] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    node_type: str | None = None
    children: Mapping[str, IngestedNode | Ingested | Mapping[str, Ingested]] = field(default_factory=dict)


#: What an ingester may give.
Answer: TypeAlias = IngestedNode | Ingested | Mapping[str, Ingested]


@dataclass(frozen=True)
class TargetFile:
    """The file that an exporter writes.

    Parameters
    ----------
    path
        The path that the user passed; for messages. It appears when the file is complete: write to *file*.
    file
        An open file, binary, readable, seekable and empty.
    format
        What the user asked for with ``format=``, or else the suffix in lower case without its dot.
    options
        Further arguments of the user, such as ``subtype``.
    """

    path: Path
    file: IO[bytes]
    format: str
    options: Mapping[str, Any] = field(default_factory=dict)
    # What makes a folder, for an exporter of nodes: it is put into the object.
    _new_folder: ClassVar[Any] = None

    def as_folder(self, is_ours: Callable[[Path], bool]) -> Path:
        """A new, empty folder to write to, for ``lotdb_export_node``; it appears in place of the file.

        LOTDB puts it on the disk, and gives it its name, when the exporter returns.

        Parameters
        ----------
        is_ours
            Called with the folder that is at the path, if the user wants it replaced: whether it is an
            export of the same kind. No other is ever replaced.

        Raises
        ------
        ExportError
            If something is there that is not to be replaced, or a payload is exported.
        """
        if self._new_folder is None:
            raise ExportError(f"format {self.format!r} is a folder, which a payload cannot become")
        folder: Path = self._new_folder(is_ours)
        return folder

    def check_options(self, *known: str) -> None:
        """Raise ``InvalidOptionError`` for an option of the user that is not in *known*."""
        given = self.options.given if isinstance(self.options, Options) else self.options
        check_known(f"writing {self.format!r}", given, known, ("format", "if_exists"))
        if isinstance(self.options, Options):
            self.options.asked.update(known)
