"""The fingerprint of a step's code: of the function, of what it calls, and the versions of packages.

What counts: the function itself; functions and classes of the same module that it names, and what those name;
plain constants of the module; what ``depends`` names. What does not: comments, docstrings, annotations, the
place in the file, and code of other modules that nobody has named.

Each part has two digests, from the source and from the bytecode, and is the same if one of them is. So a
result stays fresh in another release of Python as long as the source is at hand.
"""

from __future__ import annotations

import dataclasses
import dis
import enum
import functools
import inspect
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from sys import getrefcount
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any
from weakref import WeakSet

import numpy as np

from lotdb.public import BaseNode, InvalidStepError, Payload
from lotdb.steps.normalised import (
    PLAIN_OBJECTS,
    bytecode_digest,
    constant_text,
    defaults_of,
    digest_of,
    held_by,
    is_frozen,
    module_digest,
    source_digest,
)

__all__ = ["Code", "code_of", "running"]

_ABSENT = object()
# What a step is asked for its results by.
_METHODS = frozenset(("at", "map", "variants", "why_stale"))
_CONSTANTS = (int, float, complex, str, bytes, type(None), *PLAIN_OBJECTS)
# What changes a collection.
_FILLING = frozenset((
    "add", "append", "appendleft", "clear", "discard", "extend", "insert", "move_to_end", "pop", "popitem",
    "popleft", "remove", "setdefault", "update",
))  # fmt: skip
# A larger array is taken to stay what it is as long as the program runs.
_LOOKED_AT_BYTES = 1 << 20
# A decorator may have put itself around itself.
_MOST_WRAPPERS = 100


@dataclass(eq=False)
class Code:
    """What a step's code was when it was looked at.

    ``parts`` are the two digests of each part by its name, of which the first may be None; ``packages`` the
    versions of packages. :meth:`is_current` tells whether the program still has the same functions.
    """

    parts: dict[str, tuple[str | None, str]]
    packages: dict[str, str]
    watched: tuple[tuple[Callable[[], Any], Any], ...]
    #: What may be changed in place, such as a dict or a class.
    states: list[_State]
    #: The names of nodes and payloads that the functions name, and that nobody has given them.
    nodes: tuple[str, ...] = ()
    is_outdated: bool = False

    def __post_init__(self) -> None:
        if self.states:
            with _lock:
                _with_states.add(self)

    @functools.cached_property
    def digest(self) -> str:
        """Tells whether all is the same, source and bytecode."""
        return digest_of((sorted(self.parts.items()), sorted(self.packages.items())))

    def is_current(self) -> bool:
        """Whether nothing was defined anew, or changed in place, since."""
        if self.is_outdated or not all(now() is then for now, then in self.watched):
            return False
        if not self.states:
            return True
        if _running:
            self._leave_out_changed()
        return not any(each.has_changed() for each in self.states)

    def _leave_out_changed(self) -> None:
        """Do not look again at what has changed since a step runs: it keeps there what it knows."""
        with _lock:  # threads of an executor may run one step at once
            changed = [each for each in self.states if each.has_changed()]
            self.states = [each for each in self.states if each not in changed]
            for each in changed:
                if each.digest is not None:
                    _changed_by_steps[id(each.value)] = each.value, each.digest
            if changed:
                _forget_unused()


class _State:
    """What *value* was when it was looked at: a collection, with its digest as a constant, or a class."""

    def __init__(self, value: Any, digest: str | None, but: frozenset[str] = frozenset()) -> None:
        self.value, self.digest, self._but = value, digest, but
        self._then = self._now()

    def has_changed(self) -> bool:
        then, now = self._then, self._now()
        if isinstance(self.value, type) and len(then) == len(now):
            return any(now.get(name, _ABSENT) is not value for name, value in then.items())
        return bool(then != now)

    def _now(self) -> Any:
        value = self.value
        if isinstance(value, type):
            return {name: each for name, each in vars(value).items() if name not in self._but}
        if isinstance(value, np.ndarray):
            return value.dtype, value.shape, value.tobytes()
        try:
            return constant_text(value)
        except (RecursionError, RuntimeError):  # it holds itself, or another thread changes it at the moment
            return None


