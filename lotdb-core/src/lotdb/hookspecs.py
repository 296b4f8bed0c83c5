"""The hooks that a plugin may implement, with one class for each kind of plugin.

A plugin is a module (or object) named by an entry point in one of five groups::

    [project.entry-points."lotdb.backend"]      where payloads are stored
    mine = "my_package.plugin"

    [project.entry-points."lotdb.ingester"]     which files can be ingested
    [project.entry-points."lotdb.node"]         node types, attribute types, listeners
    [project.entry-points."lotdb.command"]      commands of the command line
    [project.entry-points."lotdb.storage"]      where the records of the tree are stored

The module defines functions marked with :data:`hookimpl`. It should import nothing heavy at its top, because
LOTDB loads several plugins and uses only one of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from pathlib import Path

    import click

    from lotdb.content.payload import Payload
    from lotdb.interfaces.backend import Backend
    from lotdb.interfaces.ingester import Answer, TargetFile
    from lotdb.interfaces.loader import Database
    from lotdb.interfaces.sources import SourceFile
    from lotdb.interfaces.storage import Storage
    from lotdb.tree.changes import Changes
    from lotdb.tree.handle import Handle
    from lotdb.values.valuetype import ValueType

__all__ = ["BackendSpec", "CommandSpec", "IngesterSpec", "NodeSpec", "StorageSpec", "hookimpl", "hookspec"]

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
        """The class of the backend called *name*, or None for other names."""

    @hookspec(firstresult=True)
    def lotdb_get_backend_settings(self, name: str) -> Collection[str] | None:
        """The names of the settings of the backend called *name*, or None for other names.

        It is for a backend whose class takes long to import: with it, ``LOTDB(backends=...)`` refuses other
        settings at once, and not when the backend is first used. Give the class the same :attr:`settings`.
        """


class IngesterSpec:
    """Group ``lotdb.ingester``: reads a family of file formats, and writes them if it can.

    LOTDB calls all ingesters, in no promised order, until one does not return None. A plugin that reads any
    file marks its function with ``@hookimpl(trylast=True)``::

        @hookimpl
        def lotdb_ingest_file(source):
            if source.format != "dat":
                return None
            header = source.file.read(16)
            ...
            return Ingested(data=array, samplerate_hz=rate, metadata={"unit": "mV"})
    """

    @hookspec(firstresult=True)
    def lotdb_ingest_file(self, source: SourceFile) -> Answer | None:
        """The contents of *source*, or None for other formats.

        Return a ``lotdb.Ingested``. For a file that becomes several payloads, return a mapping of names to
        such; for a file that holds a tree, a ``lotdb.IngestedNode``. Each payload has a rate of its own.
        ``source.beside`` opens files that belong to it, and ``source.as_path`` is for libraries that open
        files by name.

        Any exception, here or while blocks are read, becomes an ``IngestError`` that names the file, the
        plugin and the reason; then the node does not change. Raise for a damaged file. If the plugin
        identifies a file, and then returns None for it, it counts as damaged, and no other ingester gets
        it. An option of the user at which the plugin did not look is an error as well.
        """

    @hookspec
    def lotdb_get_ingest_formats(self) -> Iterable[str] | None:
        """Names of the formats that the plugin reads.

        They are in the message about a format that nobody reads. If the user names a format, a plugin with
        this hook is asked for its own formats only. A plugin that reads any file needs it: without it, the
        plugin would also read what somebody has named by mistake.
        """

    @hookspec(firstresult=True)
    def lotdb_identify_file(self, source: SourceFile) -> str | None:
        """The name of the format, if *source* begins with its signature; None for other formats.

        Called for ``format="auto"``, and for the message when a file is not what its name says.
        ``source.head`` is usually enough. Formats without a signature, such as csv, are recognized only by
        the suffix of the file name.
        """

    @hookspec(firstresult=True)
    def lotdb_export_file(self, target: TargetFile, payload: Payload) -> bool | None:
        """Write *payload* to ``target.file``, and return True; None for other formats.

        Any exception becomes an ``ExportError``; then no file is written.
        """

    @hookspec
    def lotdb_get_export_formats(self) -> Iterable[str] | None:
        """Names of the formats that the plugin writes, for the message about one that nobody writes."""

    @hookspec(firstresult=True)
    def lotdb_export_node(self, target: TargetFile, node: Handle) -> bool | None:
        """Write *node*, with all its payloads and what is below it, to ``target.file``, and return True.

        None for other formats. It is called for ``node.export(path)``; otherwise it is as
        ``lotdb_export_file``. A format that is a folder is written to ``target.as_folder(...)``.
        """

    @hookspec(firstresult=True)
    def lotdb_ingest_tree(self, source: SourceFile) -> object | None:
        """What ``node.export`` wrote to *source*, for ``node.ingest``; None for all other files.

        Return a ``lotdb.IngestedTree``: the ``lotdb.TreeIndex`` that was stored in the file, and a function
        that reads the rows of a payload.
        """

    @hookspec(firstresult=True)
    def lotdb_ingest_folder(self, folder: Path) -> object | None:
        """What is in *folder*, for ``node.ingest``; None for folders of other kinds.

        Return a ``lotdb.IngestedTree`` for what ``node.export`` wrote, and a ``lotdb.IngestedNode`` for what
        another program wrote. The contents of the folder show which it is; follow no links that lead out of
        it.
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
        """The class of nodes of type *name*, or None for other names."""

    @hookspec
    def lotdb_get_value_types(self) -> Iterable[ValueType] | None:
        """More types of values that attributes may hold, each with its encoder and decoder."""

    # The next four are called within a change. Whatever is raised there refuses the change: it is undone, and
    # the exception comes out to the caller as it is. *database* is that of the node, None for a tree in
    # memory. An abort may still undo what was changed: the last one is for keeping something beside the tree.

    @hookspec
    def lotdb_node_created(self, node: Handle, database: Database | None) -> None:
        """*node* has just been created, or added with all below it, and nothing is committed yet."""

    @hookspec
    def lotdb_node_moved(self, node: Handle, old_path: str, database: Database | None) -> None:
        """*node* has just been renamed or moved; it was at *old_path*."""

    @hookspec
    def lotdb_node_deleted(self, parent: Handle, key: str, database: Database | None) -> None:
        """The node *key* below *parent* has just been deleted, with everything below it.

        If only the node was deleted, its children are told as moved after it.
        """

    @hookspec
    def lotdb_payload_written(self, node: Handle, name: str, database: Database | None) -> None:
        """Payload *name* of *node* has just been written, replaced or appended to."""

    @hookspec
    def lotdb_committed(self, database: Database, changes: Changes) -> None:
        """A transaction of *database* was committed, and is durable; *changes* are what it changed, net.

        Called once for each commit, in the order of the commits, in the thread that commits, which waits.
        Nothing that was undone is told, nor is a tree in memory. The database can be read, through a
        connection of its own, and is as this commit left it; it cannot be changed before the hook returns.

        Whatever is raised becomes a ``ListenerWarning``; the commit stands, and other listeners are told. A
        process that is killed after a commit tells nobody. ``changes.previous_id`` shows whether a commit
        was missed, and so does ``database.last_commit`` when the database is opened again.
        """


class CommandSpec:
    """Group ``lotdb.command``: commands of the command line.

    The entry point's name is the command's name: it is listed by ``lotdb --help``, and the plugin is loaded
    when the command is called. A command is one of click's::

        import click

        @click.command()
        @click.argument("database")
        def frames(database):
            \"\"\"Print the tables of DATABASE.\"\"\"
            ...

        @hookimpl
        def lotdb_register_commands(group):
            group.add_command(frames, "frames")
    """

    @hookspec
    def lotdb_register_commands(self, group: click.Group) -> None:
        """Add commands to *group*, each under the name of its entry point."""


class StorageSpec:
    """Group ``lotdb.storage``: where the records of the tree are stored.

    The entry point's name is the storage's name: the one that users pass as ``storage=``, or the scheme of
    the URL that they pass in place of a folder. The plugin is loaded when such a database is opened::

        @hookimpl
        def lotdb_get_storage(name):
            if name != "mine":
                return None
            from my_package.storage import MyStorage   # imports the heavy library
            return MyStorage
    """

    @hookspec(firstresult=True)
    def lotdb_get_storage(self, name: str) -> type[Storage] | None:
        """The class of the storage called *name*, or None for other names."""
