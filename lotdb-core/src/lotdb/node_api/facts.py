"""Facts: what a program can learn of a node, each with an identity that is told without reading data.

Two identities that are equal mean equal content. Identities that differ mean nothing for payloads: the same
rows may have been written twice. An identity is a text, or None where nothing is. A short plain value is its
own identity, so that messages can show it.

A fact is told by the node, a kind, and a name:

==============  ==================  =========================================================
kind            name                what it is
==============  ==================  =========================================================
``payload``     of the payload      its rows, shape, rate and metadata
``attribute``   of the attribute    its value
``default``     of the default      what a data node keeps for its payloads
``has``         of either           whether there is one
``attributes``                      the names and values of all attributes, without notes of steps
``names``                           the names of the attributes and payloads
``payloads``                        the names of the payloads
``node``                            the node's type, if there is such a node
``children``                        the keys of the children, without results of steps
``child types``                     the same, with the type of each
``find``        what was asked for  the paths that ``find`` finds, with the types of the nodes
``below``                           everything below, without results of steps
``all``                             everything below, but the result that asks
``key``                             the node's key
``path``                            the node's path
``result``                          which step made the node
``results``         of steps        that results of these below were read, which may be stale
==============  ==================  =========================================================
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from hashlib import blake2b
from typing import Any, TypeAlias

from lotdb.errors import NotAResultError
from lotdb.node_api.nodes import BaseNode
from lotdb.node_api.written_conditions import from_plain
from lotdb.records.children import child_items
from lotdb.records.entries import children_of, own_of, type_of
from lotdb.records.own import position
from lotdb.segments.payload_form import is_payload
from lotdb.values.plain import exact_text

__all__ = [
    "CHECK",
    "EVICTED",
    "FACTS",
    "PINNED",
    "SAME",
    "STEP",
    "identity_of_value",
    "is_in_result",
    "is_made_from",
    "is_result",
    "likeness_of",
    "names_of",
    "noted",
    "plain",
    "result_below",
    "results_below",
    "sees_results",
    "stored_text",
    "text_in",
]

# The names under which a result keeps how it was made: for people, for the check whether it is stale, what
# was evicted, and that it is pinned.
STEP, CHECK, EVICTED, PINNED = "_step", "_step_check", "_step_evicted", "_step_pinned"
# What payloads that were evicted and computed anew, and came out the same, were called before.
SAME = "_step_same"
_NOTES = frozenset((STEP, CHECK, EVICTED, PINNED, SAME))

Keys: TypeAlias = tuple[str, ...]

_PLAIN = frozenset((str, int, float, bool, type(None)))

# So many identities of payloads, which are looked at again and again, are remembered for a tree.
_MANY = 1024

# A longer value is shown by its digest.
_SHOWN = 64


def plain(node: Any) -> BaseNode:
    """The node itself, if *node* is one that notes what is read of it, or a reference."""
    found = getattr(type(node), "_itself", None)
    if found is not None:
        return found(node)  # type: ignore[no-any-return]
    if hasattr(type(node), "_found_it"):
        return node._found_it()  # type: ignore[no-any-return]
    return node  # type: ignore[no-any-return]


def digest(value: object) -> str:
    """A short text that tells what :func:`repr` shows from everything else."""
    return "#" + blake2b(exact_text(value).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def identity_of_value(stored: Any, node: BaseNode) -> str:
    """The identity of what is stored in *node*: the value of an attribute, or a payload."""
    if type(stored) in _PLAIN:
        text = exact_text(stored)
        return text if len(text) <= _SHOWN else digest(stored)
    seen = node._tree.remembered.get("identities")
    if seen is None or len(seen) >= _MANY:
        seen = node._tree.remembered["identities"] = {}
    known: tuple[Any, str] | None = seen.get(id(stored))
    if known is None:
        found = _payload_identity(stored, node) if is_payload(stored) else digest(stored)
        known = seen[id(stored)] = stored, found  # which is kept, so that no other object gets its id
    return known[1]


def _payload_identity(stored: Any, node: BaseNode) -> str:
    _, kind, _, dtype, shape, rate, content_type, metadata, _, segments = stored
    rows = [(_locator(each[0], node), each[1], each[2], each[3]) for each in segments]
    return digest((kind, dtype, shape, rate, content_type, metadata, rows))


def _locator(locator: Any, node: BaseNode) -> str:
    if isinstance(locator, str):
        return str(locator)
    tree: Any = node._tree
    while (origin := getattr(tree, "_origin", None)) is not None:  # of a copy in memory
        tree = origin
    database = tree.database  # in another one, other data have that number
    return f"blob {locator._p_oid.hex()} of {None if database is None else database.id}"


def likeness_of(stored: Any) -> str:
    """What two payloads have in common whose rows are the same, as far as their checksums tell."""
    _, kind, _, dtype, shape, rate, content_type, metadata, _, segments = stored
    return digest((kind, dtype, shape, rate, content_type, metadata, [each[2:4] for each in segments]))


# -- what is a result -----------------------------------------------------------------------------


def is_result(entry: Any) -> bool:
    """Whether the node of *entry* was made by a step."""
    return CHECK in own_of(entry)[0]


def is_in_result(node: BaseNode, top: BaseNode) -> bool:
    """Whether *node*, or one above it that is below *top*, was made by a step."""
    each: Any = node
    while each is not None and each != top:
        if is_result(each._entry()):
            return True
        each = each._parent
    return False


def result_below(node: BaseNode, key: str) -> tuple[BaseNode, Any] | None:
    """The child *key* of *node*, and what it holds itself; None if there is none."""
    children = node._children()
    entry = None if children is None else children.get(key)
    if entry is None:
        return None
    tree = node._tree
    return node._child(key, entry, children, tree.epoch, tree.version), own_of(entry)


def stored_text(node: BaseNode, name: str) -> str | None:
    """The text that *node* keeps under *name*."""
    return text_in(own_of(node._entry()), name)


def text_in(own: Any, name: str) -> str | None:
    """The text under *name* in what a node holds itself."""
    at = position(own[0], name)
    return own[at + 1] if at >= 0 and type(own[at + 1]) is str else None


def noted(node: BaseNode, name: str) -> dict[str, Any] | None:
    """What the result *node* notes under *name* of payloads that were evicted; None if it does not.

    Raises
    ------
    NotAResultError
        If somebody has written over it.
    """
    text = stored_text(node, name)
    return None if text is None else _noted_in(text, node, name)


def _noted_in(text: str, node: BaseNode, name: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
        known = found if name == SAME else found["payloads"]
        if all(len(pair) == 2 for pair in known.values()) and (name == SAME or found["when"]):
            return found  # type: ignore[no-any-return]
    except (ValueError, TypeError, KeyError, AttributeError):
        pass
    raise NotAResultError(
        f"{node._place()} is no result any more: its attribute {name!r}, in which is noted what was evicted, "
        "was changed; delete the node, and the step makes it anew"
    ).of("", node._path())


def names_of(node: BaseNode) -> tuple[str, ...]:
    """The names of all that *node* holds itself."""
    return own_of(node._entry())[0]  # type: ignore[no-any-return]


# -- the facts ------------------------------------------------------------------------------------


def _stored(node: BaseNode, name: str) -> tuple[bool, Any]:
    own = own_of(node._entry())
    at = position(own[0], name)
    return (False, None) if at < 0 else (True, own[at + 1])


def _payload(node: BaseNode, name: str, own: Keys) -> str | None:
    held = own_of(node._entry())
    at = position(held[0], name)
    if at < 0:
        evicted = noted(node, EVICTED)  # what was evicted is still what others were made from
        return None if evicted is None else evicted["payloads"].get(name, [None])[0]
    stored = held[at + 1]
    if not is_payload(stored):
        return None
    identity = identity_of_value(stored, node)
    same = noted(node, SAME) if SAME in held[0] else None
    now, before = (None, None) if same is None else same.get(name, (None, None))
    return before if now == identity else identity


def _attribute(node: BaseNode, name: str, own: Keys) -> str | None:
    there, stored = _stored(node, name)
    if not there or name in node._hidden:
        return None
    return identity_of_value(stored, node)


def _default(node: BaseNode, name: str, own: Keys) -> str | None:
    there, stored = _stored(node, name)
    return identity_of_value(stored, node) if there else None


def _has(node: BaseNode, name: str, own: Keys) -> str | None:
    there, stored = _stored(node, name)
    if not there or name in node._hidden:
        return None
    return "payload" if is_payload(stored) else "attribute"


def _attributes(node: BaseNode, name: str, own: Keys) -> str | None:
    held = own_of(node._entry())
    return digest(
        [
            (each, identity_of_value(stored, node))
            for each, stored in zip(held[0], held[1:], strict=True)
            if each not in node._hidden and each not in _NOTES and not is_payload(stored)
        ]
    )


def _names(node: BaseNode, name: str, own: Keys) -> str | None:
    return digest(sorted(set(names_of(node)) - node._hidden))


def _payloads(node: BaseNode, name: str, own: Keys) -> str | None:
    held = own_of(node._entry())
    return digest([each for each, stored in zip(held[0], held[1:], strict=True) if is_payload(stored)])


def _node(node: BaseNode, name: str, own: Keys) -> str | None:
    return repr(type_of(node._entry()))


def _children(node: BaseNode, name: str, own: Keys) -> str | None:
    return digest(shown_keys(node))


def shown_keys(node: BaseNode) -> list[str]:
    """The keys of the children that no step has made."""
    children = children_of(node._entry())
    return [] if children is None else [key for key, entry in child_items(children) if not is_result(entry)]


def _child_types(node: BaseNode, name: str, own: Keys) -> str | None:
    children = children_of(node._entry())
    items = () if children is None else child_items(children)
    return digest([(key, type_of(entry)) for key, entry in items if not is_result(entry)])


def _find(node: BaseNode, name: str, own: Keys) -> str | None:
    pattern, where, node_type = json.loads(name)
    matches = node.find(pattern, from_plain(where), node_type=node_type)
    return digest(list(_found(node, pattern, matches, own)))


def _found(node: BaseNode, pattern: Any, matches: Any, own: Keys) -> Iterator[tuple[str, str]]:
    """The paths below *node*, and the types, of those *matches* that a step may see."""
    depth = len(node._keys())
    for found in matches:
        if is_visible(node, pattern, found, own):
            yield "/".join(found._keys()[depth:]), type_of(found._entry())


def is_visible(node: BaseNode, pattern: Any, found: BaseNode, own: Keys) -> bool:
    """Whether a step sees what *pattern* has found below *node*.

    It never sees its own result. It sees other results only if the last level of the pattern says more than
    "any": a new result of another step must not make the one that asked for all nodes stale.
    """
    if found._keys()[: len(own)] == own:
        return False
    return sees_results(pattern) or not is_in_result(found, node)


def sees_results(pattern: Any) -> bool:
    """Whether *pattern* finds results of other steps, too."""
    levels = pattern.split("/") if isinstance(pattern, str) else list(pattern)
    return bool(levels) and levels[-1] not in ("*", "**")


def _below(node: BaseNode, name: str, own: Keys) -> str | None:
    return _digest_below(node, lambda found, entry: not is_result(entry))


def _all(node: BaseNode, name: str, own: Keys) -> str | None:
    top = node._keys()
    return _digest_below(node, lambda found, entry: (*top, *found) != own)


def _digest_below(node: BaseNode, is_seen: Callable[[Keys, Any], bool]) -> str:
    seen = blake2b(digest_size=16)
    pending: list[tuple[Keys, Any]] = [((), node._entry())]
    while pending:
        keys, entry = pending.pop()
        names, *values = own_of(entry)
        held = [(name, identity_of_value(stored, node)) for name, stored in zip(names, values, strict=True)]
        seen.update(repr((keys, type_of(entry), held)).encode("utf-8", "surrogatepass"))
        children = children_of(entry)
        if children is not None:
            below = (((*keys, key), child) for key, child in child_items(children))
            pending += [each for each in below if is_seen(*each)]
    return "#" + seen.hexdigest()


def _key(node: BaseNode, name: str, own: Keys) -> str | None:
    return repr(node._key)


def _path(node: BaseNode, name: str, own: Keys) -> str | None:
    return repr(node._path())


def _result(node: BaseNode, name: str, own: Keys) -> str | None:
    check = stored_text(node, CHECK)
    if check is None:
        return None
    try:
        return repr(json.loads(check)["name"])
    except (ValueError, TypeError, KeyError):  # somebody has written over it
        return repr(check)


def _results(node: BaseNode, name: str, own: Keys) -> str | None:
    return name


def results_below(node: BaseNode, name: str, own: Keys) -> Iterator[BaseNode]:
    """The results that the fact ``results`` is about, but for the one that asks."""
    steps = frozenset(json.loads(name))
    for each in node.iterate_tree():
        if is_result(each._entry()) and each._keys()[: len(own)] != own and _result(each, "", own) in steps:
            yield each


def is_made_from(result: BaseNode, own: Keys) -> bool:
    """Whether *result* was made from what has the keys *own*, be it by others between."""
    seen: set[Keys] = set()
    pending: list[Any] = [result]
    while pending:
        each = pending.pop()
        source, text = each._parent, stored_text(each, CHECK)
        if source is None or text is None:
            continue
        try:
            reads = json.loads(text)["reads"]
        except (ValueError, TypeError, KeyError):  # somebody has written over it
            continue
        for up, keys, kind, *_ in reads:
            above = source._keys()
            place = (*above[: len(above) - up], *keys)
            if place[: len(own)] == own or (kind == "all" and own[: len(place)] == place):
                return True
            if kind == "result" and place not in seen:
                seen.add(place)
                found = each._top().get(place) if place else None
                pending += [] if found is None else [found]
    return False


#: How the identity of each kind of fact is found: of the node, the name, and the keys from below the root
#: down to the result of the step that asks, which it never sees.
FACTS: dict[str, Callable[[BaseNode, str, Keys], str | None]] = {
    "payload": _payload,
    "attribute": _attribute,
    "default": _default,
    "attributes": _attributes,
    "has": _has,
    "names": _names,
    "payloads": _payloads,
    "node": _node,
    "children": _children,
    "child types": _child_types,
    "find": _find,
    "below": _below,
    "all": _all,
    "key": _key,
    "path": _path,
    "result": _result,
    "results": _results,
}
