"""What all kits have in common: their order, their messages, their time limits, and what they lack."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.kit.noticed import outcomes_of

from lotdb import testing
from lotdb.testing.promises import Kit

pytest_plugins = ["pytester"]

# asyncio, where it is installed, warns of a setting that a run without a configuration does not have.
QUIET = ["-q", "-p", "no:cacheprovider", "-p", "no:asyncio"]
KITS = [name for name in testing.__all__ if name.endswith("Tests")]
DOCS = Path(__file__).parents[2]


def all_of(kit):
    """The tests in the order in which pytest takes them: those of the last base first."""
    found = {}
    for cls in reversed(kit.__mro__):
        found |= {name: test for name, test in vars(cls).items() if name.startswith("test_")}
    return found


@pytest.mark.parametrize("kit", KITS)
def test_each_test_says_what_the_plugin_must_do_and_where_it_is_written(kit):
    for name, test in all_of(getattr(testing, kit)).items():
        about = test.promise
        assert about.must.endswith("."), name
        page, _, section = about.page.partition("#")
        text = (DOCS / page).read_text(encoding="utf-8")
        headings = [re.sub("[^a-z0-9 -]", "", line.lower()) for line in re.findall("^##+ (.*)$", text, re.M)]
        assert section in [heading.replace(" ", "-") for heading in headings], name


@pytest.mark.parametrize("kit", KITS)
def test_what_a_promise_stands_on_is_tried_before_it(kit):
    tried = []
    for name, test in all_of(getattr(testing, kit)).items():
        assert set(test.promise.needs) <= {*tried}, f"{name} stands on what comes later"
        tried.append(name)


def test_pytest_takes_the_tests_in_that_order(pytester):
    pytester.makepyfile("from lotdb.testing import BackendTests\nclass TestIt(BackendTests): pass")
    result = pytester.runpytest_inprocess(*QUIET, "--collect-only")
    collected = [line.split("::")[-1].partition("[")[0] for line in result.outlines if "::" in line]
    assert list(dict.fromkeys(collected)) == list(all_of(testing.BackendTests))


@pytest.mark.sampled(1)
@pytest.mark.parametrize("kit", KITS)
def test_a_subclass_without_fixtures_is_told_what_it_lacks(pytester, kit):
    pytester.makepyfile(f"from lotdb.testing import {kit}\nclass TestIt({kit}): pass")
    result = pytester.runpytest_inprocess(*QUIET, "-x")
    result.stdout.fnmatch_lines([f"*NotImplementedError: a subclass of {kit} has a fixture *"])


@pytest.mark.slow
def test_what_never_returns_to_python_ends_the_run_with_a_message(tmp_path):
    (tmp_path / "test_it.py").write_text(
        "import signal, threading\n"
        "from lotdb.testing import limits\n"
        "from lotdb.testing.promises import CLASS, Kit, promise\n"
        "limits.GRACE_S = 0.2\n"
        "class TestIt(Kit):\n"
        "    time_limit_s = 0.3\n"
        "    @promise(CLASS)\n"
        "    def test_it_comes_back(self):\n"
        "        '''It comes back.'''\n"
        "        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])\n"
        "        threading.Event().wait()\n"
    )
    command = [sys.executable, "-m", "pytest", *QUIET, "test_it.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 70
    assert "test_it_comes_back does not come back within 0.3 s. It comes back." in done.stderr
    assert "test_it.py" in done.stderr


def test_a_traceback_is_shown_to_who_asks_for_it(pytester):
    pytester.makepyfile(
        "from lotdb.testing.promises import CLASS, Kit, promise\n"
        "class TestIt(Kit):\n"
        "    @promise(CLASS)\n"
        "    def test_it(self):\n"
        "        '''It does.'''\n"
        "        raise KeyError('here')\n"
    )
    short = pytester.runpytest_inprocess(*QUIET).stdout.str()
    assert "broken promise: It does." in short
    assert "it raised KeyError: 'here'" in short
    assert "Error\n>" not in short
    assert "raise KeyError" in pytester.runpytest_inprocess(*QUIET, "--tb=long").stdout.str()


STORES = """
import os
import pytest
from broken_backends import GoodBackend
from lotdb.testing import BackendTests

