"""The backend of somebody else, installed with the core alone, passes the conformance kit."""

import re
import shutil
from importlib import import_module
from importlib.metadata import Distribution
from pathlib import Path

import numpy as np
import pytest
from tests.packaging.environments import build_wheels, make_environment, required_by, run

from lotdb import BackendContext
from lotdb.testing.backend_first import FirstTests

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "third_party_backend"
PAGE = ROOT / "docs" / "how-to-write-a-backend.md"
QUOTED = re.compile(
    r"^`(?P<path>\S+)`:\n\n(?:<!-- not run -->\n\n)?```\w+\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


@pytest.fixture(scope="module")
def example(tmp_path_factory) -> Path:
    """A copy of the example, to build and to test."""
    folder = tmp_path_factory.mktemp("example") / "third_party_backend"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    return folder


@pytest.fixture(scope="module")
def wheels(example, tmp_path_factory) -> dict[str, Path]:
    projects = {"lotdb-core": ROOT / "lotdb-core", "lotdb-backend-npyfolder": example}
    return build_wheels(tmp_path_factory.mktemp("wheels"), projects)


@pytest.fixture(scope="module")
def required(wheels) -> dict[str, Distribution]:
    return required_by(wheels, ("lotdb-backend-npyfolder", "test"), ("lotdb-backend-npyfolder", ""))


@pytest.fixture(scope="module")
def python(wheels, required, tmp_path_factory) -> Path:
    """The interpreter of an environment with the core, the example and what they require."""
    install = "lotdb-backend-npyfolder[test]"
    return make_environment(tmp_path_factory.mktemp("environment"), wheels, required, install)


class TestItsBackendAtFirst(FirstTests):
    """What the kit asks first, where it lies. The slow tests ask for all, where it is installed."""

    @pytest.fixture
    def backend_class(self, monkeypatch):
        monkeypatch.syspath_prepend(EXAMPLE / "src")
        return import_module("lotdb_backend_npyfolder.backend").NpyFolderBackend


@pytest.mark.slow
def test_it_requires_no_other_backend(required):
    ours = {name for name in required if name.startswith("lotdb")}
    assert ours == {"lotdb-core", "lotdb-backend-npyfolder"}
    assert "zarr" not in required


@pytest.mark.slow
def test_it_is_installed_without_any_of_our_plugins(python, tmp_path):
    code = """if True:
        import pathlib, sys
        from importlib.util import find_spec
        import numpy
        from lotdb import LOTDB, MissingPluginError, Plugins

        assert not any(map(find_spec, ("zarr", "lotdb_backend_blob", "lotdb_backend_zarr", "lotdb_ingest")))
        with LOTDB(sys.argv[1], default_backend="npyfolder") as db:
            with db.connection() as root:
                root.get_data_node("capture").write_data(numpy.arange(6.0).reshape(3, 2))
            with db.connection() as root:
                assert root["capture"].read_data(1).tolist() == [[2, 3], [4, 5]]
                try:
                    root["capture"].write_data([1], backend="blob")
                except MissingPluginError as error:
                    assert "npyfolder" in str(error)
                else:
                    raise AssertionError
        (file,) = pathlib.Path(sys.argv[1]).glob("lotdb.fs.npyfolder/*.npy")
        assert numpy.load(file).shape == (3, 2)
    """
    run(python, "-I", "-W", "error", "-c", code, tmp_path / "data")


@pytest.mark.slow
@pytest.mark.parametrize(("chosen", "least"), [("found or abort or pack", 5), ("test", 100)])
def test_it_passes_the_conformance_kit(python, example, chosen, least):
    kit = ["-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "-k", chosen]
    printed = run(python, "-I", *kit, cwd=example)
    passed = re.search(r"^(\d+) passed", printed, re.MULTILINE)
    assert passed, printed
    assert int(passed[1]) >= least


def test_the_how_to_quotes_it_as_it_is():
    quoted = {match["path"]: match["text"] for match in QUOTED.finditer(PAGE.read_text(encoding="utf-8"))}
    assert quoted == {path: (EXAMPLE / path).read_text(encoding="utf-8") for path in quoted}
    package = "src/lotdb_backend_npyfolder"
    assert quoted.keys() == {
        "pyproject.toml",
        f"{package}/backend.py",
        f"{package}/plugin.py",
        "tests/test_npyfolder.py",
    }


def test_it_uses_public_names_of_the_core_only():
    sources = "".join(path.read_text(encoding="utf-8") for path in EXAMPLE.rglob("*.py"))
    modules = set(re.findall(r"^\s*(?:from|import) (lotdb[\w.]*)", sources, re.MULTILINE))
    assert {name for name in modules if not name.startswith("lotdb_backend_npyfolder")} <= {
        "lotdb",
        "lotdb.testing",
    }


def test_its_backend_is_short():
    lines = (EXAMPLE / "src/lotdb_backend_npyfolder/backend.py").read_text(encoding="utf-8").splitlines()
    assert len(lines) < 80


def test_what_disturbs_the_parser_of_the_example_is_no_damage(example, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(example / "src"))
    backend = import_module("lotdb_backend_npyfolder.backend").NpyFolderBackend(
        BackendContext(tmp_path / "x")
    )
    array, locator = np.arange(6.0).reshape(3, 2), backend.new_locator()
    backend.write(locator, array, {})
    load, disturbed = np.load, [1, 2]

    def disturbed_load(*args, **how):
        if disturbed:
            raise SystemError(disturbed.pop())  # as before Python 3.11.8, beside another thread
        return load(*args, **how)

    monkeypatch.setattr(np, "load", disturbed_load)
    out = np.empty((2, 2))
    backend.read_into(locator, 1, out)
    assert np.array_equal(out, array[1:])