_lock = threading.RLock()
_with_states: WeakSet[Code] = WeakSet()
# The functions of steps that run in this process, in whatever thread.
_running: list[None] = []
# What steps have changed in place as they ran, by its id, with the digest that it had before.
_changed_by_steps: dict[int, tuple[Any, str]] = {}

# What is counted of a value that only such an entry has, and whoever counts.
_one = {0: (object(), "")}
_ALONE = getrefcount(_one[0][0])


def _forget_unused() -> None:
    """Let go of what has changed and nobody else has: a cell of a notebook defines another one each time."""
    # In a loop, since the values of what is let go of may be the last to have others.
    while unused := [each for each in _changed_by_steps if getrefcount(_changed_by_steps[each][0]) <= _ALONE]:
        for each in unused:
            del _changed_by_steps[each]


@contextmanager
def running(code: Code) -> Iterator[None]:
    """The context in which the function of a step runs, whose code is *code*.

    What it changes in place meanwhile, such as a dict in which it keeps what it has computed, is no input.
    """
    with _lock:
        if not _running:  # else what was changed before would be taken for what the function does
            for each in _with_states:
                each.is_outdated = not each.is_current()
        _running.append(None)
    try:
        yield
    finally:
        try:
            code._leave_out_changed()
        finally:
            _running.pop()


def code_of(function: FunctionType, depends: Iterable[Any]) -> Code:
    """The code of the step *function* as it is now.

    Raises
    ------
    InvalidStepError
        If *depends* names what has neither code nor a version.
    """
    collected = _Collected(function)
    for each in depends:
        collected.add_named(each)
    return Code(
        collected.parts,
        collected.packages,
        tuple(collected.watched),
        collected.states(),
        tuple(dict.fromkeys(collected.nodes)),
    )


