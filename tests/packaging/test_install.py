"""lotdb-core and lotdb-backend-blob, built and installed on their own, need and bring nothing more.

The environment they are installed into has, of what is installed here, only the distributions that the two
require: their files are linked into it. So it needs no network, and whatever is not required is not there.
"""

import json
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
PLUGINS_AND_WRAPPED = {"zarr", "soundfile", "PIL", "lotdb_backend_blob", "lotdb_backend_zarr", "lotdb_ingest"}
FOREIGN = {"zarr", "numcodecs", "soundfile", "pillow", "lotdb-backend-zarr", "lotdb-ingest", "lotdb"}


def run(*command: object) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory) -> dict[str, Path]:
    """The wheels of core and blob, by the name of their distribution."""
    folder = tmp_path_factory.mktemp("wheels")
    names = ("lotdb-core", "lotdb-backend-blob")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation",
        "--wheel-dir", folder, *(ROOT / name for name in names))  # fmt: skip
    return {name: next(folder.glob(f"{name.replace('-', '_')}-*.whl")) for name in names}


def metadata_of(wheel: Path) -> Distribution:
    with ZipFile(wheel) as archive:
        folder = next(name.split("/")[0] for name in archive.namelist() if ".dist-info/" in name)
    return PathDistribution(ZipPath(wheel, f"{folder}/"))


@pytest.fixture(scope="module")
def required(wheels) -> dict[str, Distribution]:
    """Every distribution that core and blob require, directly or not, by its name."""
    found: dict[str, Distribution] = {}
    waiting = list(wheels)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found[name] = metadata_of(wheels[name]) if name in wheels else distribution(name)
        for line in map(Requirement, found[name].requires or []):
            if line.marker is None or line.marker.evaluate({"extra": ""}):
                waiting.append(canonicalize_name(line.name))
    return found


@pytest.fixture(scope="module")
def python(wheels, required, tmp_path_factory) -> Path:
    """The interpreter of an environment with core, blob and what they require."""
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
        "--find-links", wheels["lotdb-core"].parent, "lotdb-backend-blob")  # fmt: skip
    return python


def test_core_and_blob_require_no_other_backend_and_no_format_library(required):
    assert {"lotdb-core", "lotdb-backend-blob", "zodb", "numpy", "pluggy"} <= required.keys()
    assert required.keys() & FOREIGN == set()


def test_wheels_hold_the_package_its_types_and_its_licence(wheels):
    for name, package in {"lotdb-core": "lotdb", "lotdb-backend-blob": "lotdb_backend_blob"}.items():
        files = ZipFile(wheels[name]).namelist()
        assert {f"{package}/__init__.py", f"{package}/py.typed"} <= set(files)
        assert any(file.endswith(".dist-info/licenses/LICENSE") for file in files)
        assert {file.split("/")[0].split("-")[0] for file in files} == {package, name.replace("-", "_")}


def test_import_lotdb_imports_no_plugin_package(python):
    code = "import json, sys, lotdb; print(json.dumps([lotdb.__file__, *sys.modules]))"
    file, *modules = json.loads(run(python, "-I", "-c", code))
    assert Path(file).is_relative_to(python.parents[1])
    assert PLUGINS_AND_WRAPPED.isdisjoint(modules)


def test_core_and_blob_store_and_read_a_payload_on_their_own(python, tmp_path):
    code = """if True:
        import json, sys
        from importlib.util import find_spec
        import numpy
        from lotdb import LOTDB

        assert not any(map(find_spec, ("zarr", "soundfile", "PIL", "lotdb_backend_zarr", "lotdb_ingest")))
        db = LOTDB(path=sys.argv[1], name="lotdb.fs", new=True)
        root = db.open_connection()
        node = root.get_data_node(["sensor", "capture"], samplerate_hz=1000, backend="blob")
        node.write_data(numpy.arange(6000.0).reshape(2000, 3))
        db.commit()
        print(json.dumps(node.read_seconds(1.0, 1.002).tolist()))
        db.close_connection()
        db.close()
    """
    rows = json.loads(run(python, "-I", "-W", "error", "-c", code, tmp_path / "data"))
    assert rows == [[3000.0, 3001.0, 3002.0], [3003.0, 3004.0, 3005.0]]
