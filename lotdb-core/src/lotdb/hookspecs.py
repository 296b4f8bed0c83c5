"""The hooks that a plugin may implement, one spec class for each kind of plugin.

A plugin is a module (or object) named by an entry point in one of three groups::

    [project.entry-points."lotdb.backend"]      where payloads are stored
    mine = "my_package.plugin"

    [project.entry-points."lotdb.ingester"]     which files can be taken in
    [project.entry-points."lotdb.node"]         node types, attribute types, and what happens to nodes

The module defines functions marked with :data:`hookimpl`. It should import nothing heavy at its top:
plugins are loaded to be asked, and only one of them answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from lotdb.content.payload import Payload
    from lotdb.interfaces.backend import Backend
    from lotdb.interfaces.files import Ingested, SourceFile, TargetFile
    from lotdb.tree.handle import Handle
    from lotdb.values.values import ValueType

__all__ = ["BackendSpec", "IngesterSpec", "NodeSpec", "hookimpl", "hookspec"]

hookspec = pluggy.HookspecMarker("lotdb")
hookimpl = pluggy.HookimplMarker("lotdb")


class BackendSpec:
    """Group ``lotdb.backend``: a place where payloads are stored.

    The entry point's name is the backend's name, the one that users pass as ``backend=``; the plugin is
    loaded when that backend is first used::

        from lotdb.hookspecs import hookimpl

        @hookimpl
        def lotdb_get_backend(name):
            if name != "mine":
                return None
            from my_package.backend import MyBackend   # imports the heavy library
            return MyBackend
    """

    @hookspec(firstresult=True)
    def lotdb_get_backend(self, name: str) -> type[Backend] | None:
        """The class of the backend called *name*, or None if it is not this plugin's."""


class IngesterSpec:
    """Group ``lotdb.ingester``: a family of file formats, read and, if it can, written.

    All ingesters are asked, in no promised order, until one does not answer None. A plugin of last
    resort, which takes any file, marks itself with ``@hookimpl(trylast=True)``::

        @hookimpl
        def lotdb_ingest_file(source):
            if source.format != "dat":
                return None
            header = source.file.read(16)
            ...
            return Ingested(data=array, samplerate_hz=rate, metadata={"unit": "mV"})
    """

    @hookspec(firstresult=True)
    def lotdb_ingest_file(self, source: SourceFile) -> Ingested | Mapping[str, Ingested] | None:
        """The contents of *source*, or None if it is not this plugin's to read.

        A file that holds several things gives several payloads: a mapping of names to what they hold.

        Whatever is raised, here or while blocks are read, reaches the user as an ``IngestError`` that
        names the file, the plugin and the reason; the node is then as it was.
        """

    @hookspec(firstresult=True)
    def lotdb_identify_file(self, source: SourceFile) -> str | None:
        """The name of the format by whose mark *source* begins, or None if the plugin does not know it.

        Asked for ``format="auto"``, and to say more when a file is not what its name says. ``source.head``
        is enough for most; formats without a mark, such as csv, are known by the file name's suffix alone.
        """

    @hookspec(firstresult=True)
    def lotdb_export_file(self, target: TargetFile, payload: Payload) -> bool | None:
        """Write *payload* to ``target.file``, and return True; None if the format is not this plugin's.

        Whatever is raised reaches the user as an ``ExportError``, and no file is left.
        """


class NodeSpec:
    """Group ``lotdb.node``: behaviour of nodes.

    A node type is a subclass of :class:`lotdb.BaseNode` that adds methods. The database stores the
    type's registered name and never the class: without the plugin the same nodes open as plain
    ``BaseNode``. The entry point's name is the type's name::

        class Recording(BaseNode):
            def duration_s(self): ...

        @hookimpl
        def lotdb_get_node_type(name):
            return Recording if name == "recording" else None
    """

    @hookspec(firstresult=True)
    def lotdb_get_node_type(self, name: str) -> type[Handle] | None:
        """The class that gives nodes of type *name* their behaviour, or None if it is not ours."""

    @hookspec
    def lotdb_get_value_types(self) -> Iterable[ValueType] | None:
        """More types of values that attributes may hold, each with its encoder and decoder."""

    @hookspec
    def lotdb_node_created(self, node: Handle) -> None:
        """*node* has just been created, in a transaction that is not committed yet."""

    @hookspec
    def lotdb_node_moved(self, node: Handle, old_path: str) -> None:
        """*node* has just been renamed or moved; it was at *old_path*."""

    @hookspec
    def lotdb_node_deleted(self, parent: Handle, key: str) -> None:
        """The node *key* below *parent* has just been deleted, with all below it."""

    @hookspec
    def lotdb_payload_written(self, node: Handle, name: str) -> None:
        """Payload *name* of *node* has just been written, replaced or appended to."""
