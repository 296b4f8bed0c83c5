"""What lotdb 1.x called otherwise: each old name, and what to use instead; and misspelt arguments."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, Final, NoReturn, TypeVar

from lotdb.errors import InvalidOptionError, RenamedArgumentError, RenamedError, nearest

__all__ = [
    "ARGUMENTS",
    "DATABASE",
    "DATA_NODE",
    "MODULE",
    "NODE",
    "PAYLOAD",
    "Renamed",
    "answer",
    "answers_itself",
    "hide",
    "import_hint",
    "names_misspelt",
    "refuse",
]

F = TypeVar("F", bound=Callable[..., Any])

NODE: Final = {
    "add_trees": "node.add_tree(tree) for each tree",
    "all_attribute_keys": "list(node.attrs)",
    "all_attributes": "list(node.attrs.values()), and node.payloads",
    "all_node_keys": "list(node)",
    "all_nodes": "list(node.values())",
    "attribute_storage": "node.attrs and node.payloads",
    "display": "the command: lotdb tree DATABASE",
    "from_tree": "node.get_data_node(path)",
    "ga": "node.get_attribute(name), or node.set_attribute(name, value)",
    "get_main_tree": "the root that db.connection() gives",
    "get_max_depth": "max(len(each.path.split('/')) for each in node.iterate_tree_leaves())",
    "get_node_attribute": "node[path].get_attribute(name)",
    "get_nodes": "[node.get_node(key) for key in keys]",
    "get_path_keys": "node.path.split('/')",
    "gn": "node.get_node(key)",
    "gna": "node[path].get_attribute(name)",
    "gns": "node.get_node_path(keys)",
    "gps": "node.path.split('/')",
    "iterate_tree_crone": "node.iterate_tree_leaves()",
    "node_storage": "the node itself, which is a mapping of its children",
    "unconnect": "node.path, and root[path] in another process",
}
DATA_NODE: Final = {
    "configure_data_storage": "node.configure_data(samplerate_hz=…, backend=…, data_attribute=…)",
    "data_backend": "node.backend",
}
DATABASE: Final = {
    "cache_size": "nothing: the cache has a size that fits",
    "conn_dict": "db.connection()",
    "data_store_path": "nothing: each backend keeps its files beside the data file",
    "db": "nothing: ZODB is behind db.connection(), db.run() and db.pack()",
    "minimize_cache": "nothing: the cache keeps within its size",
    "setup_storage_tree_db": "LOTDB(path), which opens the database",
}
PAYLOAD: Final = {
    "blob_object": "payload.read()",
    "copy_for_tree": "node.copy_tree()",
    "dataset_path": "payload.segments",
    "get_metadata": "payload.metadata[name]",
    "metadata_dict": "dict(payload.metadata)",
    "read_bytes": "payload.read()",
    "read_interval": "payload.read(start, stop)",
    "read_table": "payload.read_frame()",
    "read_text": "payload.read()",
    "sample_count": "payload.shape[0]",
    "set_metadata": "node.write_data(data, metadata=…)",
    "store_path": "payload.segments",
}
MODULE: Final = {
    "BaseNodeUnconnected": "node.path, and root[path] in another process",
    "BlobObject": "lotdb.Payload",
    "BlobReader": "lotdb.DataReader",
    "BlobWriter": "lotdb.DataWriter",
    "DataObject": "lotdb.Payload",
    "NodeConnection": "db.connection()",
    "PathFileObj": "pathlib.PurePath",
    "add_blob": "lotdb.DataWriter.write_bytes(node, data)",
    "apply_args_and_kwargs": "function(node, **arguments)",
    "filter_node_list": "node.find(pattern, where=…)",
    "load_files_directory": "node.ingest_tree(folder, pattern)",
    "load_files_folder": "node.ingest_tree(folder, pattern)",
    "load_from_file": "LOTDB(path)",
    "load_small_files_directory": "node.ingest_tree(folder, pattern)",
    "load_small_files_folder": "node.ingest_tree(folder, pattern)",
    "node_list_to_dataframe": "node.find(pattern).to_frame(columns=…)",
    "node_process_cruncher": "concurrent.futures, with LOTDB(path, read_only=True) in each process",
    "save_to_file": "LOTDB(path)",
    "starmap_with_kwargs": "concurrent.futures",
    "test_counter": "a function of your own",
    "tree_to_dataframe": "node.find(pattern).to_frame(columns=…)",
}


_KEY = {"node_key": "key="}
_PATH = {"node_keys": "path="}
_NAME = {"attribute_key": "name="}
_NO_PARENT = {"parent": "parent.get_node(key), which makes a node below another"}
_STORE = {"zarr_store_path": "LOTDB(path, backends={'zarr': {'store': …}})"}
_ENCODING = {"text_encoding": "encoding="}
_PAYLOAD_NAME = {"blob_attribute": "data_attribute="}
_NO_PICKLE = {"allow_pickle": "nothing: no object is pickled"}
_CONNECTION = {"connection_id": "connection="}
_UNCONNECTED = {"unconnected_tree": "root[path] in another process"}
_UTF_8 = {"encoding": "nothing: texts are kept as they are"}

#: Of the methods of each class: the arguments that lotdb 1.x called otherwise.
ARGUMENTS: Final[dict[str, dict[str, dict[str, str]]]] = {
    "BaseNode": {
        "__init__": _NO_PARENT,
        "add_tree": {"unique_key": "if_exists='error'"},
        "delete_attribute": _NAME,
        "delete_node": _KEY,
        "get_attribute": _NAME,
        "get_data_node": {**_PATH, "data_backend": "backend="},
        "get_node": _KEY,
        "get_node_path": _PATH,
        "merge_tree": {"copy": "nothing: what is merged is always a copy"},
        "set_attribute": _NAME,
    },
    "DataNode": {"__init__": {**_NO_PARENT, "data_backend": "backend="}},
    "DataMethods": {
        "append_data": _STORE,
        "attach_file": {**_STORE, **_ENCODING},
        "ingest_file": {**_STORE, **_ENCODING},
        "replace_data": _STORE,
        "write_data": _STORE,
    },
    "DataWriter": {
        "append_array": _STORE,
        "attach_file": {**_STORE, **_ENCODING},
        "ingest_file": {**_STORE, **_ENCODING},
        "write_array": {
            **_STORE, **_PAYLOAD_NAME, **_NO_PICKLE, "dataset_path": "nothing: no payload names its files"
        },
        "write_bytes": _PAYLOAD_NAME,
        "write_table": {"dataframe": "table=", **_UTF_8},
        "write_text": _UTF_8,
    },
    "LOTDB": {
        "__init__": {"cache_size": DATABASE["cache_size"]},
        "abort": _CONNECTION,
        "commit": _CONNECTION,
        "connection": {"connection_id": "db.open_connection(connection_id)", **_UNCONNECTED},
        "open_connection": _UNCONNECTED,
    },
}  # fmt: skip


# As inspect.CO_VARKEYWORDS, of a module that takes a while to load.
_TAKES_ANY = 8


class Renamed:
    """Stands in a class in place of a member that lotdb 1.x had, so that asking for it says what to use.

    (A ``__getattr__`` could say it, too, and would make every attribute slower to read.)
    """

    def __init__(self, owner: type, name: str, instead: str) -> None:
        self._owner, self._name, self._instead = owner, name, instead

    def __get__(self, instance: object, owner: type) -> Any:
        try:  # a class that stands behind may have it
            return getattr(super(self._owner, owner if instance is None else instance), self._name)
        except AttributeError:
            raise _error(owner.__name__, self._name, self._instead) from None


def hide(owner: type, names: dict[str, str]) -> None:
    """Let *owner* answer the old *names*. They are set here, so that type checkers do not know them."""
    for name, instead in names.items():
        if name not in vars(owner):
            setattr(owner, name, Renamed(owner, name, instead))


def answer(owner: type, *others: str) -> None:
    """Let the methods of *owner* answer old and misspelt names of arguments.

    It does so for those that have old names, unless they do it themselves, and for those called *others*.
    They are set here, so that type checkers do not know the old names.
    """
    names = ARGUMENTS[owner.__name__]
    for name in (*names, *others):
        old = names.get(name, {})
        method = vars(owner).get(name)
        function = method.__func__ if isinstance(method, staticmethod) else method
        if function is not None and function not in _ITSELF:
            called = owner.__name__ if name == "__init__" else name
            answering = _answering(function, called, old)
            setattr(owner, name, staticmethod(answering) if isinstance(method, staticmethod) else answering)


def names_misspelt(function: F) -> F:
    """Let *function* answer misspelt names of arguments."""
    return _answering(function, function.__name__, {})


def _answering(function: F, called: str, old: dict[str, str]) -> F:
    names = frozenset(old)
    known = _arguments(function)

    @functools.wraps(function)
    def answering(*args: Any, **kwargs: Any) -> Any:
        if kwargs and not (names.isdisjoint(kwargs) if known is None else known.issuperset(kwargs)):
            if not names.isdisjoint(kwargs):
                refuse(called, old, kwargs)
            _refuse_unknown(called, kwargs, known or ())
        return function(*args, **kwargs)

    return answering  # type: ignore[return-value]


def _arguments(function: Callable[..., Any]) -> frozenset[str] | None:
    """The names that *function* takes; None if it takes any."""
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    code = function.__code__
    if code.co_flags & _TAKES_ANY:
        return None
    return frozenset(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])


def _refuse_unknown(called: str, given: Iterable[str], known: Iterable[str]) -> NoReturn:
    name = next(name for name in given if name not in known)
    takes = sorted(set(known) - {"self"})
    advice = nearest(name, takes) or f"; it takes: {', '.join(takes) or 'none'}"
    raise InvalidOptionError(f"{called} has no argument {name!r}{advice}")


# What answers old names itself.
_ITSELF: set[Callable[..., Any]] = set()


def answers_itself(shown: Callable[..., None]) -> Callable[[F], F]:
    """For what is called very often: it takes old names itself. *shown* has its signature without them.

    ::

        @answers_itself(lambda self, key: None)
        def get(self, key=None, node_key=None): ...
    """

    def hidden(function: F) -> F:
        shown.__annotations__ = function.__annotations__
        function.__wrapped__ = shown  # type: ignore[attr-defined]  # where `inspect.signature` looks
        _ITSELF.add(function)
        return function

    return hidden


def refuse(called: str, old: dict[str, str], given: Any) -> NoReturn:
    """Raise ``RenamedArgumentError`` for the first of the arguments *given* that is an *old* name."""
    name = next(name for name in given if name in old)
    raise RenamedArgumentError(f"{called} has no argument {name!r}; {_advice(old[name])}")


def import_hint(name: str) -> str:
    """What to say to a program that imports the old *name* from ``lotdb``; "" if there is no such."""
    return f"lotdb has no {name!r}; {_advice(MODULE[name])}" if name in MODULE else ""


def _error(owner: str, name: str, instead: str) -> RenamedError:
    return RenamedError(f"{owner!r} has no {name!r}; {_advice(instead)}")


def _advice(instead: str) -> str:
    return (
        f"lotdb 1.x called it so: use {instead}"
        if not instead.startswith("nothing")
        else (f"lotdb 1.x had it, and now there is {instead}")
    )
