"""Node types, value types and listeners that break one promise each, and the good ones, which break none.

``test_broken_nodes.py`` tells which tests of the kits notice.
"""

import pickle
import threading
import time
from collections import defaultdict
from fractions import Fraction

from lotdb import BaseNode, DataNode, ValueType, hookimpl

# -- node types -----------------------------------------------------------------------------------


class GoodNode(BaseNode):
    __slots__ = ()
    node_type_name = "good.node"


class ForgetsItsName(BaseNode):
    __slots__ = ()


class CarriesState(BaseNode):
    node_type_name = "good.node"

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.opened = time.time()


class LosesArguments(BaseNode):
    __slots__ = ()
    node_type_name = "good.node"

    def __init__(self, key="root", **_):
        super().__init__(key)


class LosesDefaults(BaseNode):
    __slots__ = ()
    node_type_name = "good.node"

    def get_attribute(self, name, default=None):
        return super().get_attribute(name)


class LosesArgumentsOfDataNodes(BaseNode):
    __slots__ = ()
    node_type_name = "good.node"

    def get_data_node(self, path, **_):
        return super().get_data_node(path)


class SwallowsAttributes(BaseNode):
    """It knows which attributes there may be, and drops the others."""

    __slots__ = ()
    node_type_name = "good.node"

    def set_attribute(self, name, value):
        if name in ("label", "numbers"):
            super().set_attribute(name, value)


class MakesChildrenOfItsType(BaseNode):
    __slots__ = ()
    node_type_name = "good.node"

    def get_node(self, key, **arguments):
        return super().get_node(key, **{"node_type": "good.node", **arguments})


class HidesChildren(BaseNode):
    __slots__ = ()
    node_type_name = "good.node"

    def items(self):
        return [(key, node) for key, node in super().items() if not key.startswith("a")]


class EqualsNodesOfItsKey(BaseNode):
    __slots__ = ()
    node_type_name = "good.node"

    def __eq__(self, other):
        return isinstance(other, BaseNode) and self.key == other.key

    def __hash__(self):
        return hash(self.key)


class ShowsAnAttribute(BaseNode):
    """What it prints is read from the database, which may be closed by then."""

    __slots__ = ()
    node_type_name = "good.node"

    def __repr__(self):
        return f"<{self.path} {self.attrs.get('label')}>"


class CountsSomethingElse(BaseNode):
    __slots__ = ()
    node_type_name = "good.node"

    def __len__(self):
        return len(self.attrs.get("numbers", ()))


class HasAnyMember(BaseNode):
    """Attributes are members, and those that there are not are None."""

    __slots__ = ()
    node_type_name = "good.node"

    def __getattr__(self, name):
        return self.attrs.get(name)


class HasAMemberOfAnotherKind(BaseNode):
    __slots__ = ()
    node_type_name = "good.node"

    @property
    def find(self):
        return self.attrs.get("find")


class TakesFewerArguments(BaseNode):
    __slots__ = ()
    node_type_name = "good.node"

    def export(self, path):
        return super().export(path)


class GoodDataNode(DataNode):
    """A label is a text."""

    __slots__ = ()
    node_type_name = "good.node"

    def check_write(self, written, removed):
        if not isinstance(written.get("label", ""), str):
            raise TypeError("a label is a text")


class LosesMetadata(GoodDataNode):
    __slots__ = ()

    def write_data(self, data, database=None, *, metadata=None, **how):
        return super().write_data(data, database, **how)


class ChecksOneWay(DataNode):
    """Who does not call set_attribute() is not checked."""

    __slots__ = ()
    node_type_name = "good.node"

    def set_attribute(self, name, value):
        if name == "label" and not isinstance(value, str):
            raise TypeError("a label is a text")
        super().set_attribute(name, value)


class NeedsAnOwner(DataNode):
    """Each node has an owner."""

    __slots__ = ()
    node_type_name = "good.node"

    def check_write(self, written, removed):
        has = "owner" in written or ("owner" in self.attrs and "owner" not in removed)
        if not has or not isinstance(written.get("owner", ""), str):
            raise TypeError("an owner is a text, and is always there")


class LetsTheOwnerGo(NeedsAnOwner):
    """It looks at what is written, and not at what is removed."""

    __slots__ = ()

    def check_write(self, written, removed):
        if "owner" not in written and "owner" not in self.attrs:
            raise TypeError("an owner is always there")


