"""Functions in a form that comments, line numbers and the release of Python do not change.

The form is that of the syntax tree. Source on the disk may be newer than what runs: an editor has saved it
since it was imported. So the source is compiled, and taken only if that gives the code that runs. Where it
does not, or where there is no source, the bytecode tells alone.
"""

from __future__ import annotations

import ast
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import importlib.util
import linecache
import re
from collections import deque
from collections.abc import Iterator
from hashlib import blake2b
from types import CodeType, FunctionType, MappingProxyType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from lotdb.values.plain import exact_text
from lotdb.values.python_text import syntax_tree

__all__ = [
    "PLAIN_OBJECTS",
    "bytecode_digest",
    "constant_text",
    "defaults_of",
    "digest_of",
    "held_by",
    "is_frozen",
    "module_digest",
    "source_digest",
]

# What the syntax tree says beside what is done.
_LEFT_OUT = frozenset((
    "annotation", "ctx", "decorator_list", "kind", "returns", "type_comment", "type_ignores",
    "type_params",
))  # fmt: skip

#: Objects that nothing changes. Paths are none of them: a program is elsewhere in another folder.
PLAIN_OBJECTS = (
    dt.date, dt.time, dt.timedelta, dt.timezone, decimal.Decimal, fractions.Fraction, np.dtype, range,
    re.Pattern, slice,
)  # fmt: skip

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_WITH_DOCSTRING = (*_FUNCTIONS, ast.ClassDef, ast.Module)

# Bytecode of one release means something else in another.
_RELEASE = importlib.util.MAGIC_NUMBER.hex()


def digest_of(value: object) -> str:
    """A short text that tells *value*, whose repr shows all of it, from everything else."""
    return blake2b(exact_text(value).encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


# -- source ---------------------------------------------------------------------------------------


def source_digest(function: FunctionType, *, is_step: bool = False) -> str | None:
    """Tells what *function* does, from its source; None if that is not at hand.

    Of a function that *is_step* the defaults are left out, because they are settings.
    """
    found = _sources(function.__code__.co_filename, function.__globals__).get(_where(function.__code__))
    if found is None:
        return None
    node, code = found
    if _comparable(code) != _comparable(function.__code__):
        return None
    return digest_of(_form(node, is_step=is_step, is_top=True))


def defaults_of(function: FunctionType) -> Iterator[tuple[str, Any, bool]]:
    """The defaults of *function*: the argument, the value, and whether its source, or bytecode, shows it."""
    code, given = function.__code__, function.__defaults__ or ()
    found = _sources(code.co_filename, function.__globals__).get(_where(code))
    args = None if found is None else found[0].args
    names = code.co_varnames[code.co_argcount - len(given) : code.co_argcount]
    shown = dict.fromkeys((*names, *(function.__kwdefaults__ or {})), True)
    if args is not None:
        positional = [each.arg for each in (*args.posonlyargs, *args.args)]
        written = dict(zip(reversed(positional), reversed(args.defaults), strict=False))
        written |= {each.arg: value for each, value in zip(args.kwonlyargs, args.kw_defaults, strict=True)}
        shown = {name: _is_literal(written.get(name)) for name in shown}
    for name, value in (*zip(names, given, strict=True), *(function.__kwdefaults__ or {}).items()):
        yield name, value, shown[name]


def _is_literal(node: Any) -> bool:
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError):
        return False
    return True


def module_digest(module: ModuleType) -> str | None:
    """Tells what a module does, from its source."""
    lines = linecache.getlines(getattr(module, "__file__", None) or "", vars(module))
    if not lines:
        return None
    try:
        return digest_of(_form(syntax_tree("".join(lines))))
    except (SyntaxError, ValueError):
        return None


# By file name, the text and the functions in it; a few, as each is asked for once in most processes.
_known: dict[str, tuple[str, dict[tuple[str, int], tuple[Any, CodeType]]]] = {}


