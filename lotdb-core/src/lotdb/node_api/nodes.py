"""BaseNode: hierarchy and attributes. DataNode: a BaseNode with methods for payloads."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, ItemsView, Iterator, KeysView, Mapping, ValuesView
from importlib import import_module
from threading import get_ident
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, SupportsIndex, TypeVar, cast, overload

from lotdb.content import attributes
from lotdb.content.attributes import Attributes
from lotdb.content.defaults import POLICY, check_policy
from lotdb.errors import (
    InvalidMoveError,
    MissingPluginError,
    NodeNotFoundError,
    PluginError,
    StaleNodeError,
    UnsupportedValueError,
    WrongNodeTypeError,
    refusing,
)
from lotdb.interfaces.options import check_flag, check_known, check_progress
from lotdb.keys import check_key
from lotdb.node_api.data_methods import DataMethods
from lotdb.node_api.mappings import ChildItems, ChildKeys, ChildNodes, Payloads
from lotdb.records import Own
from lotdb.records.children import child_items, count_children, count_up_to, items_from
from lotdb.records.entries import own_of, type_of
from lotdb.records.own import EMPTY_OWN
from lotdb.registry.registry import BUILT_IN_NODE_TYPES, Plugins, check_plugins
from lotdb.renamed import ARGUMENTS, DATA_NODE, NODE, Renamed, answer, answers_itself, hide, refuse
from lotdb.tree import graft, walk
from lotdb.tree.graft import IfExists
from lotdb.tree.node import Node, class_of, set_classes
from lotdb.tree.whole import steps_noted

__all__ = ["BaseNode", "DataNode"]

T = TypeVar("T")

if TYPE_CHECKING:
    from lotdb.content.payload import Payload
    from lotdb.content.usage import Usage
    from lotdb.files.folders import IngestReport
    from lotdb.interop.labels import NodeDatasets
    from lotdb.looking.text_tree import TextTree
    from lotdb.queries.conditions import Condition
    from lotdb.queries.found import Matches

    # A node that is found by its path may be a data node, so type checkers take each node for one.
    PerhapsData = DataMethods

    class Data:
        """Nothing more."""

else:
    PerhapsData = Node
    Data = DataMethods


class BaseNode(PerhapsData):
    """A node of a tree: child nodes by key, and attributes by name.

    ``BaseNode(key="dataset")`` starts a tree in memory; ``LOTDB.open_connection()`` returns the root of a
    tree on disk. A node object is a handle: it knows its place in the tree, and looks up what is stored when
    you use it. Handles of the same node are equal.

    Parameters
    ----------
    key
        Key of the new tree's root.
    plugins
        The plugins to use; by default the installed plugins.

    Raises
    ------
    InvalidKeyError
        If *key* is not a valid key.
    """

    __slots__ = ()

    def __init__(self, key: str | int = "root", *, plugins: Plugins | None = None) -> None:
        self._start(check_plugins(plugins), check_key(key))

    # -- identity ------------------------------------------------------------------------------------

    @property
    def key(self) -> str:
        """The node's name among its siblings. Assigning to it renames the node."""
        return self._key

    @key.setter
    def key(self, key: str | int) -> None:
        self.rename(key)

    @property
    def path(self) -> str:
        """The keys from below the root down to this node, joined by "/"; "" for the root."""
        return self._path()

    @property
    def parent(self) -> BaseNode | None:
        """The parent node; None for the root."""
        return cast("BaseNode | None", self._parent)

    @property
    def node_type(self) -> str:
        """Registered name of the node's type; "" for a plain node. Kept if the type is not installed."""
        return type_of(self._entry())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._path() or self._key!r} of {self._tree}{self._how_it_is()}>"

    def _how_it_is(self) -> str:
        from lotdb.looking.wording import COUNTED, count_text

        try:
            return f", {count_text(self._count_children(COUNTED))}"
        except StaleNodeError:
            return ", gone"
        except Exception:  # of another thread, closed or damaged: the calls that read it say so
            return ""

    def __bool__(self) -> bool:
        return True

    def __dir__(self) -> list[str]:
        kinds = LeftToDataNodes, Renamed
        left = {name for name, value in vars(BaseNode).items() if isinstance(value, kinds)}
        return [name for name in object.__dir__(self) if name not in left or hasattr(type(self), name)]

    # -- moments -------------------------------------------------------------------------------------

    def restore(self, when: Any) -> BaseNode:
        """Make the node what it was at a moment, with all that was below it.

        It becomes a branch of what it was: what has not changed since is shared, with all payloads, and
        no data are copied. The cost depends on what has changed, and on how many commits were made since. To
        bring back a node that was deleted, make one in its place first:
        ``root.get_node_path("a/b").restore(when)``.

        Parameters
        ----------
        when
            A :class:`Commit`, its id, a tag, or an aware time; see ``LOTDB.at``.

        Returns
        -------
        BaseNode
            The node; it may be of another type now.

        Raises
        ------
        NodeNotFoundError
            If there was no node of this path at that moment.
        ConflictError
            If the moment is later than what this transaction sees. Run it again.
        MomentNotFoundError, MomentGoneError, InvalidOptionError, ReadOnlyError, StaleNodeError
        """
        from lotdb.tree.revive import restore  # which not every program needs

        self._entry()
        self._tree.check_writable()
        with self._tree.past(when) as past:
            return cast("BaseNode", restore(self, past))

    # -- in other threads and processes --------------------------------------------------------------

    def reference(self) -> Self:
        """The same node as a reference: any thread of any process reads it, and the connection may close.

        It shows the node as it was after the commit that this connection sees, and cannot be changed. It
        names the database, the commit and the path, in a few hundred bytes, and holds no data. It opens the
        database when it is first used, once per process, and each thread reads through a connection of its
        own; what you get from it, such as its children, belongs to the thread that got it.

        Pickling a node makes such a reference of it: that is what a worker process gets. A pack keeps the
        state after that commit as long as this connection sees it, and as long as somebody reads by the
        reference; in between, it may be dropped.

        Raises
        ------
        UnsupportedValueError
            If the node is in no database, or it or something below it has changes that are not committed; or
            if a setting of a backend may hold credentials.
        ClosedError
            If the connection is closed.
        StaleNodeError
            If the node is gone.
        """
        tree = self._top()._tree
        if tree.is_here():
            self._entry()
        return cast("Self", tree.reference(type(self), self._keys()))

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        return self.reference().__reduce_ex__(protocol)

    def __copy__(self) -> Self:
        """The node itself: a handle names a place, and a second one would name the same."""
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        """In a database the node itself; of a tree in memory a copy, as :meth:`copy_tree` makes it."""
        return self if self._tree.owner is not None else cast("Self", self.copy_tree())

    # -- children ------------------------------------------------------------------------------------

    if TYPE_CHECKING:

        def get_node(
            self, key: str | int, create: bool = True, *, node_type: str | None = None
        ) -> BaseNode: ...

    else:

        @answers_itself(lambda self, key, create=True, *, node_type=None: None)
        def get_node(self, key=None, create=True, *, node_type=None, node_key=None):
            """The child *key*; it is created if it does not exist and *create* is true.

            Parameters
            ----------
            key
                Text, or an integer, which is converted to its decimal text.
            create
                Whether to create a missing node.
            node_type
                Registered name of the type that the node gets.

            Raises
            ------
            NodeNotFoundError
                If the node does not exist and *create* is false.
            InvalidKeyError, MissingPluginError, ReadOnlyError, StaleNodeError
            """
            if node_key is not None:
                refuse("get_node", ARGUMENTS["BaseNode"]["get_node"], ["node_key"])
            if node_type is not None:
                class_of(self._tree.plugins, node_type)
            return self._get(key, create, node_type)

    if TYPE_CHECKING:
        # Node has it, so that looking up a path takes no further call; what is there is a BaseNode.
        def get_node_path(  # type: ignore[override]  # without the argument of 1.x
            self, path: Any, create: bool = True, *, node_type: str | None = None
        ) -> BaseNode: ...

    def get_data_node(
        self,
        path: Any,
        *,
        samplerate_hz: float | None = None,
        backend: str | None = None,
        data_attribute: str | None = None,
        create: bool = True,
    ) -> DataNode:
        """The node at *path* as a :class:`lotdb.DataNode`; created, or turned into one, if needed.

        Parameters
        ----------
        path
            A sequence of keys, or one text with "/" between them.
        samplerate_hz, backend, data_attribute
            Defaults for the node's payloads; given ones are stored, see ``DataNode.configure_data``.
        create
            Whether to create missing nodes.
        """
        policy = check_policy(self._tree, samplerate_hz, backend, data_attribute)
        if not policy:
            return cast("DataNode", self.get_node_path(path, create, node_type="data"))
        if self._version != self._tree.version:
            self._entry()  # which knows the tree
        if self._tree.steps is None:
            return steps_noted(self._tree, self._data_node, path, create, policy)
        with self._tree.whole():
            return self._data_node(path, create, policy)

    def _data_node(self, path: Any, create: bool, policy: dict[str, Any]) -> DataNode:
        node = cast("DataNode", self.get_node_path(path, create, node_type="data"))
        node._put_policy(policy)
        return node

    def __getitem__(self, path: Any) -> BaseNode:
        return self.get_node_path(path, False)

    def __delitem__(self, path: Any) -> None:
        self[path].delete_tree()

    if not TYPE_CHECKING:  # which says at once that there is none; Python, for `node["a"] = 1`, only its name

        def __setitem__(self, path, value):
            raise UnsupportedValueError(
                f"{self._place()} takes no items: attrs[name] = x stores an attribute, "
                "get_data_node(path).write_data(x) an array, and add_tree(node) puts a node below it"
            )

    def __iter__(self) -> Iterator[str]:
        """The keys of the children, in order."""
        return (node._key for node, _ in walk.children(self))

    def __len__(self) -> int:
        """Number of children; their keys are counted, so a wide node takes a moment."""
        children = self._children()
        return 0 if children is None else count_children(children)

    def _count_children(self, most: int) -> int:
        """As ``len``, but counting ends above *most*."""
        children = self._children()
        return 0 if children is None else count_up_to(children, most)

    def _keys_from(self, beginning: str) -> Iterator[str]:
        """The keys of the children that are not before *beginning*, in order."""
        children = self._children()
        if children is None:
            return iter(())
        items = items_from(children, beginning) if beginning else child_items(children)
        return (key for key, _ in items)

    def _ipython_key_completions_(self) -> list[str]:
        from lotdb.looking.completions import path_completions

        return path_completions(self)

    def keys(self) -> KeysView[str]:
        """The keys of the children, in order, as a view that always shows the current children."""
        return ChildKeys(cast("Mapping[str, BaseNode]", self))

    def values(self) -> ValuesView[BaseNode]:
        """The children, as a view in the order of their keys."""
        return ChildNodes(cast("Mapping[str, BaseNode]", self))

    def items(self) -> ItemsView[str, BaseNode]:
        """Key and node of each child, as a view in the order of the keys."""
        return ChildItems(cast("Mapping[str, BaseNode]", self))

    @overload
    def get(self, path: Any, default: None = None) -> BaseNode | None: ...

    @overload
    def get(self, path: Any, default: T) -> BaseNode | T: ...

    def get(self, path: Any, default: T | None = None) -> BaseNode | T | None:
        """The node at *path* below this one, or *default* if it does not exist; nothing is created."""
        try:
            return self[path]
        except NodeNotFoundError:
            return default

    # -- attributes ----------------------------------------------------------------------------------

    @property
    def payloads(self) -> Payloads:
        """The payloads by name, as a read-only mapping that always shows the current payloads."""
        return Payloads(self)

    @property
    def attrs(self) -> Attributes:
        """The attributes as a mapping: ``node.attrs["label"] = "hello"``."""
        return Attributes(self)

    def set_attribute(self, name: str, value: Any) -> None:
        """Set attribute *name*.

        Raises
        ------
        UnsupportedValueError
            If *value* is of a type that attributes cannot hold.
        ValueTooLargeError
            If *value* is larger than 1 MiB, or nested deeper than 64 levels.
        PayloadExistsError
            If a payload has that name.
        """
        attributes.write_one(self, name, value)

    if TYPE_CHECKING:

        def get_attribute(self, name: str, default: Any = None) -> Any: ...

    else:

        @answers_itself(lambda self, name, default=None: None)
        def get_attribute(self, name=None, default=None, attribute_key=None):
            """A copy of the value of attribute *name*, or *default* if the attribute does not exist."""
            if attribute_key is not None:
                refuse("get_attribute", ARGUMENTS["BaseNode"]["get_attribute"], ["attribute_key"])
            tree = self._tree
            # As _entry does, without the call; most trees have an owner.
            if self._version == tree.version and (tree.owner == get_ident() or tree.owner is None):
                entry = self._seen
            else:
                entry = self._entry()
            # A plain value of a packed leaf, which most attributes are, is found here; plain nodes hide none.
            names = entry[1]
            if (
                type(names) is tuple
                and type(name) is str
                and name in names
                and (not entry[0] or name not in POLICY)
            ):
                stored = entry[names.index(name) + 2]
                if type(stored) is not tuple:
                    return stored
            return attributes.get(self, name, default)

    def delete_attribute(self, name: str) -> None:
        """Delete attribute *name*; ``AttributeNotFoundError`` if it does not exist."""
        attributes.delete(self, name)

    @contextlib.contextmanager
    def edit_attribute(self, name: str) -> Iterator[Any]:
        """The value of attribute *name*, to change in place; it is stored when the block ends.

        ::

            with node.edit_attribute("config") as config:
                config["window_s"] = 4
        """
        value = self.attrs[name]
        yield value
        self.set_attribute(name, value)

    def check_write(self, written: Mapping[str, Any], removed: Collection[str]) -> None:
        """Called before each write to a node of this type; a node type overrides it to refuse what is wrong.

        Whatever it raises comes out of the call that wanted to write, and nothing is changed. It hears of
        every write, whichever way it comes: attributes set one by one or together, payloads written,
        appended, compacted or taken from files, deletions, merges, a copy from another tree, and a node that
        gets this type. Of a branch within the same tree only the top is checked: what is below was, when it
        was written. ::

            class Experiment(DataNode):
                node_type_name = "acme.experiment"

                def check_write(self, written, removed):
                    if not isinstance(written.get("subject", ""), str):
                        raise TypeError("subject is a text")
                    if "subject" in removed:
                        raise ValueError("an experiment has a subject")

        Parameters
        ----------
        written
            What is about to be set, by name: the values as they would be read, a :class:`lotdb.Payload` for a
            payload. ``self`` still shows what is there before.
        removed
            Names of the attributes and payloads that are about to be removed.
        """

    def _check_own(self, own: Own, type_name: str | None = None) -> None:
        tree = self._tree
        entry = self._entry()
        try:
            cls: Any = class_of(tree.plugins, type_of(entry) if type_name is None else type_name)
        except (MissingPluginError, PluginError):
            return  # a node whose type is not there to check is written to as a plain one
        if cls.check_write is BaseNode.check_write:
            tree.plugins.unchecked.add(type_of(entry) if type_name is None else type_name)
            return
        there = own_of(entry) if type_name is None else EMPTY_OWN
        old = dict(zip(there[0], there[1:], strict=True))
        new = dict(zip(own[0], own[1:], strict=True))
        hidden = cls._hidden
        written = {
            name: attributes.as_read(self, name, stored)
            for name, stored in new.items()
            if name not in hidden and not (name in old and old[name] is stored)
        }
        removed = [name for name in old if name not in new and name not in hidden]
        if not written and not removed:
            return
        node: Any = self if type(self) is cls else cls._at(tree, self._parent, self._key, self._container, -1)
        try:
            node.check_write(written, removed)
        except RecursionError as error:
            raise PluginError(
                f"check_write of node type {cls.node_type_name!r} calls itself without end: it must not "
                f"write to {self._place()}"
            ) from error
        except Exception as error:
            refusing(error, f"check_write of node type {cls.node_type_name!r}")
            raise
        if self._entry() is not entry:
            raise PluginError(f"check_write of node type {cls.node_type_name!r} has changed {self._place()}")

    # -- changing the tree ---------------------------------------------------------------------------

    def rename(self, key: str | int) -> None:
        """Give the node another key; nothing else changes.

        Raises
        ------
        NodeExistsError
            If a sibling has that key.
        InvalidMoveError
            If it is the root of a database.
        """
        key = check_key(key)
        self._entry()
        if key == self._key:
            return
        if self._parent is None:
            graft.rename_root(self, key)
        else:
            self.move(cast("BaseNode", self._parent), key)

    def move(self, parent: BaseNode, key: str | int | None = None) -> None:
        """Move the node, with everything below it, below *parent*; see :meth:`add_tree`."""
        graft.check_node(parent).add_tree(self, key=key)

    def branch(self, key: str | int) -> BaseNode:
        """Copy the node and everything below it, and put the copy beside it as *key*.

        The cost does not depend on the number of nodes and payloads below. Both share all data, payloads
        included, until one of them is changed. Then only the nodes on the path to the change are copied.

        Raises
        ------
        NodeExistsError
            If a sibling has that key.
        InvalidMoveError
            If the node is the root, which has no siblings.
        """
        if self._parent is None:
            raise InvalidMoveError(
                "the root has no siblings; branch a node below it, or copy all of it with "
                "root.add_tree(root, key=..., copy=True)"
            )
        return cast("BaseNode", self._parent).add_tree(self, key=key, copy=True)

    def copy_tree(self) -> BaseNode:
        """A copy of the node and everything below it, as a tree in memory.

        Payloads stay in the database. The copy can read them, in this thread, as long as the connection is
        open. To copy within a database, use :meth:`branch`, which copies no data.
        """
        from lotdb.tree import copying  # which needs numpy, for the payloads that it copies

        entry = copying.copy_entry(self._entry(), self._tree, None)
        tree = copying.DetachedCopy(self._tree.plugins, self._tree)
        tree.roots[self._key] = entry
        return type(self)._at(tree, None, self._key, tree.roots, tree.epoch)

    def add_tree(
        self,
        tree: BaseNode,
        *,
        key: str | int | None = None,
        copy: bool = False,
        if_exists: IfExists = "error",
    ) -> BaseNode:
        """Move or copy *tree*, with everything below it, below this node.

        Parameters
        ----------
        tree
            A node of the same tree, which is moved; or of a tree in memory, which becomes part of this tree
            (the handle that you passed, and handles of nodes below it, then name the new places).
        key
            Its key below this node; by default its own key.
        copy
            Add a copy, and leave *tree* where it is. Within a tree, no data are copied; from another tree or
            database, the payloads are.
        if_exists : {"error", "replace", "rename"}
            What to do if a child of that key exists: raise an error, delete it first, or append ``_2``,
            ``_3``, … to the key.

        Returns
        -------
        BaseNode
            The node in its new place.

        Raises
        ------
        NodeExistsError
            If a child of that key exists.
        InvalidMoveError
            If *tree* is this node or above it, or the root of a database.
        WrongNodeError
            If *tree* is not a node, or belongs to another database and *copy* is false.
        """
        return graft.add_tree(self, tree, key=key, copy=copy, if_exists=if_exists)

    def merge_tree(self, tree: BaseNode, *, overwrite: bool = False) -> BaseNode:
        """Copy the attributes, payloads and nodes from *tree* that this node lacks, at all levels.

        *tree* does not change. If both have an attribute or payload of the same name, this node's is kept;
        with *overwrite*, that of *tree* replaces it. Equal values are not written: nodes that two branches
        share are skipped, and payloads of another tree are read and compared. The defaults of a data node
        are copied to data nodes only.

        Raises
        ------
        InvalidMoveError
            If one of the two is above the other.
        WrongNodeError
            If *tree* is not a node.
        """
        from lotdb.tree.merging import merge_tree  # which needs numpy, for the payloads that it copies

        merge_tree(self, tree, overwrite=overwrite)
        return self

    def delete_node(self, key: str | int, only_node: bool = False) -> None:
        """Delete the child *key* with everything below it; with *only_node* its children take its place.

        Raises
        ------
        NodeNotFoundError
            If there is no such child.
        NodeExistsError
            If *only_node* would give two children the same key; then nothing has changed.
        """
        graft.delete_node(self, key, only_node=only_node)

    def delete_tree(self, only_node: bool = False) -> None:
        """Delete this node with everything below it; with *only_node* its children take its place.

        The root itself stays: it loses all its children and attributes.
        """
        if self._parent is not None:
            cast("BaseNode", self._parent).delete_node(self._key, only_node)
            return
        if check_flag("only_node", only_node):
            raise InvalidMoveError("the root cannot be deleted; delete_tree() without only_node empties it")
        self._entry()  # which knows the tree
        with self._tree.whole():
            for key in list(self):
                self.delete_node(key)
            self._put_own(EMPTY_OWN)

    def compact_tree(self, *, backend: str | None = None, **options: Any) -> int:
        """Rewrite all payloads of this node and the nodes below it; see ``DataNode.compact_data``.

        Returns
        -------
        int
            The number of payloads that were rewritten.
        """
        from lotdb.content import payloads  # which need numpy

        return payloads.compact_tree(self, backend=backend, options=options)

    def ingest_tree(
        self,
        folder: str | os.PathLike[str],
        pattern: str | None = None,
        *,
        to: str | None = None,
        data_attribute: str | None = None,
        attributes: bool | Collection[str] = False,
        sidecar: str | os.PathLike[str] | None = None,
        skip_unchanged: bool = True,
        always_hash: bool = False,
        on_error: Literal["report", "raise"] = "report",
        batch_size: int | None = 100,
        progress: Callable[[int, int, str], None] | None = None,
        **how: Any,
    ) -> IngestReport:
        """Ingest the files of a folder and its subfolders; the path of each file determines its node.

        In a database, it commits after each batch of files, and at the end. So an interrupted run continues
        where it stopped when you start it again, because files that are already stored are skipped. Committed
        files stay, even if the surrounding ``with`` block fails later. If there are uncommitted changes, it
        raises an error, because it would commit them, too.

        Parameters
        ----------
        folder
            The folder. Files and folders whose names begin with a dot, links to folders, and LOTDB databases
            are skipped.
        pattern
            The form of the paths, such as ``"{speaker}/{session}_{take}.wav"``. A field matches one or more
            characters within a part of the path, as few as possible; ``*`` and ``?`` match characters within
            a part, and ``**/`` matches any folders. A suffix at the end also matches in capitals. By default,
            all files match.
        to
            Path of the node below this one, with the fields of the pattern, such as
            ``"{speaker}/{session}/{take}"``; by default one level for each field, in their order. Without
            fields, the path of the file.
        data_attribute
            Name of the payload, which may contain fields; by default the node's.
        attributes
            Fields of the pattern to store as attributes of the node, as texts; True for all fields.
        sidecar
            A csv, tsv or json file in the folder whose rows become metadata of the payloads. A column
            ``file`` holds the path of a file below the folder, or its name. Without it, a column named like a
            field, such as ``speaker``, selects all files with that value. A name that contains fields, such
            as ``"{speaker}/{session}_{take}.json"``, means one sidecar for each file.
        skip_unchanged
            Skip files that are already stored, with the same size and time or with the same SHA-256. Files
            whose metadata in the sidecar have changed are not skipped.
        always_hash
            Compare the SHA-256 of all files, even if size and time are the same.
        on_error : {"report", "raise"}
            Whether to continue after a file that cannot be ingested, or to raise its error.
        batch_size
            Number of files per commit. None commits nothing: all files belong to the current transaction.
        progress
            Function that is called after each file with the number of files done, the number of all files,
            and the path of the file.
        **how
            Further arguments of :meth:`lotdb.DataNode.attach_file`, such as ``backend``.

        Returns
        -------
        IngestReport
            What became of each file.

        Raises
        ------
        IngestError
            If *folder* is no folder; with ``on_error="raise"`` also for a file.
        InvalidOptionError
            If an argument is invalid, as a *pattern* that gives two files the same payload; or if there are
            uncommitted changes and *batch_size* is not None. An option that is none of these arguments is the
            ingesters': each file whose ingester does not know it fails. If that is each file, or if it looks
            like one of these arguments, the error is raised.
        """
        from lotdb.files.folders import ingest_tree  # which not every program needs

        return ingest_tree(
            self,
            folder,
            pattern,
            to=to,
            data_attribute=data_attribute,
            attributes=attributes,
            sidecar=sidecar,
            skip_unchanged=skip_unchanged,
            always_hash=always_hash,
            on_error=on_error,
            batch_size=batch_size,
            progress=progress,
            **how,
        )

    def export(
        self,
        path: str | os.PathLike[str],
        *,
        format: str | None = None,
        if_exists: Literal["error", "replace"] = "error",
        progress: Callable[[int, int, str], None] | None = None,
        **options: Any,
    ) -> None:
        """Write the node, with all its payloads and what is below it, to a file or a folder.

        Parameters
        ----------
        path
            The file, or the folder. It appears, durably, when it is complete.
        format
            Name of the format; by default the suffix of *path*. ``"folder"``, the format of a path without
            a suffix, is a folder of files with an index.
        if_exists : {"error", "replace"}
            What to do if it exists. A folder that is no export is never replaced.
        progress
            Function that is called after each payload with the number of payloads done, the number of all,
            and the path of the payload; for a folder, and for formats that know it as an option.
        **options
            Options of the format.

        Raises
        ------
        ExportError
            If the target exists or cannot be written, or no installed plugin writes nodes in this format, or
            the format cannot hold what the node has; the target has not changed.
        FileSystemError
            If there is no space, or there are too many open files.
        """
        from lotdb.content.export import export_file  # which not every program needs
        from lotdb.files.tree_folder import is_folder, write_folder

        check_progress(progress)
        self._entry()  # right thread, and still there
        if is_folder(path, format):
            check_known("writing 'folder'", options, (), ("format", "if_exists", "progress"))
            write_folder(self, path, if_exists=if_exists, progress=progress)
            return
        export_file(
            path,
            hook="lotdb_export_node",
            place=self._place(),
            what="a node with all that it has",
            format=format,
            if_exists=if_exists,
            options=options if progress is None else {**options, "progress": progress},
            plugins=self._tree.plugins,
            node=self,
        )

    def ingest(
        self,
        source: str | os.PathLike[str],
        *,
        backend: str | None = None,
        progress: Callable[[int, int, str], None] | None = None,
    ) -> None:
        """Put into this node, which must be empty, what :meth:`export` has written.

        Node types, attributes, defaults, payloads, rates and metadata come back as they were. A file of
        another kind, such as HDF5 of another program, is attached as :meth:`DataNode.attach_file` does, and
        may then go to a node that holds something.

        Parameters
        ----------
        source
            The file, or the folder.
        backend
            Backend of all payloads; by default, each gets the one that it had.
        progress
            Function that is called after each payload with the number of payloads done, the number of all,
            and the path of the payload.

        Raises
        ------
        IngestError
            If the source is damaged, or the node is not empty; the tree has not changed.
        MissingPluginError
            If the backend of a payload is not installed, and *backend* is None.
        """
        from lotdb.content.payloads import Request
        from lotdb.files.attach import attach_file  # which not every program needs
        from lotdb.files.tree_in import ingest

        check_progress(progress)
        self._entry()
        if not ingest(self, source, backend=backend, progress=progress):
            request = Request("data", backend=backend)
            attach_file(self, source, request)

    # -- results of steps ----------------------------------------------------------------------------

    def provenance(self) -> Any:
        """How a step has made this node, to print; see :func:`lotdb.steps.provenance`.

        Raises
        ------
        NotAResultError
            If no step has made it.
        """
        self._entry()  # right thread, and still there
        return import_module("lotdb.steps.origins").provenance(self)  # it stands above

    # -- looking -------------------------------------------------------------------------------------

    def tree(self, depth: int = 3, max_children: int = 20) -> TextTree:
        """The node and what is below it, to print: ``print(root.tree())``.

        Parameters
        ----------
        depth
            How many levels below this node are shown.
        max_children
            How many children of each node are shown; a line says how many more there are.

        Returns
        -------
        TextTree
            As a text, a line a node, with its payloads and the number of its attributes and children. In a
            notebook, parts of it open and close. It shows what is there when it is printed.

        Raises
        ------
        InvalidOptionError
            If one of the two is no whole number from 0 on.
        """
        from lotdb.looking.text_tree import TextTree  # which not every program needs

        self._entry()  # right thread, and still there
        return TextTree(self, depth, max_children)

    def _repr_html_(self) -> str:
        from lotdb.looking.markup import node_html

        where = f"at {self._path()!r}" if self._parent is not None else "the root"
        return node_html(self, f"{type(self).__name__}, {where} of {self._tree}")

    # -- finding -------------------------------------------------------------------------------------

    def find(
        self, pattern: Any = "**", where: Condition | str | None = None, *, node_type: str | None = None
    ) -> Matches[BaseNode]:
        """The nodes at and below this one whose paths match *pattern*, and which meet the condition *where*.

        ::

            root.find("**/capture_*", where=(attr("label") == "walk") & (payload("imu").rows > 1000))
            root.find("**/capture_*", where="label == 'walk' and payload('imu').rows > 1000")

        Parameters
        ----------
        pattern
            A path below this node, with ``"/"`` between the levels, or a sequence of levels: ``*`` stands for
            any characters of a key, ``?`` for one, ``[abc]`` for one of these, ``[!abc]`` for any other, and
            ``**`` for any number of levels, none included. So ``"**"`` is this node and all below it.
        where
            A condition made with :func:`lotdb.attr` and :func:`lotdb.payload`, or a text that says one.
        node_type
            Name of the type that the nodes must have, such as ``"data"``; ``""`` for plain nodes.

        Returns
        -------
        Matches
            The nodes in the order of their paths, as an iterable with ``count``, ``first``, ``distinct`` and
            ``to_frame``. You may change the tree while you iterate over it.

        Raises
        ------
        InvalidConditionError
            If the pattern or the condition means nothing.
        """
        from lotdb.queries.found import matches  # which not every program needs

        return matches(self, pattern, where, node_type)

    # -- other libraries -----------------------------------------------------------------------------

    def datasets(self) -> NodeDatasets:
        """What this node and each node below it are to libraries with labelled axes, by their paths.

        A payload is a variable with named axes, the rows of a payload with a rate have a coordinate of their
        times, and a table is a dataset of its own, of its columns. The names are such that the datasets can
        be groups of a DataTree or of a zarr store.

        Returns
        -------
        NodeDatasets
            A mapping of what is there now. Any thread may use it and read the variables, as long as the
            connection is open.
        """
        from lotdb.interop.labels import NodeDatasets  # which not every program needs

        return NodeDatasets(self)

    def to_datatree(self, chunks: Any = None) -> Any:
        """This node and all below it as a DataTree of xarray; data are read when they are needed.

        Payloads are its variables, as :meth:`lotdb.Payload.to_xarray` has them, and attributes its
        attributes. A table is a group of its own. Where payloads call different axes by one name, each axis
        gets the name of the first payload that has it, too: ``time_imu``.

        Parameters
        ----------
        chunks
            As for :meth:`lotdb.Payload.to_xarray`.

        Returns
        -------
        xarray.DataTree

        Raises
        ------
        MissingPluginError
            If xarray is not installed; install the extra ``lotdb-core[xarray]``.
        """
        from lotdb.interop.xarray_out import to_datatree  # which not every program needs

        return to_datatree(self, chunks)

    def write_xarray(
        self,
        data: Any,
        *,
        data_attribute: str | None = None,
        backend: str | None = None,
        if_exists: Literal["replace", "error"] = "replace",
        **options: Any,
    ) -> None:
        """Store what xarray holds: all of it, or nothing if a part cannot be stored.

        Arrays become payloads, and groups nodes. Dims, coordinates, attributes, and what encodings say of the
        values come back with :meth:`lotdb.Payload.to_xarray` and :meth:`to_datatree`. Times along the first
        axis that are exactly index / rate become a rate, and a start if they are datetimes; other coordinates
        are payloads. What is lazy is written in blocks.

        Parameters
        ----------
        data
            A DataArray, a Dataset or a DataTree.
        data_attribute
            Name of the payload of a DataArray; by default its own name, or ``"data"``.
        backend
            Name of the backend; by default the database's.
        if_exists : {"replace", "error"}
            What to do if payloads of those names exist.
        **options
            The backend's own options.

        Raises
        ------
        InvalidDataError
            If a part cannot be stored: objects, a MultiIndex, names that are no texts or not unique.
        UnsupportedValueError
            If an attribute is of a type that attributes cannot hold.
        PayloadExistsError
            If a payload exists and *if_exists* is ``"error"``, or attributes and payloads share a name.
        """
        from lotdb.interop.xarray_in import write_xarray  # which not every program needs

        write_xarray(
            self, data, data_attribute=data_attribute, backend=backend, if_exists=if_exists, options=options
        )

    def write_frame(
        self,
        frame: Any,
        *,
        data_attribute: str = "data",
        backend: str | None = None,
        samplerate_hz: float | None = None,
        metadata: Mapping[str, Any] | None = None,
        if_exists: Literal["replace", "error", "append"] = "replace",
        **options: Any,
    ) -> Payload:
        """Store a DataFrame as a table that :meth:`lotdb.Payload.to_pandas` gives back as it was.

        The index becomes columns unless it counts the rows. Categories with their order, pandas' types for
        missing cells, and time zones are noted in the metadata.

        Parameters
        ----------
        frame
            A DataFrame whose columns have texts as names.
        data_attribute
            Name of the payload.
        samplerate_hz
            Rows a second (Hz), if the rows are samples.
        backend, metadata, if_exists, **options
            As for :meth:`lotdb.DataNode.write_data`.

        Returns
        -------
        Payload
            The new payload.

        Raises
        ------
        InvalidDataError
            If a part cannot be stored, such as columns of one name, of periods, or of any other objects.
        """
        from lotdb.interop.frames_in import write_frame  # which not every program needs

        return write_frame(
            self,
            frame,
            data_attribute=data_attribute,
            backend=backend,
            samplerate_hz=samplerate_hz,
            metadata=metadata,
            if_exists=if_exists,
            options=options,
        )

    # -- what it takes -------------------------------------------------------------------------------

    def usage(self) -> Usage:
        """What the node takes on the disk, with everything below it: alone, and shared with others.

        It goes through the records of the whole tree, for what shares something, and reads no payload.

        Returns
        -------
        Usage
            Numbers of nodes, payloads and segments, and sizes in bytes.
        """
        from lotdb.content.usage import usage  # which not every program needs

        return usage(self)

    def usage_of_children(self) -> dict[str, Usage]:
        """What each child takes, by its key; what two children share, neither of them has alone."""
        from lotdb.content.usage import usage_of_children  # which not every program needs

        return usage_of_children(self)

    # -- iteration -----------------------------------------------------------------------------------

    def iterate_tree(self) -> Iterator[BaseNode]:
        """This node and all below it, each before its children."""
        return walk.everything(self)

    def iterate_tree_level(self, level: int | Literal["deepest"] = "deepest") -> Iterator[BaseNode]:
        """The nodes *level* levels below this one (1: its children), or the nodes of the lowest level."""
        return walk.level(self, level)

    def iterate_tree_leaves(self) -> Iterator[BaseNode]:
        """The nodes without children, among this node and all below it."""
        return walk.leaves(self)

    def iterate_tree_level_buffered(
        self, buffer_size: int = 100_000, level: int | Literal["deepest"] = "deepest"
    ) -> Iterator[list[BaseNode]]:
        """:meth:`iterate_tree_level` in lists of *buffer_size* nodes; the last may be shorter."""
        return walk.buffered(walk.level(self, level), buffer_size)

    def iterate_tree_crone_buffered(self, buffer_size: int = 100_000) -> Iterator[list[BaseNode]]:
        """:meth:`iterate_tree_leaves` in lists of *buffer_size* nodes; the last may be shorter."""
        return walk.buffered(walk.leaves(self), buffer_size)