class _Collected:
    def __init__(self, function: FunctionType) -> None:
        self.parts: dict[str, tuple[str | None, str]] = {}
        self.packages: dict[str, str] = {}
        self.watched: list[tuple[Callable[[], Any], Any]] = []
        # Classes, collections by their names, and the names of what the functions themselves change in place.
        self._classes: list[type] = []
        self._collections: list[tuple[str, Any, str]] = []
        self._changed: set[str] = set()
        self.nodes: list[str] = []
        self._module = function.__module__
        self._step = function.__name__
        self._seen: set[int] = set()
        self._add_function(function, is_step=True)

    def states(self) -> list[_State]:
        """What is to be compared to tell whether something was changed in place."""
        own = frozenset(self._changed)
        return [
            *(_State(value, digest) for name, value, digest in self._collections if name not in own),
            *(_State(cls, None, own) for cls in self._classes),
        ]

    def add_named(self, each: Any) -> None:
        """What ``depends`` names."""
        function = _function_of(each)
        if function is not None:
            self._add_function(function)
        elif isinstance(each, type) and each.__module__ not in ("builtins",):
            self._add_class(each)
        elif isinstance(each, ModuleType):
            self._add_module(each)
        elif isinstance(each, str):
            self.packages[each] = self._version(each)
        elif callable(each) and (module := _module_of(each)):
            self.packages[module] = self._version(module)  # it is not written in Python, as those of numpy
        else:
            raise InvalidStepError(
                f"step {self._step!r} depends on {each!r}; name functions, classes, modules, or packages"
            ).of(self._step, "")

    def _version(self, package: str) -> str:
        version = _package_version(package)
        if version is None:
            raise InvalidStepError(
                f"step {self._step!r} depends on {package!r}, of which no version is known; name a package "
                "that is installed, or its functions"
            ).of(self._step, "")
        return version

    def _add_module(self, module: ModuleType) -> None:
        top = module.__name__.partition(".")[0]
        version = _package_version(top)
        if version is not None:
            self.packages[top] = version
            return
        digest = module_digest(module)
        if digest is None:
            self.packages[top] = self._version(top)
        else:
            self.parts[f"module {module.__name__}"] = digest, digest

    def _add_function(self, function: FunctionType, *, is_step: bool = False) -> None:
        code = function.__code__
        if id(function) in self._seen:
            return
        self._seen.add(id(function))
        self.watched += [
            (functools.partial(getattr, function, "__code__"), code),
            (functools.partial(getattr, function, "__defaults__"), function.__defaults__),
        ]
        digests = source_digest(function, is_step=is_step), bytecode_digest(function, is_step=is_step)
        part = self._free(self._name(function))
        self.parts[part] = digests
        if not is_step:  # whose defaults are settings
            for name, value, is_shown in defaults_of(function):
                self._add_code(value, function.__module__)
                if not is_shown and _is_collection(value):
                    self._add_constant(f"{name} of {part}", value)
        loaded, stored, asked, changed = _globals_of(code)
        self._changed |= changed
        for name in loaded:
            value = function.__globals__.get(name, _ABSENT)
            if value is _ABSENT or _is_only_asked(value, name, asked):
                continue
            is_own = name in stored  # what it counts up there itself is no input
            self._add_value(function, name, value, is_own, functools.partial(function.__globals__.get, name))
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            value = _content(cell)
            if not _is_only_asked(value, name, asked):
                self._add_value(function, name, value, name in stored, functools.partial(_content, cell))

    def _add_value(
        self, function: FunctionType, name: str, value: Any, is_own: bool, now: Callable[[], Any]
    ) -> None:
        if isinstance(value, (BaseNode, Payload)):
            self.nodes.append(name)
            self.watched.append((now, value))
            return
        has_code = self._add_code(value, function.__module__)
        if name.isupper() and (within := _functions_within(value)) and not is_own:
            for each in within:
                has_code = self._add_code(each, function.__module__) or has_code
        is_constant = not is_own and not name.startswith("__")  # as __file__, which is elsewhere another
        is_constant = is_constant and not callable(value) and _is_input(name, value)
        if is_constant:
            self._add_constant(name, value)
        if has_code or is_constant:
            self.watched.append((now, value))

    def _add_constant(self, name: str, value: Any) -> None:
        digest = digest_of(constant_text(value))
        if id(value) in _changed_by_steps:
            digest = _changed_by_steps[id(value)][1]
        elif _can_change(value):
            self._collections.append((name.rpartition(".")[2], value, digest))
        part, number = f"constant {name}", 2
        while self.parts.get(part, (digest, digest)) != (digest, digest):  # as of another closure
            part, number = f"constant {name} ({number})", number + 1
        self.parts[part] = digest, digest

    def _add_code(self, value: Any, module: str) -> bool:
        """Add what *value* has of the *module*: functions, classes, and what decorators made of them."""
        before = len(self._seen)
        if isinstance(value, type):
            if value.__module__ == module:
                self._add_class(value)
                return True
            return False
        if isinstance(value, functools.partial):
            for each in (*value.args, *value.keywords.values()):
                self._add_code(each, module)
            if value.args or value.keywords:
                self._add_constant(f"arguments of {_name_of(value)}", [value.args, value.keywords])
        helper = _function_of(value)
        if helper is not None and helper.__module__ == module:
            self._add_function(helper)
            for each in _wrappers(value):
                if each.__globals__.get("__name__") == module:
                    self._add_function(each)
            for each in getattr(value, "registry", {}).values() if hasattr(value, "dispatch") else ():
                self._add_code(each, module)
            return True
        if isinstance(value, MethodType):
            self._add_code(value.__func__, module)
            value = value.__self__
        if type(value).__module__ == module:  # an object, such as one that is called
            self._add_class(type(value))
            return True
        return len(self._seen) > before

    def _add_class(self, cls: type) -> None:
        if id(cls) in self._seen:
            return
        self._seen.add(id(cls))
        self._classes.append(cls)
        is_dataclass = "__dataclass_fields__" in vars(cls)
        if is_dataclass:
            digest = digest_of(_fields_of(cls))
            self.parts[self._free(f"{cls.__qualname__} (its fields)")] = digest, digest
            for one in dataclasses.fields(cls):
                factory = _function_of(one.default_factory)
                if factory is not None and factory.__module__ == cls.__module__:
                    self._add_function(factory)
        for name, value in vars(cls).items():
            if name in _ANNOTATIONS:
                continue
            for each in _behind(value):
                function = _function_of(each)
                made = is_dataclass and function is not None and function.__code__.co_filename == "<string>"
                if not made:  # of the fields
                    self._add_code(each, cls.__module__)
            if not name.startswith("__") and not callable(value) and _is_input(name, value):
                self._add_constant(f"{cls.__qualname__}.{name}", value)
        if isinstance(cls, enum.EnumMeta):
            members: Mapping[str, Any] = cls.__members__
            self._add_constant(
                f"{cls.__qualname__} (its members)", {name: each.value for name, each in members.items()}
            )
        elif defaults := vars(cls).get("_field_defaults"):  # of a named tuple
            self._add_constant(f"{cls.__qualname__} (its defaults)", defaults)
        for base in (*cls.__bases__, type(cls)):
            if base.__module__ == cls.__module__:
                self._add_class(base)

    def _name(self, function: FunctionType) -> str:
        name = function.__qualname__.rpartition("<locals>.")[2]
        return name if function.__module__ == self._module else f"{function.__module__}.{name}"

    def _free(self, name: str) -> str:
        number = 2
        free = name
        while free in self.parts:
            free, number = f"{name} ({number})", number + 1
        return free