class TakesNodesWithoutAnOwner(NeedsAnOwner):
    """It looks at what is removed, and not whether the owner ever came."""

    __slots__ = ()

    def check_write(self, written, removed):
        if "owner" in removed:
            raise TypeError("an owner is always there")


class WritesWhileItChecks(GoodDataNode):
    """It notes when it was written to."""

    __slots__ = ()

    def check_write(self, written, removed):
        super().check_write(written, removed)
        self.attrs["changed"] = time.time()


class AsksForItsOwnNames(DataNode):
    """It takes each write for one of its label."""

    __slots__ = ()
    node_type_name = "good.node"

    def check_write(self, written, removed):
        if not isinstance(written["label"], str):
            raise TypeError("a label is a text")


class ForgetsToReturn(GoodDataNode):
    __slots__ = ()

    def write_data(self, data, database=None, **how):
        super().write_data(data, database, **how)


class GivesItsAttributesAsADict(BaseNode):
    __slots__ = ()
    node_type_name = "good.node"

    @property
    def attrs(self):
        return dict(super().attrs)


class NodePlugin:
    def __init__(self, cls):
        self.cls = cls

    @hookimpl
    def lotdb_get_node_type(self, name):
        return self.cls if name == "good.node" else None


class AnswersToEveryName(NodePlugin):
    @hookimpl
    def lotdb_get_node_type(self, name):
        return self.cls


# -- value types ----------------------------------------------------------------------------------


class Length:
    """A number and its unit; equal lengths may have different units."""

    def __init__(self, number, unit):
        self.number = number
        self.unit = unit

    def __eq__(self, other):
        return isinstance(other, Length) and self.meters == other.meters

    __hash__ = None  # type: ignore[assignment]

    @property
    def meters(self):
        return self.number * {"m": 1, "km": 1000}[self.unit]

    def __repr__(self):
        return f"Length({self.number!r}, {self.unit!r})"


LENGTHS = [Length(1.25, "m"), Length(2, "km"), Length(-3, "m")]


class GoodValues:
    name = "good.length"

    @hookimpl
    def lotdb_get_value_types(self):
        return [ValueType(self.name, Length, self.encode, self.decode)]

    def encode(self, value):
        return value.number, value.unit

    def decode(self, parts):
        number, unit = parts
        if unit not in ("m", "km"):
            raise ValueError(f"no unit {unit!r}")
        return Length(number + 0, unit)


class Rounds(GoodValues):
    def encode(self, value):
        return round(value.number), value.unit


class LosesTheUnit(GoodValues):
    """What it gives is equal, and not the same."""

    def encode(self, value):
        return value.meters, "m"


class ChangesTheValue(GoodValues):
    def encode(self, value):
        parts = value.number, value.unit
        value.number = 0
        return parts


class SharesWhatItDecodes(GoodValues):
    def __init__(self):
        self.known = {}

    def decode(self, parts):
        return self.known.setdefault(parts, super().decode(parts))


class DecodesAnything(GoodValues):
    def decode(self, parts):
        try:
            return super().decode(parts)
        except Exception:
            return Length(0, "m")


class CountsEncodings(GoodValues):
    count = 0

    def encode(self, value):
        CountsEncodings.count += 1
        return value.number, value.unit, self.count

    def decode(self, parts):
        number, unit, _ = parts
        return super().decode((number, unit))


class NamesItsClass(GoodValues):
    def encode(self, value):
        return {"class": f"{Length.__module__}.Length", "parts": super().encode(value)}

    def decode(self, parts):
        return super().decode(parts["parts"])


class HasAShortName(GoodValues):
    name = "length"


class GivesTypesUnmarked(GoodValues):
    def lotdb_get_value_types(self):
        return [ValueType(self.name, Length, self.encode, self.decode)]


class GivesASubclass(GoodValues):
    """What it decodes is equal, and of another class."""

    class Far(Length):
        __hash__ = None

    def decode(self, parts):
        return self.Far(*parts)


class Pickles(GoodValues):
    def encode(self, value):
        return pickle.dumps((type(value), value.number, value.unit))

    def decode(self, parts):
        cls, *rest = pickle.loads(parts)
        return cls(*rest)


class GivesWhatAttributesHold(GoodValues):
    @hookimpl
    def lotdb_get_value_types(self):
        return [ValueType("good.fraction", Fraction, str, Fraction)]


