"""What counts as the code of a step: across edits, processes and releases of Python."""

import gc
import importlib.util
import subprocess
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.services.disturbed import disturbed_parser

from lotdb import LOTDB, BaseNode
from lotdb.steps import normalised, step

MODULE = '''
import numpy as np
from lotdb.steps import step

LIMIT = 3
BANDS = {"low": [0.5, 3.0]}
WINDOW = np.ones(3)
COUNT = 0
calls = []

def deepest(x):
    return x + 1

def helper(x, more=1):
    """What it does."""
    return deepest(x) * more

def unused(x):
    return x

class Filter:
    order = 2
    def apply(self, x):
        return x * self.order

@step
def level(node, gain=1):
    """A docstring."""
    global COUNT
    COUNT += 1  # what it counts itself is no input
    calls.append(1)
    return Filter().apply(helper(node.attrs["x"])) * gain * int(WINDOW[0]) if LIMIT and BANDS else 0

@step
def asks(node):
    return level.at(node).attrs["value"]
'''


def load(path, text):
    """The module that an editor has just saved."""
    path.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("of_user", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["of_user"] = module  # as an import does, for dataclasses
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules["of_user"]
    return module


@pytest.fixture
def node():
    node = BaseNode("root").get_node("a")
    node.attrs["x"] = 1
    return node


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("return x + 1", "return x + 2", "code of 'deepest' changed"),
        ("* more", "* more * 2", "code of 'helper' changed"),
        ("more=1", "more=2", "code of 'helper' changed"),
        ("x * self.order", "x + self.order", "code of 'Filter.apply' changed"),
        ("order = 2", "order = 3", "constant Filter.order changed"),
        ("LIMIT = 3", "LIMIT = 4", "constant LIMIT changed"),
        ("* gain *", "+ gain *", "code of 'level' changed"),
        ("[0.5, 3.0]", "[0.5, 4.0]", "constant BANDS changed"),
        ("np.ones(3)", "np.ones(4)", "constant WINDOW changed"),
    ],
)
def test_a_change_that_matters(node, tmp_path, old, new, said):
    first = load(tmp_path / "first.py", MODULE)
    assert first.asks.at(node).attrs["value"] == 4
    assert (first.level.why_stale(node), first.asks.why_stale(node)) == (None, None)
    second = load(tmp_path / "second.py", MODULE.replace(old, new))
    assert second.level.why_stale(node) == said
    assert second.asks.why_stale(node) == f"result 'level' is stale: {said}"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("return x + 1", "# a comment\n    return  (x\n    + 1)"),
        ('"""What it does."""', '"""What it does now."""'),
        ('    """A docstring."""\n', ""),
        ("def deepest(x):", "def deepest(x: int) -> int:"),
        ("return x\n", "return x * 2\n"),
        ("import numpy as np", "import numpy as np\nimport os\n\n\n"),
        ("gain=1", "gain: int = 1"),
        ("COUNT = 0", "COUNT = 100"),
    ],
)
def test_a_change_that_does_not(node, tmp_path, old, new):
    first = load(tmp_path / "first.py", MODULE)
    first.asks.at(node)
    second = load(tmp_path / "second.py", MODULE.replace(old, new))
    assert second.level.why_stale(node) is None
    assert second.asks.why_stale(node) is None


def test_a_file_that_was_saved_since_it_was_imported(node, tmp_path):
    """What runs counts, not what the disk has now."""
    module = load(tmp_path / "module.py", MODULE)
    (tmp_path / "module.py").write_text(MODULE.replace("return x + 1", "return x + 5"), encoding="utf-8")
    assert module.level.at(node).attrs["value"] == 4
    assert load(tmp_path / "again.py", MODULE.replace("return x + 1", "return x + 5")).level.why_stale(
        node
    ) == ("code of 'deepest' changed")
    # The file has the same lines elsewhere by now; the bytecode is still the same.
    assert load(tmp_path / "same.py", MODULE).level.why_stale(node) is None


def test_source_is_read_while_other_threads_parse(node, tmp_path):
    load(tmp_path / "first.py", MODULE).level.at(node)
    second = load(tmp_path / "second.py", "# Another.\n" + MODULE)
    with disturbed_parser():
        assert second.level.why_stale(node) is None


def test_functions_without_source(node):
    names = {"__name__": "typed_in"}
    exec(MODULE, names)
    names["level"].at(node)
    again = {"__name__": "typed_in"}
    exec(MODULE.replace("COUNT = 0", "COUNT = 9"), again)
    assert again["level"].why_stale(node) is None
    changed = {"__name__": "typed_in"}
    exec(MODULE.replace("return x + 1", "return x + 2"), changed)
    assert changed["level"].why_stale(node) == "code of 'deepest' changed"


