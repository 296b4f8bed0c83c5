"""``import lotdb`` loads nothing yet; each public name is there when it is asked for, and no other."""

import subprocess
import sys

import pytest

import lotdb
from lotdb import public

# Each in a process of its own: what is asked for first must not matter.
FIRST = [
    "import lotdb; assert lotdb.LOTDB.__name__ == 'LOTDB'",
    "import lotdb; assert 'BaseNode' in dir(lotdb) and lotdb.BaseNode",
    "from lotdb import *; assert LOTDB and hookimpl",
    "from lotdb.errors import LotdbError; import lotdb; assert lotdb.LotdbError is LotdbError",
    "from lotdb.registry.registry import Plugins; import lotdb; assert lotdb.Plugins is Plugins",
    "from lotdb import hookspecs, hookimpl; assert hookspecs.hookimpl is hookimpl",
    "import pickle, lotdb; e = lotdb.PluginError('x'); assert str(pickle.loads(pickle.dumps(e))) == 'x'",
]


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    "code", [*FIRST[:3], *(pytest.param(code, marks=pytest.mark.slow) for code in FIRST[3:])]
)
def test_a_name_is_there_whatever_is_asked_for_first(code):
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_import_lotdb_loads_neither_numpy_nor_zodb():
    code = "import sys, lotdb; print(lotdb.__version__, 'numpy' in sys.modules, 'ZODB' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == f"{lotdb.__version__} False False\n"


def test_the_package_hands_on_all_public_names_and_no_other():
    assert lotdb.__all__ == public.__all__
    assert all(getattr(lotdb, name) is getattr(public, name) for name in public.__all__)
    with pytest.raises(AttributeError, match="module 'lotdb' has no attribute 'LOTBD'"):
        _ = lotdb.LOTBD
    with pytest.raises(AttributeError):
        _ = lotdb.__wrapped__
