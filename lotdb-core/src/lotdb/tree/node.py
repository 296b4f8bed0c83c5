"""Nodes: handles that find their children, and make those that are not there."""

from __future__ import annotations

from threading import get_ident
from typing import TYPE_CHECKING, Any, ClassVar, Self

from lotdb.errors import MissingPluginError, NodeNotFoundError, PluginError
from lotdb.interfaces.options import check_flag
from lotdb.keys import check_key, is_plain_key, some, split_path
from lotdb.records import Children, Entry
from lotdb.records.children import child_items
from lotdb.records.entries import EMPTY_ENTRY, children_of, empty_entry, type_of
from lotdb.renamed import ARGUMENTS, answers_itself, refuse
from lotdb.tree.handle import Handle
from lotdb.tree.place import Place
from lotdb.tree.rings import refuse_ring
from lotdb.tree.tree import Tree
from lotdb.tree.whole import put, set_entry

if TYPE_CHECKING:
    from lotdb.interfaces.loader import Loader

__all__ = ["Node", "class_for", "class_of", "set_classes"]

# How many of its children a handle remembers.
_KNOWN = 128


class Node(Handle):
    """A handle that knows its children; ``lotdb.BaseNode`` is its public face."""

    __slots__ = ("_known",)

    _known: dict[str, Any] | None  # handles of children that paths led through, by key

    #: The name under which the type is registered and stored; empty for plain nodes.
    node_type_name: ClassVar[str] = ""

    def _start(self, plugins: Loader, key: str) -> None:
        """Be the root of a new tree in memory."""
        tree = Tree(plugins)
        tree.roots[key] = empty_entry(self.node_type_name)
        Place._stand_at(self, tree, None, key, tree.roots, tree.epoch)
        self._known = None

    @classmethod
    def _at(cls, tree: Tree, parent: Place | None, key: str, container: Any, epoch: int) -> Self:
        node = object.__new__(cls)
        Place._stand_at(node, tree, parent, key, container, epoch)
        node._known = None
        return node

    def _stand_at(self, tree: Tree, parent: Place | None, key: str, container: Any, epoch: int) -> None:
        # The node above may remember this handle, and would take the new place for the one of the old key.
        above = self._parent
        if isinstance(above, Node) and above._known is not None and above._known.get(self._key) is self:
            del above._known[self._key]
        super()._stand_at(tree, parent, key, container, epoch)

    def _child(self, key: str, entry: Entry, container: Any, epoch: int, version: int) -> Self:
        """The child *key*, whose *entry* was found in *container* in that epoch and version of the tree."""
        # The functions of records/entries.py would take a tenth of the time of a walk.
        type_name = entry[0]
        cls: Any = class_for(self._tree.plugins, type_name) if type_name else _plain
        # As in _at, without the call: walks make hundreds of thousands of these.
        node: Self = object.__new__(cls)
        node._tree = self._tree
        node._parent = self
        node._key = key
        node._container = container
        node._epoch = epoch
        node._seen = entry
        node._version = version
        node._kids_epoch = -1
        node._known = None
        if type(entry[1]) is Children:
            refuse_ring(node, entry[1])
        return node

    def _is_there(self) -> bool:
        try:
            self._entry()
        except Exception:
            return False
        return True

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Node):
            return NotImplemented
        # Two nodes of one parent differ in their keys, so this mostly ends at once.
        one: Place = self
        another: Place = other
        while one is not another:
            if one._parent is None or another._parent is None:
                return one._parent is another._parent and one._tree is another._tree
            if one._key != another._key:
                return False
            one, another = one._parent, another._parent
        return True

    def __hash__(self) -> int:
        return hash(self._path())

    def _get(self, key: str | int, create: bool, node_type: str | None = None) -> Self:
        tree = self._tree
        # As _children does, and is_here says, without the calls.
        if self._kids_epoch == tree.epoch and (tree.owner is None or tree.owner == get_ident()):
            children: Children | None = self._kids
        else:
            children = self._children()
            tree = self._tree
        # A key that is found as it was given is in its stored form, unless it is the empty one.
        if children is not None and type(key) is str and key:
            is_loaded = children._p_changed is not None  # as in get_node_path
            entry = children.get(key) if is_loaded else tree.glances.entry(tree, children, key)
            if entry is not None:
                node = self._child(key, entry, children, tree.epoch, tree.version)
                return node._as_type(node_type) if node_type else node
        checked = check_key(key)
        if type(key) is not str or checked != key:
            return self._get(checked, create, node_type)
        if create is not True and not check_flag("create", create):
            raise self._no_child(checked)
        return self._create(checked, empty_entry(node_type) if node_type else EMPTY_ENTRY)

    @answers_itself(lambda self, path, create=True, *, node_type=None: None)
    def get_node_path(
        self, path: Any = None, create: bool = True, *, node_type: str | None = None, node_keys: Any = None
    ) -> Any:
        """The node at *path* below this one, with all nodes on the way; see :meth:`lotdb.BaseNode.get_node`.

        *path* is a sequence of keys, or one text with "/" between them.
        """
        if node_keys is not None:
            refuse("get_node_path", ARGUMENTS["BaseNode"]["get_node_path"], ["node_keys"])
        if node_type is not None:
            class_of(self._tree.plugins, node_type)
        keys = path.split("/") if type(path) is str else path
        if type(keys) not in (list, tuple) or not keys:
            return self._make_path(split_path(path), create, node_type)
        tree = self._tree
        if self._kids_epoch != tree.epoch or (tree.owner is not None and tree.owner != get_ident()):
            self._children()  # which knows the tree
            tree = self._tree
        epoch = tree.epoch
        # Most paths consist of keys in their stored form, and all nodes but the last one exist: that is tried
        # first. Nodes on the way are remembered, since the next path is likely to lead through them.
        node, last = self, len(keys) - 1
        for depth, key in enumerate(keys):
            if node._kids_epoch != epoch:
                children = children_of(node._entry())
                if children is None:
                    break
                node._kids, node._kids_epoch = children, epoch
            # Under the empty key the branch keeps what it holds itself.
            if type(key) is not str or not key:
                break
            if depth == last:
                kids = node._kids
                # Of a record that is not in memory, one entry may be all that is wanted.
                is_loaded = kids._p_changed is not None
                entry = kids.get(key) if is_loaded else tree.glances.entry(tree, kids, key)
                if entry is not None:
                    node = node._child(key, entry, kids, epoch, tree.version)
                    return node._as_type(node_type) if node_type else node
                if create is True and is_plain_key(key):
                    return node._create(key, empty_entry(node_type) if node_type else EMPTY_ENTRY)
                break
            known = node._known.get(key) if node._known else None
            if known is None or known._kids_epoch != epoch:
                entry = node._kids.get(key)
                if entry is None:
                    break
                known = node._child(key, entry, node._kids, epoch, tree.version)
                node._remember(known)
            node = known
        rest = split_path(path)[depth:] if type(path) is str else split_path(keys[depth:])
        return node._make_path(rest, create, node_type)

    def _remember(self, child: Node) -> None:
        """Keep the handle of a child that paths lead through."""
        if self._known is None or len(self._known) >= _KNOWN:
            self._known = {}
        self._known[child._key] = child

    def _make_path(self, keys: tuple[str, ...], create: bool, node_type: str | None) -> Self:
        if not keys:
            return self._as_type(node_type) if node_type else self
        if not check_flag("create", create):
            return self._go(keys, False, node_type)
        self._entry()  # which knows the tree
        with self._tree.whole():
            return self._go(keys, True, node_type)

    def _go(self, keys: tuple[str, ...], create: bool, node_type: str | None) -> Self:
        node: Self = self
        for key in keys[:-1]:
            node = node._get(key, create)
        return node._get(keys[-1], create, node_type)

    def _as_type(self, node_type: str) -> Self:
        """This node as one of *node_type*; it stays what it is if its own type is a kind of that."""
        cls: Any = class_of(self._tree.plugins, node_type)
        try:
            own = class_of(self._tree.plugins, type_of(self._entry()))
        except (MissingPluginError, PluginError) as error:
            # Without its plugin, its type cannot be compared. To change it would lose the type for good.
            raise type(error)(f"{self._place()} cannot be taken for one of {node_type!r}: {error}") from error
        if issubclass(own, cls):
            cls = own
        else:
            self._put_type(node_type)
        node: Self = cls._at(self._tree, self._parent, self._key, self._container, self._epoch)
        return node

    def _create(self, key: str, entry: Entry) -> Self:
        tree = self._tree
        # As _children_to_write says, without the call; who comes here has made sure of the thread.
        if self._kids_epoch == tree.epoch and id(self._kids) in tree.writable:
            children = self._kids
            tree.version += 1
        else:
            children = self._children_to_write()
            tree = self._tree
        if tree.version >= tree.full_at:
            tree.put_aside()
        if (touched := tree.touched) is not None:
            touched.child(self, key)
        if "lotdb_node_created" not in tree.plugins.unheard:
            with tree.whole():
                put(tree, children, key, entry)
                node = self._child(key, entry, children, tree.epoch, tree.version)
                node._tell("lotdb_node_created")
            return node
        if tree.steps is None:  # as it mostly is, and leaves are made by the hundred thousand
            if tree.patched:
                set_entry(tree, children, key, entry)
            else:
                children[key] = entry
        else:
            put(tree, children, key, entry)
        node = self._child(key, entry, children, tree.epoch, tree.version)
        if touched is not None:
            touched.made = node
        return node

    def _no_child(self, key: str) -> NodeNotFoundError:
        place = repr(self._path()) if self._parent else "the root"
        children = self._children()
        keys = some(() if children is None else (key for key, _ in child_items(children)))
        there = "it has no children" if keys == "none" else f"its children are {keys}"
        return NodeNotFoundError(f"no node {key!r} below {place}; {there}")

    def __contains__(self, path: object) -> bool:
        entry: Entry | None = self._entry()
        for key in split_path(path):
            assert entry is not None
            children = children_of(entry)
            entry = None if children is None else children.get(key)
            if entry is None:
                return False
        return True


# The classes of nodes of no type, and of those whose type is not installed.
_plain: type[Node] = Node
_uninstalled: type[Node] = Node


def set_classes(plain: type[Node], uninstalled: type[Node]) -> None:
    """Have nodes of no type, and nodes whose type is not installed, be of these classes."""
    # Names of the module are found quicker than those of a class, and each child that is found needs one.
    global _plain, _uninstalled
    _plain, _uninstalled = plain, uninstalled


def class_of(plugins: Loader, type_name: str) -> type[Node]:
    """The class for nodes of type *type_name*, or the error that says why there is none."""
    if isinstance(type_name, str) and type_name == "":
        return _plain
    cls = plugins.node_type(type_name) if isinstance(type_name, str) else None
    if cls is None:
        raise plugins.missing_node_type(type_name)
    if not (isinstance(cls, type) and issubclass(cls, _plain)):
        raise PluginError(
            f"the plugin for node type {type_name!r} gave {cls!r}, not a subclass of lotdb.BaseNode"
        )
    return cls


def class_for(plugins: Loader, type_name: str) -> type[Node]:
    """The class for nodes of type *type_name*, also if it is missing or broken."""
    try:
        return class_of(plugins, type_name)
    except (MissingPluginError, PluginError):
        return _uninstalled
