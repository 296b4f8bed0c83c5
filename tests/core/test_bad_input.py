# ruff: noqa: E501  (a case is a line)
"""Bad input: every public method, with arguments that make no sense.

Each case is one line: a name, the error that a stranger would catch, a pattern that the message must
have, and the call. Whatever the call, it must raise an error of LOTDB that is such a builtin, and leave
the tree, the payloads and the transaction as they were.
"""

import math
import os
import re
import threading
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas  # type: ignore[import-untyped]
import pytest
import xarray
from tests.services import forked

from lotdb import (
    LOTDB,
    BaseNode,
    Blocks,
    ClosedError,
    DataNode,
    DataReader,
    DataWriter,
    InvalidIndexError,
    InvalidOptionError,
    LotdbError,
    NodeNotFoundError,
    Payload,
    Plugins,
    ReadOnlyError,
    StaleNodeError,
    TreeIndex,
    WrongThreadError,
    convert,
    plugins,
    read_many,
    restore,
    salvage,
    upgrade,
)

NAN, INF, HUGE = math.nan, math.inf, 10**5000
SURROGATE = "\ud800"


class World:
    """A database with something of everything, one connection, and things that do not belong."""

    def __init__(self, folder):
        self.folder = folder
        self.db = LOTDB(folder / "db", durability="process")
        self.root = self.db.open_connection()
        self.node = self.root.get_data_node("a/b", samplerate_hz=10)
        self.node.write_data(np.arange(100.0).reshape(50, 2), metadata={"unit": "g"})
        self.node.write_data("hello", data_attribute="note")
        self.node.write_data(np.float32(1.5), data_attribute="single")
        self.node.write_data(np.arange(10), data_attribute="unrated", samplerate_hz=None)
        self.node.set_attribute("label", {"x": [1, 2]})
        self.node.get_node("inner").set_attribute("x", 1)
        self.plain = self.root.get_node("plain")
        self.other = self.root.get_node_path("c/b")
        self.gone = self.root.get_node_path("gone/below")
        self.db.commit()
        self.root.delete_node("gone")
        self.db.commit()
        self.payload = self.node.get_data()
        self.file = folder / "file.bin"
        self.file.write_bytes(b"abc")
        self.other_db = LOTDB(folder / "other", durability="process")
        self.foreign = self.other_db.open_connection().get_data_node("foreign")
        self.other_db.commit()
        self.elsewhere = self.db.open_connection("second")["a/b"]
        self.memory = DataNode("memory")

    def close(self):
        self.db.close()
        self.other_db.close()


def dump(node):
    """All that is at and below *node*: types, attributes with their types, payloads with their contents."""
    found, stack = {}, [node]
    while stack:
        node = stack.pop()
        found[node.path] = (node.node_type, {name: shown(value) for name, value in node.attrs.items()})
        stack.extend(node.iterate_tree_level(1))
    return found