def test_closures(node):
    def make(factor, unit):
        def scale(x):
            return x * factor

        @step
        def scaled(node):
            return {"value": scale(node.attrs["x"]), "unit": unit}

        return scaled

    make(2, "V").at(node)
    assert make(2, "V").why_stale(node) is None
    assert make(3, "V").why_stale(node) == "constant factor changed"
    assert make(2, "A").why_stale(node) == "constant unit changed"


def test_what_depends_names(node, tmp_path, monkeypatch):
    elsewhere = load(tmp_path / "elsewhere.py", "def f(x):\n    return g(x)\n\ndef g(x):\n    return x\n")

    def make(*depends):
        @step(depends=depends)
        def copied(node):
            return node.attrs["x"]

        return copied

    import numpy as np

    from lotdb.steps import fingerprint

    copied = make(elsewhere.f, np, "hypothesis", np.fft.rfft)
    copied.at(node)
    assert copied.why_stale(node) is None
    changed = load(tmp_path / "elsewhere.py", "def f(x):\n    return g(x)\n\ndef g(x):\n    return -x\n")
    assert make(changed.f, np, "hypothesis", np.fft.rfft).why_stale(node) == "code of 'of_user.g' changed"
    monkeypatch.setattr(fingerprint, "_package_version", lambda name: "99")
    said = f"package 'numpy' was {np.__version__} and is 99"
    assert make(elsewhere.f, np, "hypothesis", np.fft.rfft).why_stale(node) == said


def test_a_helper_that_is_replaced_in_the_running_program(node, tmp_path):
    module = load(tmp_path / "module.py", MODULE)
    module.asks.at(node)
    assert module.asks.why_stale(node) is None

    exec("def deepest(x):\n    return x + 7\n", vars(module))
    assert module.asks.why_stale(node) == "result 'level' is stale: code of 'deepest' changed"
    assert module.asks.at(node).attrs["value"] == 16


PROGRAM = """
import sys
sys.path.insert(0, sys.argv[2])
from lotdb import LOTDB
import module
with LOTDB(sys.argv[1]) as db, db.connection() as root:
    node = root.get_node("a")
    if "x" not in node.attrs:
        node.attrs["x"] = 1
    module.asks.at(node)
    print(len(module.calls))
"""


def test_another_process_finds_what_one_has_computed(tmp_path):
    (tmp_path / "module.py").write_text(MODULE, encoding="utf-8")
    counts = []
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(tmp_path / "db"), str(tmp_path)],
            capture_output=True, text=True, env={"PYTHONHASHSEED": seed, "PATH": ""}, timeout=100,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        counts.append(int(done.stdout))
    assert counts == [1, 0]


OTHER = """
import importlib.util, sys
def module(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found
normalised, sample = module("normalised", sys.argv[1]), module("sample", sys.argv[2])
print(normalised.source_digest(sample.everything))
"""

SAMPLE = '''
def everything(x, y=1, *rest, z: int = 3, **more):
    """Doc."""
    total = 0
    for i in range(10):
        if (x > i and y < i) or not z:
            total += i**2
    try:
        with open("x") as f, open("y") as g:
            pass
    except (ValueError, TypeError) as e:
        raise RuntimeError(f"{x!r:>{y}} and {total:.3f} it is {{}}") from e
    values = [inner for inner in range(3) if inner] + [*rest]
    match x:
        case {"a": 1, **others}:
            return lambda q, *r, **s: (q, others)
        case [1, *_] | None:
            return x in {1, 2, 3}, x[1:2, ..., ::3], {**more}, "a" "b", 1j
'''