class UninstalledNode(BaseNode):
    """A node whose own class is not installed or fails to load; its errors say so."""

    __slots__ = ()

    _hidden = POLICY  # it may be a data node

    def __getattr__(self, name: str) -> Any:
        if name in NODE or name in DATA_NODE:  # found, and refused; this loses what was said
            return vars(BaseNode)[name].__get__(self, type(self))
        if not name.startswith("_"):
            try:
                class_of(self._tree.plugins, self.node_type)
            except (MissingPluginError, PluginError) as error:
                raise WrongNodeTypeError(
                    f"{self._place()} has no {name!r} as a plain node: {error}"
                ) from error
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


class LeftToDataNodes:
    """Stands in place of a method that only data nodes have, so that a plain node can say where to find it.

    (A ``__getattr__`` could say it, too, and would make every attribute of every node slower to read.)
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, node: BaseNode | None, owner: type[BaseNode]) -> Any:
        with contextlib.suppress(AttributeError):  # a class that stands behind BaseNode may have it
            return getattr(super(BaseNode, owner if node is None else node), self._name)
        if node is None:
            raise AttributeError(f"type object {owner.__name__!r} has no attribute {self._name!r}")
        raise WrongNodeTypeError(
            f"{node._place()} is not a data node, so it has no {self._name!r}; "
            "get it with get_data_node, or use DataReader and DataWriter"
        )


class DataNode(Data, BaseNode):
    """A node with payloads: arrays, texts or bytes, each under a name.

    It stores three defaults for them: the sample rate, the backend, and the name of the payload that methods
    use when no name is given. Methods that write accept ``database=``, which must be the node's own.

    Parameters
    ----------
    key
        Key of the new tree's root.
    samplerate_hz
        Sample rate of arrays that are written without one, in rows per second.
    backend
        Name of the backend for payloads that are written without one.
    data_attribute
        Name of the payload that methods use when no name is given.
    plugins
        The plugins to use; by default the installed plugins.
    """

    __slots__ = ()

    node_type_name: ClassVar[str] = "data"

    _hidden = POLICY

    def __init__(
        self,
        key: str | int = "data",
        *,
        samplerate_hz: float | None = None,
        backend: str | None = None,
        data_attribute: str | None = None,
        plugins: Plugins | None = None,
    ) -> None:
        super().__init__(key, plugins=plugins)
        self.configure_data(samplerate_hz=samplerate_hz, backend=backend, data_attribute=data_attribute)


set_classes(BaseNode, UninstalledNode)
BUILT_IN_NODE_TYPES[DataNode.node_type_name] = DataNode

# A newcomer's first mistake is to ask a plain node for its data: it says what to do.
for _member in [name for name in vars(DataMethods) if not (name.startswith("_") or hasattr(BaseNode, name))]:
    setattr(BaseNode, _member, LeftToDataNodes(_member))

answer(BaseNode, "delete_tree", "find", "ingest", "move", "to_datatree", "tree")
answer(DataMethods, "configure_data", "delete_data", "iter_data_blocks", "read_frame")
answer(DataNode)
hide(BaseNode, NODE)
hide(BaseNode, DATA_NODE)