def shown(value):
    if isinstance(value, Payload):
        about = (
            value.kind,
            value.shape,
            str(value.dtype),
            value.samplerate_hz,
            value.backend,
            value.metadata,
        )
        return (*about, value.content_type, np.asarray(value).tobytes())
    return type(value), repr(value)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A world for all cases; they must leave it as it was."""
    world, folder = World(tmp_path_factory.mktemp("world")), os.getcwd()
    os.chdir(tmp_path_factory.mktemp("working"))  # where a path that is none may lead
    yield world
    os.chdir(folder)
    world.close()


@pytest.fixture
def world(shared):
    """The shared world, put right after each case."""
    yield shared
    shared.db.abort()


@contextmanager
def unchanged(world):
    """Fails if what is done within changes anything, now or with the next commit."""
    before = dump(world.root), dump(world.memory), dump(world.foreign)
    size = (world.db.path / "lotdb.fs").stat().st_size
    there = sorted(os.listdir(world.folder))
    yield
    assert sorted(os.listdir(world.folder)) == there, "something was made"
    assert world.root._tree.stage.locators == [], "something was staged"
    assert (dump(world.root), dump(world.memory), dump(world.foreign)) == before
    world.db.commit()
    assert (world.db.path / "lotdb.fs").stat().st_size == size, "the commit stored something"
    assert dump(world.root) == before[0]


@dataclass(frozen=True)
class Case:
    name: str
    builtin: type
    says: str
    call: Any


def cases(name, builtin, says, call, *arguments):
    """A case for each of *arguments*, which *call* takes after the world."""
    return [
        Case(f"{name}({short(argument)})", builtin, says, lambda w, a=argument: call(w, a))
        for argument in arguments
    ]


def short(value):
    if type(value) is int and value > 10**50:
        return "huge"
    text = repr(value).encode("ascii", "backslashreplace").decode()
    return "object" if " at 0x" in text else text[:40]


def nothing():
    yield from ()


class Weird:
    """No value, no node, no number."""

    def __repr__(self):
        return "<weird>"


BAD_KEYS = [None, True, 1.5, b"a", "", ".", "..", "a/b", "a\0", "\n", SURROGATE, "x" * 256, HUGE, Weird(), ["a"]]  # fmt: skip
BAD_PATHS = [None, True, 5, 1.5, b"a/b", "", "/", "a/", "/a", "a//b", "a/../b", ["a", ""], ["a", None], ["a", "b/c"],
             [b"a"], {"a": 1}, {"a"}, SURROGATE, Weird(), [["a"]]]  # fmt: skip
BAD_NAMES = [None, True, 5, b"label", "", "a\0", SURROGATE, "x" * 256, Weird(), ("label",)]
BAD_VALUES = [object(), Weird(), lambda: None, int, iter([]), nothing(), np.array([None]), {"x": object()}, [[Weird()]],
              memoryview(b"a"), SimpleNamespace(), np.ma.masked_array([1], mask=[True]), threading.Lock()]  # fmt: skip
BAD_NODES = [None, 5, "a", b"a", {"a": 1}, Weird(), BaseNode, ["a"]]
BAD_RATES = ["10", True, 0, -1, NAN, INF, -INF, HUGE, b"10", [10], 1j, Weird(), np.array([1, 2]), datetime(2020, 1, 1)]  # fmt: skip
BAD_BOUNDS = ["1", True, 1.5, NAN, INF, b"1", [1], 1j, Weird(), np.array([1, 2])]
BAD_SECONDS = ["1", True, -1, NAN, INF, b"1", [1], 1j, Weird(), HUGE]
BAD_SIZES = ["1", True, 0, -1, 1.5, NAN, INF, None, b"1", [1], 1j, Weird()]
BAD_COUNTS = ["1", True, 0, -1, 1.5, NAN, None, b"1", [1], Weird()]
BAD_UNITS = [None, 5, "", "Seconds", "ms", b"samples", ["samples"], Weird()]
BAD_CHOICES = [None, 5, "", "Replace", "delete", True, b"replace", ["replace"], Weird()]
BAD_DATA = [None, object(), {"a": 1}, {1}, [[1], [2, 3]], [1, None], np.array([None]), np.ma.masked_array([1], mask=[True]),
            HUGE, nothing(), np.zeros(2, "V0"), np.zeros(2, [("a", "O")]), Weird()]  # fmt: skip
BAD_METADATA = [5, "unit", b"unit", ["unit"], {"a": object()}, {"a": np.array([None])}, 0, "", [], Weird()]
BAD_PATHLIKES = [None, 5, 1.5, True, b"file", "", "a\0b", ["file"], Weird(), HUGE]
BAD_BACKENDS = [5, True, b"blob", ["blob"], Weird()]
BAD_FLAGS: list[Any] = ["no", "", b"yes", None, 0, 1, [], NAN, Weird()]
BAD_PROGRESS = [5, "yes", True, False, [], Weird()]

CASES = [
    # -- keys and paths
    *cases("get_node", ValueError, "key", lambda w, k: w.root.get_node(k), *BAD_KEYS),
    *cases("get_node no create", ValueError, "key", lambda w, k: w.root.get_node(k, create=False), *BAD_KEYS),
    *cases("get_node_path", ValueError, "key|path", lambda w, k: w.root.get_node_path(k), *BAD_PATHS),
    *cases("get_data_node", ValueError, "key|path", lambda w, k: w.root.get_data_node(k), *BAD_PATHS),
    *cases("[]", ValueError, "key|path", lambda w, k: w.root[k], *BAD_PATHS),
    *cases("del", ValueError, "key|path", lambda w, k: w.root.__delitem__(k), *BAD_PATHS),
    *cases("in", ValueError, "key|path", lambda w, k: k in w.root, *BAD_PATHS),
    *cases("rename", ValueError, "key", lambda w, k: w.node.rename(k), *BAD_KEYS),
    *cases("key=", ValueError, "key", lambda w, k: setattr(w.node, "key", k), *BAD_KEYS),
    *cases("move key", ValueError, "key", lambda w, k: w.node.move(w.plain, k), *BAD_KEYS[1:]),
    *cases("branch", ValueError, "key", lambda w, k: w.node.branch(k), *BAD_KEYS),
    *cases("add_tree key", ValueError, "key", lambda w, k: w.plain.add_tree(w.node, key=k), *BAD_KEYS[1:]),
    *cases("delete_node", ValueError, "key", lambda w, k: w.root.delete_node(k), *BAD_KEYS),
    *cases("BaseNode", ValueError, "key", lambda w, k: BaseNode(k), *BAD_KEYS),
    *cases("DataNode", ValueError, "key", lambda w, k: DataNode(k), *BAD_KEYS),
    # -- node types
    *cases("get_node type", LookupError, "node type|node_type", lambda w, t: w.root.get_node("new", node_type=t), "nowhere", 5, b"data", Weird(), ["data"], SURROGATE),
    *cases("get_node_path type", LookupError, "node type|node_type", lambda w, t: w.root.get_node_path("new/er", node_type=t), "nowhere", 5, BaseNode, ["data"]),
    *cases("get_node type of one that is there", LookupError, "node type|node_type", lambda w, t: w.root.get_node("a", node_type=t), "nowhere", 5),
    *cases("node[]=", TypeError, "takes no items: attrs", lambda w, x: w.root.__setitem__("new", x), 1, np.zeros(3), BaseNode("b")),
    # -- attributes
    *cases("set_attribute name", ValueError, "name", lambda w, n: w.node.set_attribute(n, 1), *BAD_NAMES),
    *cases("get_attribute name", ValueError, "name", lambda w, n: w.node.get_attribute(n), *BAD_NAMES, ["a"], np.array([1, 2])),
    *cases("delete_attribute name", ValueError, "name", lambda w, n: w.node.delete_attribute(n), *BAD_NAMES),
    *cases("attrs[]", ValueError, "name", lambda w, n: w.node.attrs[n], *BAD_NAMES),
    *cases("attrs[]=", ValueError, "name", lambda w, n: w.node.attrs.__setitem__(n, 1), *BAD_NAMES),
    *cases("del attrs[]", ValueError, "name", lambda w, n: w.node.attrs.__delitem__(n), *BAD_NAMES),
    *cases("in attrs", ValueError, "name", lambda w, n: n in w.node.attrs, *BAD_NAMES),
    *cases("attrs.update names", ValueError, "name", lambda w, n: w.node.attrs.update({"good": 1, n: 1}), *BAD_NAMES),
    *cases("edit_attribute name", ValueError, "name", lambda w, n: w.node.edit_attribute(n).__enter__(), *BAD_NAMES),
    *cases("set_attribute value", TypeError, "'new' cannot hold", lambda w, v: w.node.set_attribute("new", v), *BAD_VALUES),
    *cases("attrs[]= value", TypeError, "'new' cannot hold", lambda w, v: w.node.attrs.__setitem__("new", v), *BAD_VALUES),
    *cases("attrs.update value", TypeError, "'new' cannot hold", lambda w, v: w.node.attrs.update(good=1, new=v), *BAD_VALUES),
    *cases("attrs.update", TypeError, "mapping|pairs", lambda w, v: w.node.attrs.update(v), None, 5, 1.5, Weird()),
    *cases("attrs.update pairs", ValueError, "mapping|pairs", lambda w, v: w.node.attrs.update(v), "text", [1, 2], [(1, 2, 3)], ["abc"]),
    Case("a node as value", TypeError, "'new' cannot hold", lambda w: w.plain.set_attribute("new", w.node)),
    Case("a payload as value", TypeError, "'new' cannot hold", lambda w: w.plain.set_attribute("new", w.payload)),
    Case("a value over 1 MiB", ValueError, "'new' takes more than.*write_data", lambda w: w.node.set_attribute("new", "x" * 2_000_000)),
    Case("an array over 1 MiB", ValueError, "'new' takes more than.*write_data", lambda w: w.node.set_attribute("new", np.zeros(200_000))),
    Case("a value within itself", ValueError, "'new' nests deeper", lambda w: w.node.set_attribute("new", loop())),
    Case("a payload's name", ValueError, "'data' of node 'a/b' is a payload", lambda w: w.node.set_attribute("data", 1)),
    Case("a payload's name among others", ValueError, "'data' of node 'a/b' is a payload", lambda w: w.node.attrs.update(new=1, data=1)),
    Case("a missing attribute", KeyError, "'a/b' has no attribute 'nowhere'", lambda w: w.node.attrs["nowhere"]),
    Case("deleting a missing attribute", KeyError, "'a/b' has no attribute 'nowhere'", lambda w: w.node.delete_attribute("nowhere")),
    # -- what is not there, or there already
    Case("a missing node", KeyError, "no node 'x' below .*root.*its children are", lambda w: w.root["x"]),
    Case("a missing node further down", KeyError, "no node 'x' below 'a/b'", lambda w: w.root["a/b/x/y"]),
    Case("deleting a missing node", KeyError, "no node 'x'", lambda w: w.root.delete_node("x")),
    Case("renaming onto a sibling", ValueError, "'plain' already", lambda w: w.root["a"].rename("plain")),
    Case("moving onto a child", ValueError, "'b' already", lambda w: w.node.move(w.root["c"])),
    Case("branching onto a sibling", ValueError, "'plain' already", lambda w: w.root["a"].branch("plain")),
    Case("branching onto itself", ValueError, "'a' already", lambda w: w.root["a"].branch("a")),
    Case("adding onto a child", ValueError, "'b' already", lambda w: w.root["c"].add_tree(w.node, copy=True)),
    Case("adding from memory onto a child", ValueError, "'b' already", lambda w: w.root["c"].add_tree(w.memory, key="b")),
    Case("moving below itself", ValueError, "'a' cannot be moved below itself", lambda w: w.root["a"].move(w.node)),
    Case("moving into itself", ValueError, "'a' cannot be moved below itself", lambda w: w.root["a"].move(w.root["a"])),
    Case("moving the root", ValueError, "root", lambda w: w.root.move(w.node)),
    Case("renaming the root", ValueError, "root", lambda w: w.root.rename("top")),
    Case("branching the root", ValueError, "root", lambda w: w.root.branch("top")),
    Case("deleting only the root", ValueError, "root", lambda w: w.root.delete_tree(only_node=True)),
    Case("moving the root below another", ValueError, "root", lambda w: w.node.add_tree(w.root)),
    # -- nodes that are none, or not ours
    *cases("add_tree", TypeError, "pass a node", lambda w, n: w.root.add_tree(n), *BAD_NODES),
    *cases("merge_tree", TypeError, "pass a node", lambda w, n: w.root.merge_tree(n), *BAD_NODES),
    *cases("move", TypeError, "pass a node", lambda w, n: w.node.move(n), *BAD_NODES),
    *cases("DataReader.open", TypeError, "pass a node", lambda w, n: DataReader.open(n), *BAD_NODES),
    *cases("DataReader.read", TypeError, "pass a node", lambda w, n: DataReader.read(n), *BAD_NODES),
    *cases("DataWriter.write_array", TypeError, "pass a node", lambda w, n: DataWriter.write_array(n, [1.0]), *BAD_NODES),
    *cases("DataWriter.append_array", TypeError, "pass a node", lambda w, n: DataWriter.append_array(n, [1.0]), *BAD_NODES),
    *cases("DataWriter.write_text", TypeError, "pass a node", lambda w, n: DataWriter.write_text(n, "a"), *BAD_NODES),
    *cases("DataWriter.write_bytes", TypeError, "pass a node", lambda w, n: DataWriter.write_bytes(n, b"a"), *BAD_NODES),
    *cases("DataWriter.has_data", TypeError, "pass a node", lambda w, n: DataWriter.has_data(n), *BAD_NODES),
    *cases("DataWriter.delete_data", TypeError, "pass a node", lambda w, n: DataWriter.delete_data(n), *BAD_NODES),
    *cases("DataWriter.attach_file", TypeError, "pass a node", lambda w, n: DataWriter.attach_file(n, w.file), *BAD_NODES),
    Case("moving a node of another database", TypeError, r"foreign.*another database.*parent\.add_tree\(node, copy=True\)", lambda w: w.root.add_tree(w.foreign)),
    Case("moving to another database", TypeError, r"another database.*parent\.add_tree\(node, copy=True\)", lambda w: w.node.move(w.foreign)),
    Case("moving a node of another connection", TypeError, "another database or connection.*copy=True", lambda w: w.plain.add_tree(w.elsewhere)),
    Case("naming another database", TypeError, "is not the database of", lambda w: w.node.write_data([1.0], database=w.other_db)),
    *cases("database=", TypeError, "is not the database of", lambda w, d: w.node.write_data([1.0], database=d), 5, "db", Weird()),
    *cases("attach_file database=", TypeError, "is not the database of", lambda w, d: w.node.attach_file(w.file, database=d), 5, "db"),
    *cases("add_tree if_exists", ValueError, "if_exists is .*use 'error', 'replace' or 'rename'", lambda w, c: w.plain.add_tree(w.node, if_exists=c), *BAD_CHOICES),
    # -- walking
    *cases("iterate_tree_level", ValueError, "level is", lambda w, n: w.root.iterate_tree_level(n), None, "1", "Deepest", -1, 1.5, True, NAN, b"1", [1], Weird()),
    *cases("iterate_tree_level_buffered level", ValueError, "level is", lambda w, n: w.root.iterate_tree_level_buffered(2, n), None, -1, "x"),
    *cases("iterate_tree_level_buffered", ValueError, "buffer_size is", lambda w, n: w.root.iterate_tree_level_buffered(n), *BAD_COUNTS),
    *cases("iterate_tree_crone_buffered", ValueError, "buffer_size is", lambda w, n: w.root.iterate_tree_crone_buffered(n), *BAD_COUNTS),
    # -- writing payloads
    *cases("write_data", ValueError, "payload 'data' of node 'a/b'", lambda w, d: w.node.write_data(d), *BAD_DATA),
    *cases("replace_data", ValueError, "payload 'data' of node 'a/b'", lambda w, d: w.node.replace_data(d), *BAD_DATA),
    *cases("append_data", ValueError, "payload 'data' of node 'a/b'", lambda w, d: w.node.append_data(d), *BAD_DATA),
    *cases("write_array", ValueError, "", lambda w, d: DataWriter.write_array(w.plain, d), *BAD_DATA, "text", b"bytes"),
    *cases("append_array", ValueError, "", lambda w, d: DataWriter.append_array(w.plain, d), *BAD_DATA),
    *cases("write_text", ValueError, "is not a text", lambda w, d: DataWriter.write_text(w.plain, d), *BAD_DATA, b"bytes", 5),
    *cases("write_bytes", ValueError, "is not bytes", lambda w, d: DataWriter.write_bytes(w.plain, d), *BAD_DATA, "text", 5),
    *cases("append what does not fit", ValueError, "payload 'data' of node 'a/b' has", lambda w, d: w.node.append_data(d), [[1, 2]], [1.0, 2.0], [[1.0]], 1.0, "text", b"bytes", np.zeros((2, 2), ">f8"), np.zeros((2, 2), "f4"), np.zeros((2, 2, 1)), np.zeros(0), np.zeros((0, 3))),
    *cases("append to one without axes", ValueError, "'single' of node 'a/b' has shape", lambda w, d: w.node.append_data(d, data_attribute="single"), np.zeros(2, "f4"), np.float32(1)),
    *cases("write_data name", ValueError, "payload name", lambda w, n: w.node.write_data([1.0], data_attribute=n), *BAD_NAMES[1:]),
    *cases("write_array name", ValueError, "payload name", lambda w, n: DataWriter.write_array(w.plain, [1.0], data_attribute=n), *BAD_NAMES),
    *cases("attach_file name", ValueError, "payload name", lambda w, n: w.node.attach_file(w.file, data_attribute=n), *BAD_NAMES[1:]),
    *cases("write_data rate", ValueError, "sample rate", lambda w, r: w.node.write_data([1.0], samplerate_hz=r), *BAD_RATES),
    *cases("append_data rate", ValueError, "sample rate", lambda w, r: w.node.append_data(np.zeros((1, 2)), samplerate_hz=r), *BAD_RATES),
    *cases("write_array rate", ValueError, "sample rate", lambda w, r: DataWriter.write_array(w.plain, [1.0], r), *BAD_RATES),
    *cases("attach_file rate", ValueError, "sample rate", lambda w, r: w.node.attach_file(w.file, samplerate_hz=r), *BAD_RATES),
    *cases("configure_data rate", ValueError, "sample rate", lambda w, r: w.node.configure_data(samplerate_hz=r), *BAD_RATES),
    *cases("get_data_node rate", ValueError, "sample rate", lambda w, r: w.root.get_data_node("new", samplerate_hz=r), *BAD_RATES),
    *cases("DataNode rate", ValueError, "sample rate", lambda w, r: DataNode("new", samplerate_hz=r), *BAD_RATES),
    *cases("write_data backend", ValueError, "backend is", lambda w, b: w.node.write_data([1.0], backend=b), *BAD_BACKENDS),
    *cases("write_data missing backend", LookupError, "no backend named", lambda w, b: w.node.write_data([1.0], backend=b), "nowhere", "", "../x", "BLOB", SURROGATE),
    *cases("write_array missing backend", LookupError, "no backend named", lambda w, b: DataWriter.write_array(w.plain, [1.0], backend=b), "nowhere", ""),
    *cases("attach_file missing backend", LookupError, "no backend named", lambda w, b: w.node.attach_file(w.file, backend=b), "nowhere", ""),
    *cases("configure_data backend", ValueError, "backend is", lambda w, b: w.node.configure_data(backend=b), *BAD_BACKENDS),
    *cases("configure_data missing backend", LookupError, "no backend named 'nowhere'.*install the package that provides it", lambda w, b: w.node.configure_data(backend=b), "nowhere"),
    *cases("get_data_node missing backend", LookupError, "no backend named 'nowhere'.*install the package that provides it", lambda w, b: w.root.get_data_node("new", backend=b), "nowhere"),
    *cases("configure_data name", ValueError, "payload name", lambda w, n: w.node.configure_data(data_attribute=n), *BAD_NAMES[1:]),
    *cases("get_data_node name", ValueError, "payload name", lambda w, n: w.root.get_data_node("new", data_attribute=n), *BAD_NAMES[1:]),
    *cases("write_data metadata", LotdbError, "metadata", lambda w, m: w.node.write_data([1.0], metadata=m), *BAD_METADATA),
    *[Case(f"{name} metadata, whose", LotdbError, f"^the metadata of {whose} cannot hold object in .'who'.", call) for name, whose, call in [
        ("write_data", "payload 'note' of node 'a/b'", lambda w: w.node.write_data("x", data_attribute="note", metadata={"who": object()})),
        ("append_data", "payload 'data' of node 'a/b'", lambda w: w.node.append_data(np.zeros((1, 2)), metadata={"who": object()})),
        ("attach_file", "payload 'file' of node 'a/b'", lambda w: w.node.attach_file(w.file, data_attribute="file", metadata={"who": object()})),
        ("ingest_tree", "the files", lambda w: w.root.ingest_tree(w.folder, metadata={"who": object()})),
    ]],
    *cases("append_data metadata", LotdbError, "metadata", lambda w, m: w.node.append_data(np.zeros((1, 2)), metadata=m), *BAD_METADATA),
    *cases("attach_file metadata", LotdbError, "metadata", lambda w, m: w.node.attach_file(w.file, metadata=m), *BAD_METADATA),
    *cases("write_data content_type", ValueError, "content_type is", lambda w, c: w.node.write_data([1.0], content_type=c), 5, b"audio/wav", ["a"], Weird(), True),
    *cases("append_data content_type", ValueError, "content_type", lambda w, c: w.node.append_data(np.zeros((1, 2)), content_type=c), 5),
    *cases("write_data if_exists", ValueError, "if_exists is .*use 'replace', 'error' or 'append'", lambda w, c: w.node.write_data([1.0], if_exists=c), *BAD_CHOICES),
    *cases("write_array if_exists", ValueError, "if_exists is", lambda w, c: DataWriter.write_array(w.plain, [1.0], if_exists=c), *BAD_CHOICES),
    *cases("attach_file if_exists", ValueError, "if_exists is", lambda w, c: w.node.attach_file(w.file, if_exists=c), *(each for each in BAD_CHOICES if each is not None)),
    Case("a misspelt option", ValueError, "'blob' takes no option 'if_exist'", lambda w: w.node.write_data([1.0], if_exist="error")),
    Case("a misspelt option in memory", ValueError, "takes no option 'if_exist'", lambda w: w.memory.write_data([1.0], if_exist="error")),
    Case("an option of another backend", ValueError, "'blob' takes no option 'chunks'", lambda w: w.node.write_data([1.0], chunks=5)),
    Case("the memory backend in a database", ValueError, "'memory' keeps nothing on disk", lambda w: w.node.write_data([1.0], backend="memory")),
    Case("writing over an attribute", ValueError, "'label' of node 'a/b' is a value and no payload", lambda w: w.node.write_data([1.0], data_attribute="label")),
    Case("writing over what is there", ValueError, "has a payload 'data' already", lambda w: w.node.write_data([1.0], if_exists="error")),
    Case("deleting a missing payload", KeyError, "'a/b' has no payload 'x'", lambda w: w.node.delete_data("x")),
    Case("deleting an attribute as a payload", LotdbError, "'label'", lambda w: w.node.delete_data("label")),
    # -- reading payloads
    *cases("has_data", ValueError, "payload name", lambda w, n: w.node.has_data(n), *BAD_NAMES[1:]),
    *cases("get_data", ValueError, "payload name", lambda w, n: w.node.get_data(n), *BAD_NAMES[1:]),
    *cases("delete_data", ValueError, "payload name", lambda w, n: w.node.delete_data(n), *BAD_NAMES[1:]),
    *cases("read_data name", ValueError, "payload name", lambda w, n: w.node.read_data(data_attribute=n), *BAD_NAMES[1:]),
    *cases("DataReader.read name", ValueError, "payload name", lambda w, n: DataReader.read(w.node, n), *BAD_NAMES),
    *cases("read_data start", ValueError, "payload 'data' of node 'a/b'.*start", lambda w, b: w.node.read_data(b, 3), *BAD_BOUNDS),
    *cases("read_data stop", ValueError, "payload 'data' of node 'a/b'.*stop", lambda w, b: w.node.read_data(3, b), *BAD_BOUNDS),
    *cases("read_interval", ValueError, "payload 'data' of node 'a/b'", lambda w, b: DataReader.read_interval(w.node, "data", b), *BAD_BOUNDS),
    *cases("read_seconds", ValueError, "payload 'data' of node 'a/b'", lambda w, b: w.node.read_seconds(b), *BAD_SECONDS),
    *cases("read_seconds stop", ValueError, "payload 'data' of node 'a/b'", lambda w, b: w.node.read_seconds(0, b), *BAD_SECONDS),
    *cases("read_data unit", ValueError, "unit must be 'samples' or 'seconds'", lambda w, u: w.node.read_data(0, 1, unit=u), *BAD_UNITS),
    *cases("read_data unit of all", ValueError, "unit must be 'samples' or 'seconds'", lambda w, u: w.node.read_data(unit=u, data_attribute="note"), *BAD_UNITS),
    *cases("iter_data_blocks", ValueError, "payload 'data' of node 'a/b'.*block size", lambda w, s: w.node.iter_data_blocks(s), *BAD_SIZES),
    *cases("iter_data_blocks seconds", ValueError, "payload 'data' of node 'a/b'", lambda w, s: w.node.iter_data_blocks(s, "seconds"), *BAD_SECONDS[:-1], 0, 0.01, None),
    *cases("iter_data_blocks unit", ValueError, "unit must be", lambda w, u: w.node.iter_data_blocks(1, u), *BAD_UNITS),
    *cases("iter_data_blocks range_unit", ValueError, "unit must be", lambda w, u: w.node.iter_data_blocks(1, range_unit=u), *BAD_UNITS),
    *cases("iter_blocks start", ValueError, "payload 'data' of node 'a/b'", lambda w, b: DataReader.iter_blocks(w.node, block_size=2, start=b), *BAD_BOUNDS),
    *cases("payload[]", IndexError, "payload 'data' of node 'a/b'", lambda w, i: w.payload[i], 50, -51, HUGE, (0, 2), 1.5, "x", (0, 0, 0), NAN, b"x", Weird(), [50], (slice(None), 5)),
    *cases("payload[] slice", ValueError, "payload 'data' of node 'a/b'.*slice", lambda w, i: w.payload[i], slice("a"), slice(0, 5, 0), slice(1.5), slice(NAN), slice(None, None, "x")),
    Case("a missing payload", KeyError, "'a/b' has no payload 'x'.*'data', 'note', 'single', 'unrated'", lambda w: w.node.read_data(data_attribute="x")),
    Case("a missing payload of a plain node", KeyError, "'plain' has no payload 'data'.*none", lambda w: DataReader.read(w.plain)),
    Case("an attribute as payload", LotdbError, "'label' of node 'a/b'", lambda w: w.node.read_data(data_attribute="label")),
    Case("a window of a text", ValueError, "'note' of node 'a/b' is a text", lambda w: w.node.read_data(0, 1, data_attribute="note")),
    Case("blocks of a text", ValueError, "'note' of node 'a/b'", lambda w: w.node.iter_data_blocks(1, data_attribute="note")),
    Case("a window of no axis", ValueError, "'single' of node 'a/b' has no axis", lambda w: w.node.read_data(0, 1, data_attribute="single")),
    Case("seconds without a rate", ValueError, "no sample rate; pass samplerate_hz=", lambda w: DataReader.read_seconds(rateless(w), "data", 0, 1)),
    Case("a window that ends before it starts", ValueError, "start=5, stop=3", lambda w: w.node.read_data(5, 3)),
    Case("len of no axis", LotdbError, "'single' of node 'a/b' has no axis", lambda w: len(w.node.get_data("single"))),
    Case("no copy", ValueError, "without a copy", lambda w: np.asarray(w.payload, copy=False)),
    # -- files
    *cases("attach_file", ValueError, "", lambda w, f: w.node.attach_file(f), *BAD_PATHLIKES),
    *cases("attach_file format", ValueError, "format", lambda w, f: w.node.attach_file(w.file, format=f), 5, b"raw", ["raw"], True, Weird()),
    Case("a directory", ValueError, "not a regular file", lambda w: w.node.attach_file(w.folder)),
    Case("an unknown option for an ingester", ValueError, "encodng", lambda w: w.node.attach_file(w.file, encodng="utf-8")),
    # -- deleted nodes
    *[Case(f"gone: {name}", LookupError, "node 'gone(/below)?' is gone", call) for name, call in {
        "get_node": lambda w: w.gone.get_node("x"),
        "get_node_path": lambda w: w.gone.get_node_path("x/y"),
        "get_data_node": lambda w: w.gone.get_data_node("x"),
        "[]": lambda w: w.gone["x"],
        "in": lambda w: "x" in w.gone,
        "len": lambda w: len(w.gone),
        "iter": lambda w: list(w.gone),
        "node_type": lambda w: w.gone.node_type,
        "set_attribute": lambda w: w.gone.set_attribute("x", 1),
        "get_attribute": lambda w: w.gone.get_attribute("x"),
        "attrs": lambda w: list(w.gone.attrs),
        "rename": lambda w: w.gone.rename("x"),
        "rename to its own key": lambda w: w.gone.rename("below"),
        "move": lambda w: w.gone.move(w.plain),
        "moving to it": lambda w: w.node.move(w.gone),
        "branch": lambda w: w.gone.branch("x"),
        "copy_tree": lambda w: w.gone.copy_tree(),
        "add_tree": lambda w: w.gone.add_tree(w.node),
        "adding it": lambda w: w.plain.add_tree(w.gone),
        "adding a copy of it": lambda w: w.plain.add_tree(w.gone, copy=True),
        "merge_tree": lambda w: w.gone.merge_tree(w.node),
        "merging it": lambda w: w.plain.merge_tree(w.gone),
        "merging it with itself": lambda w: w.gone.merge_tree(w.gone),
        "delete_tree": lambda w: w.gone.delete_tree(),
        "iterate_tree_level": lambda w: list(w.gone.iterate_tree_level(1)),
        "iterate_tree_level at the call": lambda w: w.gone.iterate_tree_level(1),
        "iterate_tree_leaves": lambda w: list(w.gone.iterate_tree_leaves()),
        "iterate_tree_leaves at the call": lambda w: w.gone.iterate_tree_leaves(),
        "iterate_tree_crone_buffered": lambda w: list(w.gone.iterate_tree_crone_buffered()),
        "DataReader.read": lambda w: DataReader.read(w.gone),
        "DataWriter.write_array": lambda w: DataWriter.write_array(w.gone, [1.0]),
        "DataWriter.attach_file": lambda w: DataWriter.attach_file(w.gone, w.file),
        "DataWriter.has_data": lambda w: DataWriter.has_data(w.gone),
    }.items()],
    # -- true or false
    *[case for name, call in {
        "create get_node": lambda w, f: w.root.get_node("zz", create=f),
        "create get_node, by position": lambda w, f: w.root.get_node("zz", f),
        "create get_node_path": lambda w, f: w.root.get_node_path("plain/zz", create=f),
        "create get_node_path, further down": lambda w, f: w.root.get_node_path("zz/y/x", create=f),
        "create get_data_node": lambda w, f: w.root.get_data_node("zz", create=f),
        "create get_data_node with a rate": lambda w, f: w.root.get_data_node("zz", samplerate_hz=3, create=f),
        "copy add_tree": lambda w, f: w.plain.add_tree(w.node, copy=f),
        "overwrite merge_tree": lambda w, f: w.plain.merge_tree(w.node, overwrite=f),
        "only_node delete_node": lambda w, f: w.root.delete_node("a", only_node=f),
        "only_node delete_tree": lambda w, f: w.node.delete_tree(only_node=f),
        "only_node delete_tree of the root": lambda w, f: w.root.delete_tree(only_node=f),
        "skip_unchanged attach_file": lambda w, f: w.node.attach_file(w.file, skip_unchanged=f),
        "skip_unchanged DataWriter": lambda w, f: DataWriter.attach_file(w.node, w.file, skip_unchanged=f),
        "skip_unchanged ingest_tree": lambda w, f: w.root.ingest_tree(w.folder, skip_unchanged=f),
        "always_hash ingest_tree": lambda w, f: w.root.ingest_tree(w.folder, always_hash=f),
        "sweep_outside pack": lambda w, f: w.db.pack(sweep_outside=f),
        "history verify": lambda w, f: w.db.verify(history=f),
        "verify backup": lambda w, f: w.db.backup(w.folder / "new", verify=f),
        "verify restore": lambda w, f: restore(w.folder / "db", w.folder / "new", verify=f),
        "history convert": lambda w, f: convert(w.db, w.folder / "new", history=f),
        "verify convert": lambda w, f: convert(w.db, w.folder / "new", verify=f),
        "new LOTDB": lambda w, f: open_and_close(w.folder / "new", new=f),
        "read_only LOTDB": lambda w, f: open_and_close(w.folder / "new", read_only=f),
        "load plugins": lambda w, f: plugins(load=f),
        "stacked plot": lambda w, f: w.payload.plot(stacked=f if f is not None else "None"),
    }.items() for case in cases(name, ValueError, rf"{name.split()[0]} is .*use True or False", call, *BAD_FLAGS)],
    # -- whom to tell how far it is
    *[case for name, call in {
        "progress ingest_tree": lambda w, p: w.root.ingest_tree(w.folder, progress=p),
        "progress export": lambda w, p: w.node.export(w.folder / "new", progress=p),
        "progress export, as a file": lambda w, p: w.node.export(w.folder / "new.h5", progress=p),
        "progress ingest": lambda w, p: w.plain.ingest(w.folder, progress=p),
        "progress backup": lambda w, p: w.db.backup(w.folder / "new", progress=p),
        "progress restore": lambda w, p: restore(w.folder / "db", w.folder / "new", progress=p),
        "progress convert": lambda w, p: convert(w.db, w.folder / "new", progress=p),
        "progress salvage": lambda w, p: salvage(w.folder / "db", w.folder / "new", progress=p),
        "progress upgrade": lambda w, p: upgrade(w.folder / "db", w.folder / "new", progress=p),
        "progress TreeIndex": lambda w, p: TreeIndex.of(w.node, lambda *place: None, p),
    }.items() for case in cases(name, TypeError, "progress is .*use a function, or None", call, *BAD_PROGRESS)],
    # -- misspelt arguments, and modes of other libraries
    *[Case(f"misspelt: {name}", TypeError, f"^{name.split()[0]} has no argument '{wrong}'; {advice}", lambda w, call=call, wrong=wrong: call(w, {wrong: 3})) for name, wrong, advice, call in [
        ("LOTDB", "readonly", "did you mean 'read_only'", lambda w, how: open_and_close(w.folder / "new", **how)),
        ("DataNode", "samplerate", "did you mean 'samplerate_hz'", lambda w, how: DataNode(**how)),
        ("get_data_node", "sample_rate", "did you mean 'samplerate_hz'", lambda w, how: w.root.get_data_node("new", **how)),
        ("add_tree", "if_exist", "did you mean 'if_exists'", lambda w, how: w.plain.add_tree(w.node, **how)),
        ("find", "wher", "did you mean 'where'", lambda w, how: w.root.find(**how)),
        ("find with nothing alike", "xyz", "it takes: node_type, pattern, where$", lambda w, how: w.root.find(**how)),
        ("ingest", "backends", "did you mean 'backend'", lambda w, how: w.plain.ingest(w.folder, **how)),
        ("configure_data", "samplerate", "did you mean 'samplerate_hz'", lambda w, how: w.node.configure_data(**how)),
        ("pack", "grace", "did you mean 'grace_s'", lambda w, how: w.db.pack(**how)),
        ("connection", "notes", "did you mean 'note'", lambda w, how: w.db.connection(**how)),
        ("backup", "verfy", "did you mean 'verify'", lambda w, how: w.db.backup(w.folder / "new", **how)),
        ("restore", "verfy", "did you mean 'verify'", lambda w, how: restore(w.folder / "db", w.folder / "new", **how)),
        ("salvage", "names", "did you mean 'name'", lambda w, how: salvage(w.folder / "db", w.folder / "new", **how)),
        ("convert", "storages", "did you mean 'storage'", lambda w, how: convert(w.db, w.folder / "new", **how)),
        ("upgrade", "progres", "did you mean 'progress'", lambda w, how: upgrade(w.folder / "db", w.folder / "new", **how)),
    ]],
    *cases("LOTDB mode", ValueError, "LOTDB has no modes.*read_only=True to read, new=True for a new", lambda w, m: open_and_close(w.folder / "new", m), "r", "r+", "w", "w-", "x", "a"),
    # -- the database
    *cases("commit", RuntimeError, "no open connection", lambda w, i: w.db.commit(i), "typo", None, 5, ["standard"]),
    *cases("abort", RuntimeError, "no open connection", lambda w, i: w.db.abort(i), "typo", None),
    *cases("savepoint", RuntimeError, "no open connection", lambda w, i: w.db.savepoint(i), "typo", None),
    *cases("close_connection", RuntimeError, "no open connection", lambda w, i: w.db.close_connection(i), "typo", None),
    *cases("open_connection", ValueError, "connection_id", lambda w, i: w.db.open_connection(i), ["standard"], {}),
    *cases("run", TypeError, "function", lambda w, f: w.db.run(f), None, 5, "commit"),
    *cases("run attempts", ValueError, "attempts is", lambda w, n: w.db.run(lambda root: None, attempts=n), *BAD_COUNTS),
    *cases("LOTDB path", ValueError, "path", lambda w, p: open_and_close(p), None, 5, 1.5, b"db", "", "a\0b", ["db"], Weird(), SURROGATE),
    *cases("LOTDB name", ValueError, "name is", lambda w, n: open_and_close(w.folder / "new", n), None, 5, "", ".", "..", "a/b", "a\0b", b"a", ["a"], "x" * 300, Weird(), SURROGATE),
    *cases("LOTDB durability", ValueError, "durability", lambda w, d: open_and_close(w.folder / "new", durability=d), None, 5, "", "Full", True, ["full"], Weird()),
    *cases("LOTDB timeout", ValueError, "timeout", lambda w, t: open_and_close(w.folder / "new", timeout=t), "1", -1, NAN, True, [1], Weird()),
    *cases("LOTDB default_backend", ValueError, "backend", lambda w, b: open_and_close(w.folder / "new", default_backend=b), None, 5, b"blob", ["blob"]),
    *cases("LOTDB missing default_backend", LookupError, "no backend named 'nowhere'", lambda w, b: open_and_close(w.folder / "new", default_backend=b), "nowhere"),
    *cases("LOTDB backends", ValueError, "backends", lambda w, b: open_and_close(w.folder / "new", backends=b), 5, "blob", ["blob"], {"blob": 5}, {5: {}}, Weird()),
    *cases("LOTDB plugins", LotdbError, "plugins", lambda w, p: open_and_close(w.folder / "new", plugins=p), 5, "blob", Plugins, [Weird()]),
    *cases("BaseNode plugins", LotdbError, "plugins", lambda w, p: BaseNode("x", plugins=p), 5, "blob", Plugins),
    Case("a new database where one is", FileExistsError, "a new database 'lotdb.fs' was asked for", lambda w: LOTDB(w.folder / "db", new=True)),
    Case("a database that is open", BlockingIOError, "in use|open", lambda w: LOTDB(w.folder / "db")),
    Case("reading a database that is not there", FileNotFoundError, "there is no database", lambda w: LOTDB(w.folder / "nowhere", read_only=True)),
    Case("a new database to read", ValueError, "do not go together", lambda w: LOTDB(w.folder / "new", new=True, read_only=True)),
    Case("a file as folder", ValueError, "is not a folder; path= takes .*name='file.bin'", lambda w: LOTDB(w.file)),
    *[Case(f"a file as folder of {name}", ValueError, rf"is not a folder; {says}", call) for name, says, call in [
        ("backup", "use the path of one$", lambda w: w.db.backup(w.file)),
        ("restore", "backup= takes .*name='file.bin'", lambda w: restore(w.file, w.folder / "new")),
        ("salvage", "folder= takes .*name='file.bin'", lambda w: salvage(w.file, w.folder / "new")),
        ("convert", "source= takes .*name='file.bin'", lambda w: convert(w.file, w.folder / "new")),
    ]],
    *[case for name, call in {
        "backup target": lambda w, p: w.db.backup(p),
        "restore backup": lambda w, p: restore(p, w.folder / "new"),
        "restore folder": lambda w, p: restore(w.folder / "db", p),
        "salvage folder": lambda w, p: salvage(p, w.folder / "new"),
        "salvage target": lambda w, p: salvage(w.folder / "db", p),
        "convert source": lambda w, p: convert(p, w.folder / "new"),
        "convert target": lambda w, p: convert(w.db, p),
        "upgrade old": lambda w, p: upgrade(p, w.folder / "new"),
        "upgrade new": lambda w, p: upgrade(w.folder / "db", p),
    }.items() for case in cases(name, ValueError, rf"^{name.split()[1]} (is|'.*') .*a folder", call, 5, b"db", "", "a\0b", ["db"], SURROGATE, Weird())],
    Case("refreshing a writer", ValueError, "read_only=True", lambda w: w.db.refresh()),
]  # fmt: skip


def open_and_close(*where, **how):
    LOTDB(*where, **how).close()


def loop():
    within = []
    within.append(within)
    return within


def rateless(world):
    node = BaseNode("rateless")
    DataWriter.write_array(node, [1.0])
    return node


def with_marks():
    """The cases, each with its name; of those of one call and one answer, all but the first are slow."""
    seen = set()
    for case in CASES:
        kind = case.name.partition("(")[0], case.builtin, case.says
        yield pytest.param(case, id=case.name, marks=[pytest.mark.slow] if kind in seen else [])
        seen.add(kind)


@pytest.mark.parametrize("case", list(with_marks()))
def test_bad_input_is_a_clear_error_and_changes_nothing(world, case):
    with unchanged(world), pytest.raises(Exception) as info:  # noqa: PT011
        case.call(world)
    error = info.value
    assert isinstance(error, LotdbError), f"{type(error).__name__}: {error}"
    assert isinstance(error, case.builtin), f"{type(error).__name__}: {error}"
    assert_clear(str(error), case.says)


def assert_clear(message, says):
    assert re.search(says, message, re.DOTALL), message
    assert 12 < len(message) < 600, message
    assert " at 0x" not in message, message
    assert message.encode("utf-8", "backslashreplace").decode().isprintable(), message


class Unshown:
    """A value that Python has no text for."""

    def __repr__(self):
        raise RuntimeError("no text")


def deep():
    within = []
    for _ in range(100_000):
        within = [within]
    return within


ODD = {
    "an int of 5000 digits": HUGE,
    "one within a list": [HUGE],
    "without a repr": Unshown(),
    "deep": deep(),
    "array of texts": np.array(["a", "b"]),
    "array without elements": np.zeros(0),
    "array without axes": np.array(3),
    "row of a structured array": np.zeros(1, "i4,f4")[0],
}


def one(x):
    """Where several are taken, also in an array: a list of one."""
    return [x] if isinstance(x, list) or (isinstance(x, np.ndarray) and x.ndim) else x


ODDLY_CALLED = {
    "open_connection": lambda w, x: w.db.open_connection(x),
    "commit": lambda w, x: w.db.commit(x),
    "run": lambda w, x: w.db.run(x),
    "run attempts": lambda w, x: w.db.run(lambda root: None, attempts=Unshown() if x is HUGE else x),
    "history path": lambda w, x: list(w.db.history(path=one(x))),
    "backup backends": lambda w, x: w.db.backup(w.folder / "copy", backends=x),
    "convert backends": lambda w, x: convert(w.db, w.folder / "copy", backends=x),
    "tags.update": lambda w, x: w.db.tags.update([[x]]),
    "default_backend": lambda w, x: LOTDB(w.folder / "new", default_backend=x),
    "plugins": lambda w, x: LOTDB(w.folder / "new", plugins=x),
    "plugins_off": lambda w, x: LOTDB(w.folder / "new", plugins_off=[x]),
    "get_node node_type": lambda w, x: w.node.get_node("new", node_type=x),
    "get_node_path node_type": lambda w, x: w.node.get_node_path("new/er", node_type=x),
    "iterate_tree_level": lambda w, x: w.node.iterate_tree_level(Unshown() if x is HUGE else x),
    "add_tree": lambda w, x: w.node.add_tree(x),
    "add_tree if_exists": lambda w, x: w.plain.add_tree(w.node, if_exists=x),
    "attrs.update": lambda w, x: w.node.attrs.update([[x]]),
    "write_data if_exists": lambda w, x: w.node.write_data([1.0], if_exists=x),
    "write_data backend": lambda w, x: w.node.write_data([1.0], backend=x),
    "write_data content_type": lambda w, x: w.node.write_data([1.0], content_type=x),
    "append_data backend": lambda w, x: w.node.append_data(np.zeros((1, 2)), backend=x),
    "write_frame metadata": lambda w, x: w.node.write_frame(pandas.DataFrame({"a": [1]}), metadata=x),
    "Blocks": lambda w, x: w.node.write_data(Blocks([np.zeros(1)], np.dtype("f8"), kind=x)),
    "configure_data unset": lambda w, x: w.node.configure_data(unset=one(x)),
    "get_data": lambda w, x: (w.node.get_data("data"), w.node.get_data("data"), w.node.get_data(x)),
    "compact_data backend": lambda w, x: w.node.compact_data(backend=x),
    "compact_tree backend": lambda w, x: w.plain.compact_tree(backend=x),
    "export if_exists": lambda w, x: w.node.get_data().export(w.folder / "new.npy", if_exists=x),
    "export format": lambda w, x: w.node.get_data().export(w.folder / "new.npy", format=x),
    "export of a node if_exists": lambda w, x: w.node.export(w.folder / "new", if_exists=x),
    "export of a node format": lambda w, x: w.node.export(w.folder / "new", format=x),
    "export of a node": lambda w, x: w.node.export(x),
    "ingest": lambda w, x: w.plain.ingest(x),
    "attach_file if_exists": lambda w, x: w.node.attach_file(w.file, if_exists=x),
    "attach_file format": lambda w, x: w.node.attach_file(w.file, format=x),
    "ingest_tree format": lambda w, x: w.node.ingest_tree(w.folder / "db", format=x, batch_size=None),
    "ingest_tree on_error": lambda w, x: w.node.ingest_tree(w.folder / "db", on_error=x),
    "ingest_tree attributes": lambda w, x: w.node.ingest_tree(w.folder, attributes=one(x), batch_size=None),
    "write_xarray if_exists": lambda w, x: w.node.write_xarray(xarray.DataArray([1.0]), if_exists=x),
    "datasets": lambda w, x: w.node.datasets()[x],
    "plot kind": lambda w, x: w.payload.plot(kind=x),
    "read_many": lambda w, x: list(read_many([x])),
}  # fmt: skip


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("name", ODDLY_CALLED)
def test_what_cannot_be_compared_or_shown_is_refused_in_a_sentence(world, name, odd):
    with unchanged(world), pytest.raises(LotdbError) as info:
        ODDLY_CALLED[name](world, ODD[odd])
    assert_clear(str(info.value), "")


def test_indices_that_numpy_refuses_in_its_own_way(world):
    table = world.plain.get_data_node("table")
    table.write_data(np.zeros(3, [("t", "f8"), ("n", "i4")]))
    for payload, index in [
        (table.get_data(), ["nowhere"]),
        (table.get_data(), ["t", SURROGATE]),
        (world.payload, (1, 2**63)),
        (world.node.get_data("single"), 2**63),
    ]:
        with pytest.raises(InvalidIndexError, match=r"cannot be indexed by|out of bounds"):
            payload[index]


def test_paths_that_are_too_long_or_no_text(world):
    payload = world.node.get_data()
    for path in ["x" * 5000, SURROGATE, "a\0b", b"bytes", 5]:
        for call in [payload.export, world.node.export, world.plain.ingest, world.plain.ingest_tree]:
            with unchanged(world), pytest.raises(LotdbError):
                call(path)
        with unchanged(world), pytest.raises(LotdbError):
            payload.export(path, format="npy")
        with unchanged(world), pytest.raises(LotdbError):
            world.node.export(path, format="folder")


def test_what_is_false_is_not_taken_for_nothing(world):
    for call in [
        lambda x: world.db.backup(world.folder / "copy", backends=x),
        lambda x: convert(world.db, world.folder / "copy", backends=x),
        lambda x: world.plain.get_node("new", node_type=x),
        lambda x: world.plain.compact_tree(backend=x),
        lambda x: world.node.compact_data(backend=x),
        lambda x: world.node.write_frame(pandas.DataFrame({"a": [1]}), metadata=x),
    ]:
        for nothing_at_all in (0, False, [], np.zeros(0)):
            with unchanged(world), pytest.raises(LotdbError):
                call(nothing_at_all)


def test_a_history_of_as_many_commits_as_there_can_be(world):
    assert len(list(world.db.history(10**30, path="a"))) <= len(list(world.db.history(10**30)))


def test_a_call_that_was_refused_made_no_database(tmp_path):
    for how in (
        {"path": tmp_path / "new", "name": ""},
        {"path": tmp_path / "new", "durability": "fast"},
        {"path": tmp_path / "new", "new": True, "read_only": True},
        {"path": tmp_path / "new", "read_only": True},
    ):
        with pytest.raises(LotdbError):
            LOTDB(**how)
    assert list(tmp_path.iterdir()) == []


def test_a_data_file_may_be_called_as_a_mode(tmp_path):
    for new in True, False:
        open_and_close(tmp_path / "db", name="a", new=new)
    with LOTDB(tmp_path / "db", name="a") as db:
        assert db.backup(tmp_path / "copy", verify=True).commits
    assert restore(tmp_path / "copy", tmp_path / "back", name="a").commits
    assert salvage(tmp_path / "db", tmp_path / "saved", name="a").is_whole
    assert convert(tmp_path / "db", tmp_path / "converted", name="a").commits


def test_numpys_true_and_false_are_taken_as_such(tmp_path):
    yes, no = np.array([2, 0]) > 1
    with LOTDB(tmp_path / "db", "lotdb.fs", yes, no) as db, db.connection() as root:
        assert db.read_only is False
        root.get_node("a", yes).get_node_path("b/c", yes)
        with pytest.raises(NodeNotFoundError):
            root.get_node("x", no)
        with pytest.raises(NodeNotFoundError):
            root.get_node_path("a/x", no)
        root.delete_node("a", only_node=yes)
        assert list(root) == ["b"]


# -- closed, read-only, another thread ------------------------------------------------------------

READS: dict[str, Callable[[Any], Any]] = {
    "get_node": lambda w: w.node.get_node("inner", create=False),
    "get_node_path": lambda w: w.root.get_node_path("a/b/inner", create=False),
    "[]": lambda w: w.root["a/b"],
    "in": lambda w: "inner" in w.node,
    "len": lambda w: len(w.node),
    "iter": lambda w: list(w.node),
    "node_type": lambda w: w.node.node_type,
    "get_attribute": lambda w: w.node.get_attribute("label"),
    "attrs": lambda w: dict(w.node.attrs),
    "attrs[]": lambda w: w.node.attrs["label"],
    "len of attrs": lambda w: len(w.node.attrs),
    "in attrs": lambda w: "label" in w.node.attrs,
    "samplerate_hz": lambda w: w.node.samplerate_hz,
    "backend": lambda w: w.node.backend,
    "has_data": lambda w: w.node.has_data(),
    "get_data": lambda w: w.node.get_data(),
    "read_data": lambda w: w.node.read_data(),
    "read_seconds": lambda w: w.node.read_seconds(0, 1),
    "iter_data_blocks": lambda w: w.node.iter_data_blocks(5),
    "Payload.read": lambda w: w.payload.read(),
    "Payload.read of nothing": lambda w: w.payload.read(0, 0),
    "Payload[]": lambda w: w.payload[3:5],
    "Payload iter": lambda w: list(w.payload),
    "numpy.asarray": lambda w: np.asarray(w.payload),
    "DataReader.read": lambda w: DataReader.read(w.node),
    "iterate_tree_level": lambda w: list(w.root.iterate_tree_level(1)),
    "iterate_tree_level deepest": lambda w: list(w.root.iterate_tree_level()),
    "iterate_tree_leaves": lambda w: list(w.root.iterate_tree_leaves()),
    "iterate_tree_crone_buffered": lambda w: list(w.root.iterate_tree_crone_buffered()),
    "copy_tree": lambda w: w.node.copy_tree(),
}
WRITES: dict[str, Callable[[Any], Any]] = {
    "get_node": lambda w: w.node.get_node("new"),
    "get_node_path": lambda w: w.root.get_node_path("new/er"),
    "get_data_node": lambda w: w.root.get_data_node("new"),
    "get_data_node of a plain node": lambda w: w.root.get_data_node("plain"),
    "get_node with a type": lambda w: w.root.get_node("plain", node_type="data"),
    "set_attribute": lambda w: w.node.set_attribute("new", 1),
    "set_attribute to what it is": lambda w: w.node.set_attribute("label", {"x": [1, 2]}),
    "attrs.update": lambda w: w.node.attrs.update(new=1),
    "attrs.update with nothing": lambda w: w.node.attrs.update({}),
    "attrs.clear": lambda w: w.node.attrs.clear(),
    "delete_attribute": lambda w: w.node.delete_attribute("label"),
    "configure_data": lambda w: w.node.configure_data(samplerate_hz=3),
    "rename": lambda w: w.node.rename("z"),
    "move": lambda w: w.node.move(w.plain),
    "add_tree": lambda w: w.plain.add_tree(w.node),
    "add_tree copy": lambda w: w.plain.add_tree(w.node, copy=True),
    "add_tree from memory": lambda w: w.plain.add_tree(w.memory),
    "merge_tree": lambda w: w.plain.merge_tree(w.node),
    "branch": lambda w: w.node.branch("z"),
    "delete_node": lambda w: w.root.delete_node("a"),
    "delete_tree": lambda w: w.node.delete_tree(),
    "delete_tree of the root": lambda w: w.root.delete_tree(),
    "del": lambda w: w.root.__delitem__("a"),
    "write_data": lambda w: w.node.write_data([1.0]),
    "write_data of nothing": lambda w: w.node.write_data(np.zeros(0)),
    "append_data": lambda w: w.node.append_data(np.zeros((1, 2))),
    "append_data of nothing": lambda w: w.node.append_data(np.zeros((0, 2))),
    "attach_file": lambda w: w.node.attach_file(w.file),
    "delete_data": lambda w: w.node.delete_data(),
    "DataWriter.write_array": lambda w: DataWriter.write_array(w.plain, [1.0]),
}


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    """A world whose first connection is closed, and then reopened under other handles."""
    world = World(tmp_path_factory.mktemp("closed"))
    world.db.close_connection()
    yield world
    world.close()


@pytest.mark.parametrize("name", READS | WRITES)
def test_a_closed_connection_says_so(closed, name):
    with pytest.raises(ClosedError, match=r"this connection to database .* is closed"):
        (READS | WRITES)[name](closed)


@pytest.fixture(scope="module")
def closed_db(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("closed"))
    world.db.close()
    yield world
    world.close()


@pytest.mark.parametrize("name", READS | WRITES)
def test_a_closed_database_says_so(closed_db, name):
    with pytest.raises(ClosedError, match="is closed"):
        (READS | WRITES)[name](closed_db)


@pytest.mark.parametrize(
    "call",
    ["commit", "abort", "savepoint", "close_connection", "open_connection", "verify", "pack", "refresh"],
)
def test_a_closed_database_refuses_everything(closed_db, call):
    with pytest.raises(ClosedError, match=r"database .* is closed"):
        getattr(closed_db.db, call)()


def test_a_closed_database_gives_no_connection(closed_db):
    with pytest.raises(ClosedError, match="is closed"), closed_db.db.connection():
        pass
    with pytest.raises(ClosedError, match="is closed"):
        closed_db.db.run(lambda root: None)


def test_closing_twice_is_no_error(closed_db):
    closed_db.db.close()
    assert closed_db.db.closed


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """A world like the others, but read-only."""
    world = World(tmp_path_factory.mktemp("reader"))
    world.close()
    db = LOTDB(world.folder / "db", read_only=True)
    root = db.open_connection()
    node = root["a/b"]
    memory = DataNode("memory")
    yield SimpleNamespace(
        db=db,
        root=root,
        node=node,
        plain=root["plain"],
        payload=node.get_data(),
        memory=memory,
        file=world.file,
    )
    db.close()


@pytest.mark.parametrize("name", WRITES)
def test_a_read_only_database_can_be_changed_by_nothing(reader, name):
    before = dump(reader.root)
    with pytest.raises(ReadOnlyError, match="was opened with read_only=True; nothing in it can be changed"):
        WRITES[name](reader)
    assert dump(reader.root) == before
    assert reader.memory.path == ""
    assert reader.root._tree.stage.locators == []


@pytest.mark.parametrize("name", READS)
def test_a_read_only_database_can_be_read(reader, name):
    before = dump(reader.root)
    READS[name](reader)
    assert dump(reader.root) == before


@pytest.mark.parametrize("name", READS | WRITES)
def test_a_connection_in_another_thread_says_so(world, name):
    errors = []

    def call():
        try:
            (READS | WRITES)[name](world)
        except Exception as error:
            errors.append(error)

    with unchanged(world):
        thread = threading.Thread(target=call)
        thread.start()
        thread.join()
    assert [type(error) for error in errors] == [WrongThreadError]
    assert "belongs to another thread; open one in each thread" in str(errors[0])


def in_another_thread(call):
    """The error that *call* raises in another thread, or None."""
    errors = []

    def run():
        try:
            call()
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return errors[0] if errors else None


def test_a_failed_close_in_another_thread_leaves_the_connection_as_it_was(tmp_path):
    with LOTDB(tmp_path, durability="process") as db:
        db.open_connection().set_attribute("x", 1)
        error = in_another_thread(db.close)
        if error is None:  # closing for everybody would do as well
            return
        assert isinstance(error, WrongThreadError)
        db.commit()


def test_a_database_can_be_closed_after_a_thread_that_left_its_connection_open(tmp_path):
    # In a process of its own: a database that cannot be closed would keep its files open here.
    code = """