def test_another_release_of_python_has_the_same_fingerprint(tmp_path):
    """Its digest is written down; that of this release has to be the same."""
    (tmp_path / "sample.py").write_text(SAMPLE, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", OTHER, str(Path(normalised.__file__)), str(tmp_path / "sample.py")],
        capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.stdout.strip() == "ffc1a67b613492ebe4771876", done.stderr


IMPORTS = """
import collections, dataclasses, sys, types
import numpy as np
from lotdb.steps import step
"""

# What stands above the step, what it returns, and what the program changes while it runs.
RUNNING = {
    "dict": ("X = {'a': {'b': 100}}", "X['a']['b']", "X['a']['b'] = 1"),
    "list": ("X = [100]", "X[0]", "X[0] = 1"),
    "array": ("X = np.full(3, 100)", "int(X[0])", "X[0] = 1"),
    "functions of a dict": ("def f(): return 100\ndef g(): return 1\nX = {'f': f}", "X['f']()", "X['f'] = g"),
    "attribute of a class": ("class C: x = 100", "C.x", "C.x = 1"),
    "dict of a class": ("class C: X = {'a': 100}", "C.X['a']", "C.X['a'] = 1"),
    "method": ("class C:\n def f(self): return 100\ndef g(self): return 1", "C().f()", "C.f = g"),
    "base": ("class B: x = 100\nclass C(B): pass", "C.x", "B.x = 1"),
    "over the base": ("class B: x = 100\nclass C(B): pass", "C.x", "C.x = 1"),
    "property": (
        "class C:\n @property\n def x(self): return 100", "C().x", "C.x = property(lambda self: 1)",
    ),
    "object of a dataclass": (
        "@dataclasses.dataclass\nclass C:\n x: int = 100\nX = C()", "X.x", "X.x = 1",
    ),
    "namespace": ("X = types.SimpleNamespace(x=100)", "X.x", "X.x = 1"),
}  # fmt: skip


@pytest.mark.parametrize(("above", "returned", "change"), RUNNING.values(), ids=RUNNING)
def test_what_is_changed_in_place_while_the_program_runs(node, tmp_path, above, returned, change):
    module = load(tmp_path / "a.py", f"{IMPORTS}\n{above}\n@step\ndef found(node):\n    return {returned}\n")
    assert module.found.at(node).attrs["value"] == 100
    assert module.found.why_stale(node) is None
    exec(change, vars(module))
    why = module.found.why_stale(node)
    assert " changed" in why or " used " in why
    assert module.found.at(node).attrs["value"] == 1
    assert module.found.why_stale(node) is None


KNOWN = {
    "dict": "X = {}\ndef f(a):\n if a not in X: X[a] = a\n return X[a]",
    "dict by pairs": "X = {}\ndef f(a):\n if (a, 1) not in X: X[a, 1] = a\n return X[a, 1]",
    "by another name": "X = {}\ndef f(a):\n x = X\n x[a] = a\n return x[a]",
    "list": "X = []\ndef f(a):\n X.append(a)\n return X[-1]",
    "counter": "class C:\n n = 0\ndef f(a):\n C.n += 1\n return a",
    "dict of a class": "class C:\n X = {}\n def f(self, a):\n  self.X[a] = a\n  return a\nf = C().f",
    "itself": "X = {}\ndef f(a):\n X[a] = X\n return a",
}


@pytest.mark.parametrize("above", KNOWN.values(), ids=KNOWN)
def test_what_a_step_keeps_for_itself_is_no_input(node, tmp_path, above):
    module = load(tmp_path / "a.py", f"{IMPORTS}\n{above}\n@step\ndef found(node):\n    return f(100)\n")
    assert module.found.at(node).attrs["value"] == 100
    assert module.found.why_stale(node) is None
    module.f(5)
    assert module.found.why_stale(node) is None


def test_what_a_step_keeps_for_itself_is_forgotten_with_the_step(node, tmp_path):
    """As in a notebook, whose cell is run again and again."""
    above = "X = np.zeros(3)\ndef f(a):\n x = X\n x[0] += 1 + a\n return 1"
    kept = []
    for number in range(5):
        code = f"{IMPORTS}\n{above}\n@step\ndef found(node, n):\n    return f(n)\n"
        module = load(tmp_path / "a.py", code)
        module.found.at(node, n=number)
        assert module.X[0] == 1 + number
        assert module.found.why_stale(node, n=number) is None
        kept.append(weakref.ref(module.X))
        del module
        gc.collect()
    assert sum(each() is not None for each in kept) <= 2


def test_what_was_changed_before_another_step_runs_is_no_doing_of_that_step(node, tmp_path):
    module = load(
        tmp_path / "a.py",
        f"{IMPORTS}\nX = {{'a': 100}}\n@step\ndef found(node):\n    return X['a']\n"
        "@step\ndef asks(node):\n    return found.at(node).attrs['value'] + node.attrs['y']\n",
    )
    node.attrs["y"] = 0
    assert module.asks.at(node).attrs["value"] == 100
    module.X["a"] = 1
    node.attrs["y"] = 10
    assert module.asks.at(node).attrs["value"] == 11


def test_threads_that_run_a_step_at_once_may_fill_what_it_keeps(tmp_path):
    above = (
        "from threading import Barrier\ntogether = Barrier(4)\nX = {n: n for n in range(20_000)}\n"
        "def f(a):\n x = X\n together.wait(60)\n x[a] = a\n together.wait(60)\n return a\n"
    )
    body = "@step\ndef found(node):\n    return f(node.attrs['number'])\n"
    module = load(tmp_path / "a.py", f"{IMPORTS}\n{above}\n{body}")
    with LOTDB(tmp_path / "results", new=True) as db:
        with db.connection() as root:
            for number in range(4):
                root.get_node_path(f"n{number}").attrs["number"] = -1 - number
            assert module.found.why_stale(root["n0"])  # the code is known from here on

        def ask(number):
            with db.connection() as root:
                value = module.found.at(root[f"n{number}"]).attrs["value"]
                db.abort(root)
            return value

        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)  # else one thread is done before the next one is asked
        try:
            with ThreadPoolExecutor(4) as threads:
                assert list(threads.map(ask, range(4))) == [-1, -2, -3, -4]
        finally:
            sys.setswitchinterval(interval)