class Evaluates(GoodValues):
    def encode(self, value):
        return repr(value)

    def decode(self, parts):
        return eval(parts)


class SharesItsParts(GoodValues):
    """Threads share what it works on."""

    def encode(self, value):
        self.value = value
        time.sleep(0.0005)
        return self.value.number, self.value.unit


class ForgetsTheFirstVersion(GoodValues):
    @hookimpl
    def lotdb_get_value_types(self):
        return [ValueType(self.name, Length, self.encode, self.decode, version=2)]


class Name:
    """A text that is found in sets as long as it is in one piece."""

    def __init__(self, text):
        self.text = text
        self.hash = id(self)

    def __eq__(self, other):
        return isinstance(other, Name) and self.text == other.text

    def __hash__(self):
        return self.hash

    def __repr__(self):
        return f"Name({self.text!r})"


class LosesTheHash:
    @hookimpl
    def lotdb_get_value_types(self):
        return [ValueType("good.name", Name, lambda name: name.text, Name)]


# -- listeners ------------------------------------------------------------------------------------


class GoodListener:
    """Which nodes there are in each database, as far as its commits tell."""

    def __init__(self):
        self.paths = defaultdict(set)

    @hookimpl
    def lotdb_committed(self, database, changes):
        # What is there now, for what was added or moved is told as a whole.
        with database.connection() as root:
            self.paths[database.id] = {node.path for node in root.iterate_tree() if node.path}

    def known(self, db):
        return self.paths[db.id]


class JustListens:
    @hookimpl
    def lotdb_node_created(self, node):
        pass


class RaisesAtMoves:
    @hookimpl
    def lotdb_node_moved(self, node, old_path):
        raise ValueError("it moved")


class RaisesAfterCommits(GoodListener):
    @hookimpl
    def lotdb_committed(self, database, changes):
        raise ValueError("it was committed")


class ChangesTheTree:
    @hookimpl
    def lotdb_node_created(self, node):
        node.attrs["seen"] = True


class NeverComesBack:
    @hookimpl
    def lotdb_payload_written(self, node, name):
        threading.Event().wait()


class ListensUnmarked:
    def lotdb_node_created(self, node):
        pass

    @hookimpl
    def lotdb_node_deleted(self, parent, key):
        pass


class KeepsWhatIsUndone(GoodListener):
    """It keeps what it hears within transactions."""

    @hookimpl
    def lotdb_node_created(self, node, database):
        if database is not None:
            self.paths[database.id].add(node.path)

    @hookimpl
    def lotdb_committed(self, database, changes):
        pass


class SeesTheTopOnly(GoodListener):
    @hookimpl
    def lotdb_committed(self, database, changes):
        known = self.paths[database.id]
        for change in changes:
            if change.kind in ("created", "added"):
                known.add(change.path)
            elif change.kind == "deleted":
                known.discard(change.path)


class MixesDatabases(GoodListener):
    @hookimpl
    def lotdb_committed(self, database, changes):
        super().lotdb_committed(database, changes)
        self.last = self.paths[database.id]

    def known(self, db):
        return self.last


class StopsAfterTheFirstCommit(GoodListener):
    @hookimpl
    def lotdb_committed(self, database, changes):
        if not self.paths[database.id]:
            super().lotdb_committed(database, changes)


class GoodLabels:
    """The label of each node that has one, kept right by what commits tell."""

    def __init__(self):
        self.labels, self.seen = defaultdict(dict), {}

    @hookimpl
    def lotdb_committed(self, database, changes):
        if self.seen.get(database.id) != changes.previous_id:
            self.read(database)
        else:
            self.apply(self.labels[database.id], changes)
        self.seen[database.id] = changes.commit_id

    def read(self, database):
        with database.connection() as root:
            self.labels[database.id] = {
                node.path: node.attrs["label"] for node in root.iterate_tree() if "label" in node.attrs
            }

    def apply(self, labels, changes):
        moved = {path: changes.new_path(path) for path in labels}
        there = {moved[path]: label for path, label in labels.items() if moved[path] is not None}
        labels.clear()
        labels.update(there)
        for change in changes.each():
            if change.name == "label" and change.kind == "attribute_set":
                labels[change.path] = change.value
            elif change.name == "label" and change.kind == "attribute_removed":
                del labels[change.path]

    def known(self, db):
        return self.labels[db.id]