# From Python 3.14 on, a class has a function that makes its annotations. Before, these were no code.
_ANNOTATIONS = ("__annotate__", "__annotate_func__")


def _fields_of(cls: Any) -> Any:
    """What the methods of a dataclass are made from; their code differs between releases of Python."""
    fields = [
        (
            each.name, constant_text(each.default), getattr(each.default_factory, "__qualname__", ""),
            each.init, each.repr, each.hash, each.compare, each.kw_only,
        )
        for each in dataclasses.fields(cls)
    ]  # fmt: skip
    of_all = ("init", "repr", "eq", "order", "unsafe_hash", "frozen")
    return fields, [getattr(cls.__dataclass_params__, name) for name in of_all]


def _function_of(value: Any) -> FunctionType | None:
    """The function behind *value*: itself, a step's, or what a decorator has wrapped."""
    if isinstance(value, functools.partial):
        return _function_of(value.func)
    for name in ("py_func", "__wrapped__"):
        if (within := inspect.getattr_static(value, name, None)) is not None and callable(value):
            try:
                return _function_of(within if isinstance(within, FunctionType) else getattr(value, name))
            except RecursionError:
                return None
    return value if isinstance(value, FunctionType) else None


def _wrappers(value: Any) -> Iterator[FunctionType]:
    """The functions that decorators have put around another, from the outermost to the last."""
    for _ in range(_MOST_WRAPPERS):
        within = inspect.getattr_static(value, "__wrapped__", None)
        if within is None:
            return
        if isinstance(value, FunctionType):
            yield value
        value = within


def _behind(value: Any) -> Iterator[Any]:
    """What an attribute of a class calls."""
    if isinstance(value, property):
        yield from (value.fget, value.fset, value.fdel)
    elif isinstance(value, functools.cached_property | functools.partialmethod):
        yield value.func
    elif isinstance(value, functools.singledispatchmethod):
        yield value.dispatcher
    else:
        yield getattr(value, "__func__", value)


def _functions_within(value: Any) -> list[Any]:
    """The functions and classes in a collection."""
    several = value.values() if isinstance(value, dict) else value
    if not isinstance(value, (dict, list, tuple, set, frozenset)):
        return []
    found: list[Any] = []
    for each in several:
        found += [each] if _is_code(each) else _functions_within(each)
    return found


def _is_code(value: Any) -> bool:
    return isinstance(value, type) or _function_of(value) is not None


def _name_of(value: Any) -> str:
    function = _function_of(value)
    return "a function" if function is None else function.__qualname__.rpartition("<locals>.")[2]


def _module_of(value: Any) -> str | None:
    module = getattr(value, "__module__", None) or getattr(type(value), "__module__", None)
    return module.partition(".")[0] if isinstance(module, str) and module != "builtins" else None


@functools.cache
def _package_version(package: str) -> str | None:
    version = getattr(sys.modules.get(package), "__version__", None)
    if isinstance(version, str):
        return version
    try:
        return installed_version(package)
    except (ImportError, ValueError):  # no such package
        return None


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # it is empty: the function is defined before what it names
        return _ABSENT