class Elsewhere(GoodBackend):
    '''Its folder is a setting, which is no plain value, and only it knows where the bytes are.'''

    is_outside = True

    def __init__(self, context):
        self.context = context
        for setting in context.config:
            if setting != "place":
                from lotdb import InvalidOptionError
                raise InvalidOptionError(f"no setting {setting!r}")
        self.place = context.config["place"]()

    def path(self, locator):
        return self.place / locator

    def write(self, locator, array, options):
        if self.context.folder.exists() and not self.context.folder.is_dir():
            raise NotADirectoryError(self.context.folder)
        self.place.mkdir(exist_ok=True)
        with open(self.path(locator), "xb") as file:
            array.tofile(file)

    def files(self, locator):
        return []

class TestElsewhere(BackendTests):
    syncs_with_os_fsync = False

    @pytest.fixture
    def backend_class(self):
        return Elsewhere

    @pytest.fixture
    def config(self, tmp_path):
        return {"place": lambda: tmp_path / "place"}

    @pytest.fixture
    def damage(self):
        def damage(backend, locator, change):
            path = backend.path(locator)
            content = change(path.read_bytes())
            if content is None:
                path.unlink()
            else:
                path.write_bytes(content)
        return damage
"""


@pytest.mark.slow
def test_a_store_elsewhere_is_damaged_by_a_fixture_and_configured_by_objects(tmp_path):
    words = ("damage", "lost", "abort", "killed", "read_back", "moved")
    found = outcomes_of(tmp_path, STORES, [("TestElsewhere", word) for word in words])
    failed = {name: said for name, (outcome, said) in found.items() if outcome == "failed"}
    assert not failed
    damaged = [outcome for name, (outcome, _) in found.items() if "damage_is_told" in name]
    assert damaged == ["passed"] * 14
    skipped = {said for outcome, said in found.values() if outcome == "skipped"}
    assert any("give a fixture config_elsewhere" in said for said in skipped)


def test_kits_are_classes_that_say_what_to_override():
    for name in KITS:
        kit = getattr(testing, name)
        assert issubclass(kit, Kit)
        assert "Fixtures to override" in inspect.getdoc(kit)


def test_the_core_does_not_import_the_kit():
    code = (
        "import sys, lotdb; assert not {'lotdb.testing', 'pytest', 'hypothesis', '_pytest'} & {*sys.modules}"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_node_type_whose_module_has_several_entry_points_is_taken_away_whole(pytester, monkeypatch):
    pytester.mkdir("lab-1.0.dist-info")
    Path("lab-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: lab\nVersion: 1.0\n")
    points = "[lotdb.node]\nlab.walk = lab_walk\nlab.values = lab_walk\n"
    Path("lab-1.0.dist-info/entry_points.txt").write_text(points)
    pytester.makepyfile(
        lab_walk="""
            from lotdb import DataNode, hookimpl

            class Walk(DataNode):
                __slots__ = ()
                node_type_name = "lab.walk"

            @hookimpl
            def lotdb_get_node_type(name):
                return Walk if name == "lab.walk" else None
        """,
        test_it="""
            import lab_walk
            import pytest
            from lotdb.testing import NodeTypeTests

            class TestWalk(NodeTypeTests):
                @pytest.fixture
                def plugin(self):
                    return lab_walk

                @pytest.fixture
                def node_type(self):
                    return "lab.walk"
        """,
    )
    monkeypatch.syspath_prepend(str(pytester.path))
    result = pytester.runpytest_inprocess(*QUIET, "test_it.py", "-k", "without_the_plugin")
    result.assert_outcomes(passed=1, deselected=result.parseoutcomes()["deselected"])
