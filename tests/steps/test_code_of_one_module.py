"""Whatever of its own module a step uses counts as its code, in whatever way it is used."""

import importlib.util
import linecache
import sys

import pytest

from lotdb import BaseNode

HEAD = """
import collections, dataclasses, datetime, enum, functools, pathlib, re, types, typing
from decimal import Decimal
from fractions import Fraction
import numpy as np
from lotdb.steps import step
"""
WRAPPING = """
def deco(f):
    @functools.wraps(f)
    def wrapper():
        return f() + 10
    return wrapper
@deco
def helper():
    return 100
"""
MAKER = """
def make(k):
    def inner():
        return k
    return inner
one, two = make(100), make(5)
"""

# What stands above the step, what is changed in it, and what the step returns.
CHANGES = {
    "functions of a dict": ("def f(): return 100\nTABLE = {'f': f}", "100", "1", "TABLE['f']()"),
    "functions of lists": ("TABLE = [[lambda: 100]]", "100", "1", "TABLE[0][0]()"),
    "another function of a dict": (
        "def f(): return 1\ndef g(): return 2\nTABLE = {'f': f}", "'f': f", "'f': g", "TABLE['f']()",
    ),
    "class of a dict": ("class C: x = 100\nTABLE = {'c': C}", "100", "1", "TABLE['c'].x"),
    "default from elsewhere": ("D = 100\ndef f(a=D): return a", "100", "1", "f()"),
    "keyword default from elsewhere": ("D = 100\ndef f(*, a=D): return a", "100", "1", "f()"),
    "list as default from elsewhere": ("D = [100]\ndef f(a, b=D): return b[0]", "100", "1", "f(0)"),
    "function as default": ("def g(): return 100\ndef f(a=g): return a()", "100", "1", "f()"),
    "default of a method": ("D = 100\nclass C:\n def f(self, a=D): return a", "100", "1", "C().f()"),
    "argument of a partial": ("def g(a): return a\nf = functools.partial(g, 100)", "100", "1", "f()"),
    "keyword of a partial": ("def g(a): return a\nf = functools.partial(g, a=100)", "100", "1", "f()"),
    "function in a partial": (
        "def h(): return 100\ndef g(a): return a()\nf = functools.partial(g, h)", "100", "1", "f()",
    ),
    "second partial": (
        "def g(a): return a\nf, h = functools.partial(g, 5), functools.partial(g, 100)",
        "100", "1", "f() + h()",
    ),
    "decorator": (WRAPPING, "+ 10", "+ 20", "helper()"),
    "decorated": (WRAPPING, "100", "1", "helper()"),
    "closure": (MAKER, "make(100)", "make(1)", "one() + two()"),
    "second closure": (MAKER, "make(5)", "make(6)", "one() + two()"),
    "cached property": (
        "class C:\n @functools.cached_property\n def x(self): return 100", "100", "1", "C().x",
    ),
    "partial method": (
        "class C:\n def f(self, a): return a * 100\n g = functools.partialmethod(f, 2)",
        "100", "1", "C().g()",
    ),
    "metaclass": (
        "class M(type):\n def f(cls): return 100\nclass C(metaclass=M): pass", "100", "1", "C.f()",
    ),
    "class in a class": ("class C:\n class D:\n  def f(self): return 100", "100", "1", "C.D().f()"),
    "named tuple": ("class C(typing.NamedTuple):\n x: int = 100", "100", "1", "C().x"),
    "enumeration": ("class E(enum.Enum):\n A = 100", "100", "1", "E.A.value"),
    "object": ("class C:\n def f(self): return 100\nthing = C()", "100", "1", "thing.f()"),
    "bound method": ("class C:\n def f(self): return 100\nf = C().f", "100", "1", "f()"),
    "callable object": ("class C:\n def __call__(self): return 100\nf = C()", "100", "1", "f()"),
    "dispatch": (
        "@functools.singledispatch\ndef f(x): return 0\n@f.register(int)\ndef _(x): return 100",
        "100", "1", "f(3)",
    ),
    "member of an enumeration": (
        "class E(enum.Enum):\n A = 1\n B = 2\nmode = E.A", "= E.A", "= E.B", "mode.value",
    ),
    "member of an enumeration of a list": (
        "class E(enum.Enum):\n A = 1\n B = 2\nMODES = [E.A]", "[E.A]", "[E.B]", "MODES[0].value",
    ),
    "object of a frozen dataclass": (
        "@dataclasses.dataclass(frozen=True)\nclass C:\n x: int = 100\nthing = C(5)",
        "C(5)", "C(6)", "thing.x",
    ),
    "object of a dataclass": (
        "@dataclasses.dataclass\nclass C:\n x: list\nTHING = C([5])", "C([5])", "C([6])", "THING.x[0]",
    ),
    "namespace": ("THING = types.SimpleNamespace(x=5)", "x=5", "x=6", "THING.x"),
    "read-only dict": ("THING = types.MappingProxyType({'x': 5})", "5", "6", "THING['x']"),
    "deque": ("THING = collections.deque([5])", "5", "6", "THING[0]"),
    "changeable bytes": ("THING = bytearray(b'5')", "5", "6", "THING[0]"),
    "dtype": ("kind = np.dtype('f4')", "f4", "f8", "kind.itemsize"),
    "slice": ("part = slice(5)", "5", "6", "part.stop"),
    "zone": (
        "zone = datetime.timezone(datetime.timedelta(hours=1))", "hours=1", "hours=2",
        "zone.utcoffset(None).seconds",
    ),
    "date": ("day = datetime.date(2020, 1, 1)", "2020", "2021", "day.year"),
    "time with a zone": (
        "T = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=1)))",
        "hours=1", "hours=2", "T.timestamp()",
    ),
    "fraction": ("part = Fraction(1, 3)", "3", "4", "float(part)"),
    "decimal": ("part = Decimal('1.5')", "1.5", "2.5", "float(part)"),
    "numpy number": ("part = np.int32(100)", "100", "1", "int(part)"),
    "range": ("numbers = range(100)", "100", "1", "len(numbers)"),
    "long pattern": (f"shape = re.compile('{'a' * 300}100')", "100", "1", "len(shape.pattern)"),
    "flags of a pattern": (
        "shape = re.compile('a', re.I)", ", re.I)", ")", "bool(shape.match('A'))",
    ),
}  # fmt: skip