def _is_input(name: str, value: Any) -> bool:
    """Whether a value beside the function is a constant of it.

    What a program can change in place may be where it counts; by the name in capitals it says that it is not.
    """
    return _is_constant(value) or (name.isupper() and _is_collection(value))


def _is_collection(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_constant(key) and _is_collection(each) for key, each in value.items())
    if isinstance(value, (list, tuple, set, frozenset)):
        return all(map(_is_collection, value))
    if isinstance(value, np.ndarray):
        return not value.dtype.hasobject
    if (held := held_by(value)) is not None:
        return all(map(_is_collection, held))
    return isinstance(value, bytearray) or _is_constant(value) or _is_code(value)


def _can_change(value: Any) -> bool:
    """Whether a program may change *value* in place, and it is small enough to be looked at each time."""
    if isinstance(value, np.ndarray):
        return value.flags.writeable and value.nbytes <= _LOOKED_AT_BYTES
    if isinstance(value, dict):
        return True
    if isinstance(value, (tuple, frozenset)):
        return any(map(_can_change, value))
    return isinstance(value, (list, set, bytearray)) or held_by(value) is not None


def _is_constant(value: Any) -> bool:
    if isinstance(value, (tuple, frozenset)):
        return all(map(_is_constant, value))
    if isinstance(value, np.generic):
        return not value.dtype.hasobject
    if isinstance(value, enum.Enum):
        return True
    if is_frozen(value):
        return all(map(_is_constant, held_by(value) or ()))
    return isinstance(value, _CONSTANTS)


def _is_only_asked(value: Any, name: str, asked: Mapping[str, bool]) -> bool:
    """Whether *value* is a step of which only results are asked for: these are noted when they are read."""
    return hasattr(type(value), "at") and hasattr(type(value), "why_stale") and asked.get(name, False)


def _globals_of(code: CodeType) -> tuple[list[str], set[str], dict[str, bool], set[str]]:
    """The names that the code looks up beyond itself, those that it sets there, and how it uses each.

    True stands for names of which nothing but the methods of a step are called. The last are the names of
    what it changes in place: attributes that it sets, and collections that it fills.
    """
    loaded: dict[str, None] = {}
    stored: set[str] = set()
    asked: dict[str, bool] = {}
    changed: set[str] = set()
    for each in _with_inner(code):
        name = None
        before: list[dis.Instruction] = []
        for instruction in dis.get_instructions(each):
            how = instruction.opname
            if how in ("STORE_SUBSCR", "DELETE_SUBSCR") and (filled := _filled(before)) is not None:
                changed.add(filled)
            before.append(instruction)
            if name is not None:
                is_method = how.startswith(("LOAD_ATTR", "LOAD_METHOD")) and instruction.argval in _METHODS
                asked[name] = asked.get(name, True) and is_method
                if how.startswith(("LOAD_ATTR", "LOAD_METHOD")) and instruction.argval in _FILLING:
                    changed.add(name)
                name = None
            if how.startswith(("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS")):
                loaded[instruction.argval] = None
                name = instruction.argval
            elif how.startswith("LOAD_DEREF"):
                name = instruction.argval
            elif how.startswith(("STORE_GLOBAL", "DELETE_GLOBAL", "STORE_DEREF", "DELETE_DEREF")):
                stored.add(instruction.argval)
            elif how.startswith(("STORE_ATTR", "DELETE_ATTR")):
                changed.add(instruction.argval)
    return list(loaded), stored, asked, changed


def _filled(before: list[dis.Instruction]) -> str | None:
    """The name of the collection of which an item is set, once the instructions *before* have been run."""
    depth = 0
    for at in range(len(before) - 1, 0, -1):
        depth += dis.stack_effect(before[at].opcode, before[at].arg)
        if depth == 1:  # this was the first one of the key
            how, name = before[at - 1].opname, before[at - 1].argval
            return name if how.startswith(("LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF", "LOAD_ATTR")) else None
    return None


def _with_inner(code: CodeType) -> Iterator[CodeType]:
    yield code
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _with_inner(each)