class KeepsTheFirstLabel(GoodLabels):
    """It knows which nodes have a label, and not that one was changed."""

    def apply(self, labels, changes):
        before = dict(labels)
        super().apply(labels, changes)
        labels.update({path: label for path, label in before.items() if path in labels})


class MissesCommits(GoodLabels):
    """It takes what it hears for all that there is."""

    @hookimpl
    def lotdb_committed(self, database, changes):
        if database.id not in self.seen:
            self.read(database)
            self.seen[database.id] = True
        else:
            self.apply(self.labels[database.id], changes)


class MovesOneAfterTheOther(GoodLabels):
    """Two nodes that change places lose a label."""

    def apply(self, labels, changes):
        for change in changes.each():
            if change.kind == "moved":
                old = change.old_path
                for path in [path for path in labels if path == old or path.startswith(f"{old}/")]:
                    labels[change.path + path[len(old) :]] = labels.pop(path)
            elif change.kind == "deleted":
                for path in [
                    path for path in labels if path == change.path or path.startswith(f"{change.path}/")
                ]:
                    del labels[path]
            elif change.name == "label" and change.kind == "attribute_set":
                labels[change.path] = change.value
            elif change.name == "label" and change.kind == "attribute_removed":
                labels.pop(change.path, None)


class KeepsWhatWasRemoved(GoodLabels):
    def apply(self, labels, changes):
        before = dict(labels)
        super().apply(labels, changes)
        for change in changes.each():
            if change.kind == "attribute_removed" and change.path in before:
                labels[change.path] = before[change.path]


class HearsNoLabelsOfWhatIsAdded(GoodLabels):
    """It goes through the changes without asking for each one of a tree that is added."""

    def apply(self, labels, changes):
        class Told:
            new_path = staticmethod(changes.new_path)

            @staticmethod
            def each():
                return iter(changes)

        super().apply(labels, Told)


class KeepsEachTwice(GoodListener):
    """A list in place of a set: what is told as made and then as written to is in it twice."""

    def __init__(self):
        self.paths = defaultdict(list)

    @hookimpl
    def lotdb_committed(self, database, changes):
        with database.connection() as root:
            there = [node.path for node in root.iterate_tree() if node.path]
        self.paths[database.id] = there + [change.path for change in changes.each() if change.path in there]


class GoodPayloads(GoodLabels):
    """The payloads of each node that has some, with their shapes."""

    def read(self, database):
        with database.connection() as root:
            self.labels[database.id] = {
                node.path: found
                for node in root.iterate_tree()
                if (found := {name: payload.shape for name, payload in node.payloads.items()})
            }

    def apply(self, labels, changes):
        moved = {path: changes.new_path(path) for path in labels}
        there = {moved[path]: dict(found) for path, found in labels.items() if moved[path] is not None}
        for change in changes.each():
            self.hear(there, change)
        labels.clear()
        labels.update({path: found for path, found in there.items() if found})

    def hear(self, there, change):
        if change.kind == "payload_written":
            there.setdefault(change.path, {})[change.name] = change.value.shape
        elif change.kind == "payload_removed":
            del there[change.path][change.name]


class KeepsRemovedPayloads(GoodPayloads):
    def hear(self, there, change):
        if change.kind == "payload_written":
            super().hear(there, change)


class KeepsTheFirstShape(GoodPayloads):
    """It misses that rows were appended."""

    def hear(self, there, change):
        if change.kind != "payload_written" or change.name not in there.get(change.path, ()):
            super().hear(there, change)


class GoodTypes(GoodLabels):
    """The type of each node that has one."""

    def read(self, database):
        with database.connection() as root:
            self.labels[database.id] = {
                node.path: node.node_type for node in root.iterate_tree() if node.path and node.node_type
            }

    def apply(self, labels, changes):
        moved = {path: changes.new_path(path) for path in labels}
        there = {moved[path]: found for path, found in labels.items() if moved[path] is not None}
        for change in changes.each():
            self.hear(there, change)
        labels.clear()
        labels.update({path: found for path, found in there.items() if path and found})

    def hear(self, there, change):
        if change.kind in ("created", "added", "retyped"):
            there[change.path] = change.value


class KeepsTheFirstType(GoodTypes):
    def hear(self, there, change):
        if change.kind != "retyped":
            super().hear(there, change)