def _sources(file: str, names: dict[str, Any]) -> dict[tuple[str, int], tuple[Any, CodeType]]:
    linecache.checkcache(file)
    text = "".join(linecache.getlines(file, names))
    if file in _known and _known[file][0] == text:
        return _known[file][1]
    found: dict[tuple[str, int], tuple[Any, CodeType]] = {}
    try:
        tree = syntax_tree(text)
        code = compile(text, file, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return {}
    nodes = {(node.name, _first_line(node)): node for node in ast.walk(tree) if isinstance(node, _FUNCTIONS)}
    for each in _codes(code):
        if (node := nodes.get(_where(each))) is not None:
            found[_where(each)] = node, each
    if len(_known) >= 32:
        _known.clear()
    _known[file] = text, found
    return found


def _where(code: CodeType) -> tuple[str, int]:
    return code.co_name, code.co_firstlineno


def _first_line(node: Any) -> int:
    first: int = min([node.lineno, *(each.lineno for each in node.decorator_list)])
    return first


def _codes(code: CodeType) -> Iterator[CodeType]:
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield each
            yield from _codes(each)


def _form(node: Any, *, is_step: bool = False, is_top: bool = False) -> Any:
    """The syntax tree as tuples; what is empty is left out, as releases of Python differ there."""
    if isinstance(node, list):
        return [_form(each) for each in node]
    if isinstance(node, ast.Constant):
        return "Constant", type(node.value).__name__, constant_text(node.value)
    if isinstance(node, ast.JoinedStr):
        # Some releases have an empty text at the end of a nested format.
        return "JoinedStr", [_form(each) for each in node.values if getattr(each, "value", None) != ""]
    if not isinstance(node, ast.AST):
        return node
    form: list[Any] = [type(node).__name__]
    for name, value in ast.iter_fields(node):
        if name in _LEFT_OUT:
            if name == "decorator_list" and not is_step:
                form += [(name, _form(each)) for each in value]
            continue
        if value is None or value == []:
            continue
        if name == "body" and isinstance(node, _WITH_DOCSTRING):
            value = value[1:] if _is_docstring(value[0]) else value
        if is_top and is_step and name == "args":
            form.append(("args", [each.arg for each in ast.walk(value) if isinstance(each, ast.arg)]))
            continue
        form.append((name, _form(value)))
    return tuple(form)


def _is_docstring(statement: Any) -> bool:
    value = getattr(statement, "value", None)
    return (
        isinstance(statement, ast.Expr) and isinstance(value, ast.Constant) and isinstance(value.value, str)
    )


# -- bytecode -------------------------------------------------------------------------------------


def bytecode_digest(function: FunctionType, *, is_step: bool = False) -> str:
    """Tells what *function* does in this release of Python."""
    defaults = (
        () if is_step else (function.__defaults__ or (), sorted((function.__kwdefaults__ or {}).items()))
    )
    return digest_of((_RELEASE, _comparable(function.__code__, function.__doc__), constant_text(defaults)))


def _comparable(code: CodeType, docstring: str | None = None) -> Any:
    consts = [
        _comparable(each) if isinstance(each, CodeType) else (type(each).__name__, constant_text(each))
        for at, each in enumerate(code.co_consts)
        if not (at == 0 and docstring is not None and each == docstring)
    ]
    return (
        code.co_name, code.co_code, consts, code.co_names, code.co_varnames, code.co_freevars,
        code.co_cellvars, code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags,
    )  # fmt: skip


def constant_text(value: Any) -> str:
    """A text for a constant that is the same in every process: a set has no order."""
    if isinstance(value, (tuple, list)):
        return f"({', '.join(map(constant_text, value))})"
    if isinstance(value, dict):
        return (
            f"{{{', '.join(f'{constant_text(key)}: {constant_text(each)}' for key, each in value.items())}}}"
        )
    if hasattr(value, "dtype") and hasattr(value, "tobytes"):
        return f"array {value.dtype!r} {value.shape} {blake2b(value.tobytes(), digest_size=12).hexdigest()}"
    if isinstance(value, (set, frozenset)):
        return f"{{{', '.join(sorted(map(constant_text, value)))}}}"
    if isinstance(value, (int, float, complex, str, bytes, type(None), type(Ellipsis))):
        return exact_text(value)
    if isinstance(value, slice):
        return f"slice{constant_text((value.start, value.stop, value.step))}"
    if isinstance(value, re.Pattern):  # whose repr is cut off
        return f"pattern{constant_text((value.pattern, value.flags))}"
    if isinstance(value, dt.datetime | dt.time) and value.tzinfo is not None:
        return f"{value.replace(tzinfo=None)!r} {value.tzinfo}"
    if isinstance(value, PLAIN_OBJECTS):
        return repr(value)
    if isinstance(value, enum.Enum):
        return f"{type(value).__qualname__}.{value._name_} {constant_text(value._value_)}"
    if isinstance(value, bytearray):
        return f"bytearray{constant_text(bytes(value))}"
    if (held := held_by(value)) is not None:
        return f"{type(value).__qualname__}{constant_text(held)}"
    if isinstance(value, type | FunctionType):
        return f"<{value.__qualname__}>"  # whose code is a part of its own
    return f"<{type(value).__qualname__}>"  # a default that is an object, whose repr may name its address


def is_frozen(value: Any) -> bool:
    """Whether *value* is an object of a frozen dataclass."""
    parameters = getattr(type(value), "__dataclass_params__", None)
    return parameters is not None and bool(parameters.frozen)


def held_by(value: Any) -> list[Any] | None:
    """What an object of a dataclass, or one of a few other plain kinds, holds; None of all other objects."""
    if isinstance(value, SimpleNamespace):
        return [dict(sorted(vars(value).items()))]
    if isinstance(value, MappingProxyType):
        return [dict(value)]
    if isinstance(value, deque):
        return list(value)
    if hasattr(type(value), "__dataclass_fields__"):
        return [getattr(value, each.name, None) for each in dataclasses.fields(value)]
    return None