def load(path, above, returned):
    """The module as it was just saved."""
    path.write_text(f"{HEAD}\n{above}\n@step\ndef found(node):\n    return {returned}\n", encoding="utf-8")
    linecache.clearcache()
    spec = importlib.util.spec_from_file_location("of_user", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["of_user"] = module  # as an import does, for dataclasses
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules["of_user"]
    return module


@pytest.mark.parametrize(("above", "old", "new", "returned"), CHANGES.values(), ids=CHANGES)
def test_a_change_of_what_the_step_uses_makes_its_result_stale(tmp_path, above, old, new, returned):
    node = BaseNode("root").get_node("a")
    before = load(tmp_path / "a.py", above, returned).found.at(node).attrs["value"]
    assert load(tmp_path / "b.py", above, returned).found.why_stale(node) is None
    assert load(tmp_path / "c.py", f"\n# moved\n{above}", returned).found.why_stale(node) is None
    assert above.count(old) == 1
    changed = load(tmp_path / "d.py", above.replace(old, new), returned).found
    assert " changed" in changed.why_stale(node) or " used " in changed.why_stale(node)
    assert changed.at(node).attrs["value"] != before
    assert changed.why_stale(node) is None


@pytest.mark.parametrize(
    ("above", "returned"),
    [
        ("HERE = pathlib.Path(__file__)", "HERE.suffix"),
        ("class C: pass\nTHING = C()\nTHINGS = [C()]", "bool(THING and THINGS)"),
        ("SEEN = {}\ndef f():\n SEEN[1] = SEEN\n return 1", "f()"),
    ],
)
def test_what_is_another_in_each_process_does_not_count(tmp_path, above, returned):
    node = BaseNode("root").get_node("a")
    load(tmp_path / "a.py", above, returned).found.at(node)
    (tmp_path / "elsewhere").mkdir()
    assert load(tmp_path / "elsewhere" / "b.py", above, returned).found.why_stale(node) is None
