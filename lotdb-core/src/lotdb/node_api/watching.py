"""Nodes that note what is read of them, and cannot be changed: what the function of a step is given.

Each is a handle of a class that is made below the class of the node, so a program cannot tell it from the
node. What it is asked for, it asks of the node itself, and notes the fact, as ``node_api/facts.py`` names it.
Nodes that it finds are watched as well. The function may ask for what is not there: that is a fact, too.

What a watched node gives as a whole, such as an xarray DataTree, counts as a read of all that is below it.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any, NoReturn, cast

from lotdb.content.attributes import Attributes
from lotdb.content.payload import Payload
from lotdb.errors import NodeNotFoundError, StepAccessError
from lotdb.interfaces.options import check_flag
from lotdb.keys import check_key, check_name, split_path
from lotdb.node_api.data_methods import DataMethods
from lotdb.node_api.facts import (
    CHECK,
    EVICTED,
    FACTS,
    PINNED,
    STEP,
    Keys,
    is_in_result,
    is_made_from,
    is_result,
    is_visible,
    names_of,
    plain,
    sees_results,
    shown_keys,
    stored_text,
)
from lotdb.node_api.mappings import Payloads
from lotdb.node_api.nodes import BaseNode
from lotdb.node_api.written_conditions import to_plain
from lotdb.queries.found import Matches
from lotdb.queries.scan import Found
from lotdb.tree.node import class_of

__all__ = [
    "CHECK",
    "EVICTED",
    "FACTS",
    "PINNED",
    "STEP",
    "Fact",
    "Place",
    "Reads",
    "at_place",
    "check_key",
    "check_name",
    "names_of",
    "place_of",
    "plain",
    "stored_text",
    "watched_again",
]

#: Where a node is, seen from another: how many levels up, and the keys from there down.
Place = tuple[int, Keys]
#: A fact that was read: the place, the kind, and the name.
Fact = tuple[int, Keys, str, str]


def place_of(node: BaseNode, source: BaseNode) -> Place:
    """Where *node* is, seen from *source* of the same tree."""
    keys, base = node._keys(), source._keys()
    common = 0
    for one, other in zip(keys, base, strict=False):
        if one != other:
            break
        common += 1
    return len(base) - common, keys[common:]


def at_place(source: BaseNode, place: Place) -> BaseNode | None:
    """The node at *place* seen from *source*, or None."""
    node: Any = source
    for _ in range(place[0]):
        node = None if node is None else node._parent
    if node is None or not place[1]:
        return cast("BaseNode | None", node)
    return cast("BaseNode | None", node.get(place[1]))


class Reads:
    """What a function reads of nodes, as long as it runs.

    Parameters
    ----------
    source
        The node at which the step was called.
    own
        The keys from below the root down to the result, which the function does not see.
    what
        The step and the node, for messages.
    on_result
        Called with a result of another step before something is read of it.
    on_missing
        Called with a node and the keys below it where nothing is; whether something is there now.
    """

    def __init__(
        self,
        source: BaseNode,
        own: Keys,
        what: str,
        on_result: Callable[[BaseNode, str, str], None],
        on_missing: Callable[[BaseNode, Keys], bool],
    ) -> None:
        self.source = source
        self.own = own
        self.what = what
        self.facts: dict[Fact, str | None] = {}
        self._on_result = on_result
        self.on_missing = on_missing
        self.is_over = False

    def watch(self, node: BaseNode) -> BaseNode:
        """*node* as one that notes what is read of it."""
        watched: Any = _watching(cast("Hashable", type(node)))._at(
            node._tree, node._parent, node._key, node._container, -1
        )
        watched._inner = node
        watched._reads = self
        return cast("BaseNode", watched)

    def watch_value(self, node: BaseNode, value: Any) -> Any:
        """*value*, which *node* holds; a payload as one that notes what else it asks the node for."""
        if type(value) is not Payload:
            return value
        watched = WatchedPayload(value._node, value.name, value._record)
        watched._noted_for = self, node
        return watched

    def end(self) -> None:
        """Refuse all further reads."""
        self.is_over = True

    def note(self, node: BaseNode, kind: str, name: str = "") -> None:
        """Note that a fact of *node* is read."""
        self.check()
        place = place_of(node, self.source)
        if kind != "node" and is_result(node._entry()):
            self._on_result(node, kind, name)
            self._keep((*place, "result", ""), node)
        self._keep((*place, kind, name), node)

    def note_result(self, node: BaseNode, kind: str) -> None:
        """Note that the result *node*, be it looked for or not, was asked for something of a *kind*."""
        self.check()
        self._on_result(node, kind, "")
        self._keep((*place_of(node, self.source), "result", ""), node)

    def note_absent(self, node: BaseNode, below: Keys) -> None:
        """Note that there is no node at the keys *below* that one."""
        self.check()
        up, keys = place_of(node, self.source)
        self.facts.setdefault((up, (*keys, *below), "node", ""), None)

    def note_top(self, node: BaseNode) -> None:
        """Note that there is nothing above *node*."""
        self.check()
        up, _ = place_of(node, self.source)
        self.facts.setdefault((up + 1, (), "node", ""), None)

    def note_way(self, node: BaseNode, below: Keys) -> None:
        """Note the keys of the source, and of those above it, by which the keys *below* a node lead to it.

        What is found there has a place seen from the source, which stays when the source gets another key.
        """
        above, keys = node._keys(), self.source._keys()
        if above != keys[: len(above)]:
            return
        for depth, (key, own) in enumerate(zip(below, keys[len(above) :], strict=False), len(above) + 1):
            if key != own:
                return
            up = len(keys) - depth
            on_the_way = at_place(self.source, (up, ()))
            assert on_the_way is not None
            self._keep((up, (), "key", ""), on_the_way)

    def note_results_below(self, node: BaseNode) -> None:
        """Note that the results below *node* are read, but for those that are made from what asks."""
        self.check()
        steps = set()
        for each in list(node.iterate_tree()):
            is_own = each._keys()[: len(self.own)] == self.own
            if each != node and is_result(each._entry()) and not is_own and not is_made_from(each, self.own):
                self._on_result(each, "all", "")
                steps.add(FACTS["result"](each, "", self.own))
        if steps:
            self._keep((*place_of(node, self.source), "results", json.dumps(sorted(map(str, steps)))), node)

    def _keep(self, fact: Fact, node: BaseNode) -> None:
        if fact not in self.facts:
            self.facts[fact] = FACTS[fact[2]](node, fact[3], self.own)

    def check(self) -> None:
        """Raise ``StepAccessError`` if the function has ended."""
        if self.is_over:
            raise StepAccessError(
                f"{self.what} has ended, and a node that it was given is read now; it can be read while the "
                "step runs, so return what was read, and no node and no generator"
            )

    def refuse(self, node: BaseNode, *, makes: bool = False) -> NoReturn:
        """Raise ``StepAccessError``: a step changes nothing but its result."""
        self.check()
        does = "would make a node below" if makes else "would change"
        raise StepAccessError(
            f"{self.what} {does} {node._place()}; a step returns what is to be stored, and "
            "changes nothing itself"
        )


class Watched(BaseNode):
    """What a watched node does otherwise; its class stands before that of the node."""

    __slots__ = ()

    _inner: BaseNode
    _reads: Reads

    def _itself(self) -> BaseNode:
        return self._inner

    # What no method here knows of, such as `lotdb.diff`, asks for these: it may read anything.

    def _entry(self) -> Any:
        self._reads.note(self._inner, "all")
        return self._inner._entry()

    def _children(self) -> Any:
        self._reads.note(self._inner, "all")
        return self._inner._children()

    def _child(self, *found: Any) -> Any:
        return self._reads.watch(self._inner._child(*found))

    def _is_there(self) -> bool:
        return self._inner._is_there()

    def __repr__(self) -> str:
        """As of the node itself, but without the number of children, which results are among."""
        if not self._reads.is_over:  # else it is for a message
            self._reads.note(self._inner, "path")
        inner = self._inner
        return f"<{type(inner).__name__} {inner._path() or inner._key!r} of {inner._tree}>"

    @property  # type: ignore[misc]
    def __class__(self) -> type[Any]:
        """What ``isinstance`` asks for, if the node seems to be none of the class."""
        if not self._reads.is_over:
            self._reads.note(self._inner, "node")
        return type(self)

    def provenance(self) -> Any:
        self._reads.note(self._inner, "attribute", CHECK)
        return self._inner.provenance()

    # -- changes -------------------------------------------------------------------------------------

    def _container_to_write(self) -> Any:
        self._reads.refuse(self._inner)

    def _children_to_write(self) -> Any:
        self._reads.refuse(self._inner)

    def _put_policy(self, policy: Mapping[str, Any], gone: Any = ()) -> None:
        self._reads.refuse(self._inner)

    def _put_type(self, type_name: str) -> None:
        self._reads.refuse(self._inner)

    def rename(self, key: str | int) -> None:
        self._reads.refuse(self._inner)

    def restore(self, when: Any) -> BaseNode:
        self._reads.refuse(self._inner)

    def reference(self) -> Any:
        self._reads.check()
        raise StepAccessError(
            f"{self._reads.what} would send {self._inner._place()} to another process, where nobody sees "
            "what is read of it; send what was read, or a payload of it"
        )

    # -- what it is ----------------------------------------------------------------------------------

    @property
    def key(self) -> str:
        self._reads.note(self._inner, "key")
        return self._inner._key

    @key.setter
    def key(self, key: str | int) -> None:
        self._reads.refuse(self._inner)

    @property
    def path(self) -> str:
        self._reads.note(self._inner, "path")
        return self._inner._path()

    @property
    def node_type(self) -> str:
        self._reads.note(self._inner, "node")
        return self._inner.node_type

    @property
    def parent(self) -> BaseNode | None:
        above = self._inner.parent
        if above is None:
            self._reads.note_top(self._inner)
            return None
        self._reads.note(above, "node")
        return self._reads.watch(above)

    # -- children ------------------------------------------------------------------------------------

    def get_node(self, key: Any = None, create: bool = True, *, node_type: str | None = None) -> BaseNode:
        return self.get_node_path((key,), create, node_type=node_type)

    def get_node_path(  # type: ignore[override]
        self, path: Any = None, create: bool = True, *, node_type: str | None = None
    ) -> BaseNode:
        found = self._look_up(path)
        if found is None:
            if check_flag("create", create):
                self._reads.refuse(self._inner, makes=True)
            keys = split_path(path)
            if (*self._inner._keys(), *keys)[: len(self._reads.own)] == self._reads.own:
                raise NodeNotFoundError(f"{self._reads.what} does not see its own result {'/'.join(keys)!r}")
            self._inner.get_node_path(path, False)  # which says what is there
        assert found is not None
        if node_type and not isinstance(plain(found), class_of(self._tree.plugins, node_type)):
            self._reads.refuse(plain(found))  # it would become one of that type
        return found

    def get_data_node(self, path: Any, *, create: bool = True, **policy: Any) -> Any:
        found = self.get_node_path(path, create)
        own = plain(found)
        if not isinstance(own, DataMethods) or any(
            each is not None and getattr(own, name) != each for name, each in policy.items()
        ):
            self._reads.refuse(own)
        return found

    def _look_up(self, path: Any) -> BaseNode | None:
        keys = split_path(path)
        self._reads.check()
        if (*self._inner._keys(), *keys)[: len(self._reads.own)] == self._reads.own:
            return None
        found = self._inner.get(keys)
        if found is None and self._reads.on_missing(self._inner, keys):
            found = self._inner.get(keys)
        if found is None:
            self._reads.note_absent(self._inner, keys)
            return None
        self._reads.note_way(self._inner, keys)
        self._reads.note(found, "node")
        return self._reads.watch(found)

    def __contains__(self, path: object) -> bool:
        return self._look_up(path) is not None

    def __iter__(self) -> Iterator[str]:
        self._reads.note(self._inner, "children")
        return iter(shown_keys(self._inner))

    def __len__(self) -> int:
        self._reads.note(self._inner, "children")
        return len(shown_keys(self._inner))

    def values(self) -> Any:
        return [node for _, node in self.items()]

    def items(self) -> Any:
        self._reads.note(self._inner, "child types")
        return [(key, self._reads.watch(self._inner[(key,)])) for key in shown_keys(self._inner)]

    def find(self, pattern: Any = "**", where: Any = None, *, node_type: str | None = None) -> Any:
        self._reads.check()
        found = self._inner.find(pattern, where, node_type=node_type)
        return WatchedMatches(found, self, pattern, where)

    def _note_found(self, pattern: Any, where: Any, node_type: str | None) -> None:
        levels = pattern if isinstance(pattern, str) else list(pattern)
        try:
            asked = json.dumps([levels, to_plain(where), node_type])
        except ValueError:  # nobody could ask again
            self._reads.note(self._inner, "all")
        else:
            self._reads.note(self._inner, "find", asked)

    # -- what it holds -------------------------------------------------------------------------------

    @property
    def attrs(self) -> Attributes:
        return WatchedAttributes(self)

    @property
    def payloads(self) -> Payloads:
        return WatchedPayloads(self)

    def get_attribute(self, name: Any = None, default: Any = None) -> Any:
        self._reads.note(self._inner, "attribute", check_name(name))
        return self._reads.watch_value(self._inner, self._inner.get_attribute(name, default))


class WatchedData(Watched):
    """The same of a data node."""

    __slots__ = ()

    def has_data(self, data_attribute: str | None = None) -> bool:
        name = self._payload_name(data_attribute)
        self._reads.note(self._inner, "has", name)
        return self._inner.has_data(name)

    def get_data(self, data_attribute: str | None = None) -> Any:
        name = self._payload_name(data_attribute)
        self._reads.note(self._inner, "payload", name)
        return self._reads.watch_value(self._inner, self._inner.get_data(data_attribute))

    def _payload_name(self, data_attribute: str | None) -> str:
        return check_name(self.data_attribute if data_attribute is None else data_attribute, "payload")

    def _kept(self, name: str) -> Any:
        self._reads.note(self._inner, "default", name)
        return cast("Any", self._inner)._kept(name)


class WatchedPayload(Payload):
    """A payload of a watched node; for xarray and pandas it takes along what else the node holds."""

    __slots__ = ("_noted_for",)

    _noted_for: tuple[Reads, BaseNode]

    def _asks_beside(self, kind: str, name: str = "") -> None:
        reads, node = self._noted_for
        reads.note(node, kind, name)

    def __repr__(self) -> str:
        if not self._noted_for[0].is_over:
            self._asks_beside("path")
        return super().__repr__()


WatchedPayload.__name__ = WatchedPayload.__qualname__ = Payload.__name__  # as the errors of others call it


class WatchedAttributes(Attributes):
    """The attributes of a watched node."""

    __slots__ = ()

    def __getitem__(self, name: str) -> Any:
        node: Any = self._node
        node._reads.note(node._inner, "attribute", check_name(name))
        return node._reads.watch_value(node._inner, node._inner.attrs[name])

    def __iter__(self) -> Iterator[str]:
        node: Any = self._node
        node._reads.note(node._inner, "names")
        return iter(node._inner.attrs)

    def __len__(self) -> int:
        node: Any = self._node
        node._reads.note(node._inner, "names")
        return len(node._inner.attrs)

    def __contains__(self, name: object) -> bool:
        node: Any = self._node
        node._reads.note(node._inner, "has", check_name(name))
        return name in node._inner.attrs


class WatchedPayloads(Payloads):
    """The payloads of a watched node."""

    __slots__ = ()

    def __getitem__(self, name: str) -> Any:
        node: Any = self._node
        node._reads.note(node._inner, "payload", check_name(name, "payload"))
        return node._reads.watch_value(node._inner, node._inner.payloads[name])

    def __contains__(self, name: object) -> bool:
        node: Any = self._node
        node._reads.note(node._inner, "has", check_name(name, "payload"))
        return name in node._inner.payloads

    def _names(self) -> list[str]:
        node: Any = self._node
        node._reads.note(node._inner, "payloads")
        return list(node._inner.payloads)


class WatchedMatches(Matches[BaseNode]):
    """What ``find`` of a watched node gives."""

    __slots__ = ("_asked", "_asker")

    def __init__(self, found: Matches[BaseNode], asker: Watched, pattern: Any, where: Any) -> None:
        super().__init__(found._top, found._pattern, found._where, found._node_type)
        self._asker = asker
        self._asked = pattern, where

    def _scan(self) -> Iterator[Found]:
        asker, pattern = self._asker, self._asked[0]
        for found in super()._scan():
            parent, key, entry, container, epoch, version = found
            node = self._top if parent is None else parent._child(key, entry, container, epoch, version)
            if is_visible(asker._inner, pattern, node, asker._reads.own):
                yield found

    def __repr__(self) -> str:
        return f"<Matches of {self._asked[0]!r} below {self._asker!r}>"

    def _note(self) -> None:
        """Note what is looked for, once the results that are asked for it are fresh."""
        asker, (pattern, where) = self._asker, self._asked
        if where is not None and self._note_results(repr(self._where)):
            asker._note_found(pattern, None, self._node_type)  # another one would be asked as well
        asker._note_found(pattern, where, self._node_type)

    def _note_results(self, asked: str) -> bool:
        """Note each result of another step of which something is *asked*; whether there is any."""
        asker, pattern = self._asker, self._asked[0]
        if not sees_results(pattern):
            return False
        reads, top = asker._reads, asker._inner
        results = [
            each
            for each in top.find(pattern, node_type=self._node_type)
            if is_result(each._entry()) and is_visible(top, pattern, each, reads.own)
        ]
        for each in results:
            reads.note_result(each, "payload" if "payload(" in asked else "attribute")
        return bool(results)

    def __iter__(self) -> Iterator[BaseNode]:
        self._note()
        return map(self._asker._reads.watch, super().__iter__())

    def __bool__(self) -> bool:
        self._note()
        return super().__bool__()

    def count(self) -> int:
        self._note()
        return super().count()

    def distinct(self, name: Any) -> dict[Any, int]:
        self._note_results(repr((self._where, name)))
        self._asker._reads.note(self._asker._inner, "all")
        return super().distinct(name)

    def to_frame(self, columns: Any = None) -> Any:
        columns = columns if columns is None or isinstance(columns, str) else list(columns)
        self._note_results(repr((self._where, columns)))
        self._asker._reads.note(self._asker._inner, "all")
        self._asker._reads.note(self._asker._inner, "path")  # which is in each row
        return super().to_frame(columns)


def _noting_all(name: str, *beside: str) -> Callable[..., Any]:
    """The method *name* of the node itself: a read of all that is below, and of facts *beside* it."""

    @functools.wraps(getattr(BaseNode, name))
    def ask(self: Watched, *args: Any, **how: Any) -> Any:
        inner = self._inner
        if name in _GIVING_DATA:
            self._reads.note_results_below(inner)
        for kind in ("all", *beside):
            self._reads.note(inner, kind)
        if name in _GIVING_DATA:
            inner = _without(inner, self._reads.own)
        return getattr(inner, name)(*args, **how)

    return ask


def _without(top: BaseNode, own: Keys) -> BaseNode:
    """*top*; or a copy of it without the result that has the keys *own*, if that is below it."""
    keys = top._keys()
    below = own[len(keys) :]
    if own[: len(keys)] != keys or not below or top.get(below) is None:
        return top
    copy = top.copy_tree()
    copy[below].delete_tree()
    return copy


def _walking(name: str) -> Callable[..., Any]:
    """The iteration *name* of the node itself, over watched nodes and without results of steps."""

    @functools.wraps(getattr(BaseNode, name))
    def walk(self: Watched, *args: Any, **how: Any) -> Any:
        self._reads.note(self._inner, "below")
        return _seen(self, getattr(self._inner, name)(*args, **how))

    return walk


def _seen(top: Watched, nodes: Iterator[Any]) -> Iterator[Any]:
    for each in nodes:
        if isinstance(each, list):
            yield list(_seen(top, iter(each)))
        elif not is_in_result(each, top._inner):
            yield top._reads.watch(each)


# What gives data of all nodes below, also of results of other steps; the others tell people what is there.
_GIVING_DATA = frozenset(("datasets", "to_datatree", "export", "copy_tree"))

for _name, *_beside in (
    ("tree", "path"), ("datasets",), ("to_datatree", "key"), ("export",), ("usage",), ("usage_of_children",),
    ("copy_tree", "key"), ("_repr_html_", "path"), ("_ipython_key_completions_",),
):  # fmt: skip
    setattr(Watched, _name, _noting_all(_name, *_beside))
for _name in (
    "iterate_tree", "iterate_tree_level", "iterate_tree_leaves", "iterate_tree_level_buffered",
    "iterate_tree_crone_buffered",
):  # fmt: skip
    setattr(Watched, _name, _walking(_name))


@functools.cache
def _watching(cls: Any) -> type[Any]:
    """A class below *cls* whose objects note what is read of them."""
    how = WatchedData if issubclass(cls, DataMethods) else Watched
    named: dict[str, Any] = {
        "__slots__": ("_inner", "_reads"),
        "__module__": cls.__module__,
        "__doc__": cls.__doc__,
    }
    return type(cls.__name__, (how, cls), {**named, "__qualname__": cls.__qualname__})


def watched_again(asker: BaseNode, node: BaseNode) -> BaseNode:
    """*node*, watched by who watches *asker*, if anybody does."""
    return asker._reads.watch(node) if isinstance(asker, Watched) else node
