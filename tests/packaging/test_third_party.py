"""The backend of somebody else, installed with the core alone, passes the conformance kit.

Like ``test_install.py``, this needs no network: what core, kit and backend require is linked into the new
environment from this one, and nothing else is there.
"""

import re
import shutil
import subprocess
import sys
from importlib.metadata import Distribution, PathDistribution, distribution
from pathlib import Path
from zipfile import Path as ZipPath
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "third_party_backend"
PAGE = ROOT / "docs" / "how-to-write-a-backend.md"
QUOTED = re.compile(
    r"^`(?P<path>\S+)`:\n\n(?:<!-- not run -->\n\n)?```\w+\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def example(tmp_path_factory) -> Path:
    """A copy of the example, to build and to test."""
    folder = tmp_path_factory.mktemp("example") / "third_party_backend"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    return folder


@pytest.fixture(scope="module")
def wheels(example, tmp_path_factory) -> dict[str, Path]:
    """The wheels of the core and of the example, by the name of their distribution."""
    folder = tmp_path_factory.mktemp("wheels")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation",
        "--wheel-dir", folder, ROOT / "lotdb-core", example)  # fmt: skip
    names = ("lotdb-core", "lotdb-backend-npyfolder")
    return {name: next(folder.glob(f"{name.replace('-', '_')}-*.whl")) for name in names}


def metadata_of(wheel: Path) -> Distribution:
    with ZipFile(wheel) as archive:
        folder = next(name.split("/")[0] for name in archive.namelist() if ".dist-info/" in name)
    return PathDistribution(ZipPath(wheel, f"{folder}/"))


@pytest.fixture(scope="module")
def required(wheels) -> dict[str, Distribution]:
    """Every distribution that the example's extra ``test`` requires, directly or not, by its name."""
    found: dict[str, Distribution] = {}
    waiting = [("lotdb-backend-npyfolder", "test"), ("lotdb-backend-npyfolder", "")]
    done = set()
    while waiting:
        name, extra = asked = waiting.pop()
        if asked in done:
            continue
        done.add(asked)
        found[name] = metadata_of(wheels[name]) if name in wheels else distribution(name)
        for line in map(Requirement, found[name].requires or []):
            if line.marker is None or line.marker.evaluate({"extra": extra}):
                waiting += [(canonicalize_name(line.name), more) for more in ("", *line.extras)]
    return found


@pytest.fixture(scope="module")
def python(wheels, required, tmp_path_factory) -> Path:
    """The interpreter of an environment with the core, the example and what they require."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    python = folder / "bin" / "python"
    site_packages = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    for name in required.keys() - wheels.keys():
        for file in required[name].files or []:
            top, link = file.parts[0], site_packages / file.parts[0]
            if top not in ("..", "__pycache__") and not link.exists():
                link.symlink_to(required[name].locate_file(top))
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index",
        "--find-links", wheels["lotdb-core"].parent, "lotdb-backend-npyfolder[test]")  # fmt: skip
    return python


def test_it_requires_no_other_backend(required):
    ours = {name for name in required if name.startswith("lotdb")}
    assert ours == {"lotdb-core", "lotdb-backend-npyfolder"}
    assert "zarr" not in required


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


@pytest.mark.parametrize(
    ("chosen", "least"), [("found or abort or pack", 5), pytest.param("test", 100, marks=pytest.mark.slow)]
)
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