import threading, lotdb
db = lotdb.LOTDB("db")
thread = threading.Thread(target=lambda: db.open_connection("worker").get_node("a"))
thread.start()
thread.join()
db.close()
lotdb.LOTDB("db").close()
"""
    done = forked.run(["-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_what_was_refused_in_one_place_leaves_no_open_file(shared):
    before = len(os.listdir("/proc/self/fd"))
    for path in (shared.folder, shared.folder / "nowhere", "/dev/zero"):
        with pytest.raises((LotdbError, OSError)):
            shared.node.attach_file(path)
    assert len(os.listdir("/proc/self/fd")) == before


# -- a last look ----------------------------------------------------------------------------------


def test_a_stale_handle_and_a_missing_node_are_told_apart(shared):
    with pytest.raises(StaleNodeError):
        shared.gone.get_attribute("x")
    with pytest.raises(NodeNotFoundError):
        shared.root["gone"]


@pytest.mark.parametrize("option", ["path", "name", "durability", "storage", "payloads", "timeout", "backends"])
def test_a_setting_whose_text_cannot_be_made_is_refused(tmp_path, option):
    """Python makes no text of an integer of more than 4300 digits."""
    given = {"path": tmp_path / "db", option: 10**5000}
    with pytest.raises(InvalidOptionError, match=f"{option} is a value of type int"):
        LOTDB(**given)
    assert list(tmp_path.iterdir()) == []
