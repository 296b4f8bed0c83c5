"""lotdb-core and lotdb-backend-blob, built and installed on their own, need and bring nothing more."""

import json
import subprocess
from importlib.metadata import Distribution
from pathlib import Path
from zipfile import ZipFile

import pytest
from tests.packaging.environments import build_wheels, make_environment, required_by, run

ROOT = Path(__file__).parents[2]
NAMES = ("lotdb-core", "lotdb-backend-blob")
PLUGINS_AND_WRAPPED = {"zarr", "soundfile", "PIL", "lotdb_backend_blob", "lotdb_backend_zarr", "lotdb_ingest"}
FOREIGN = {"zarr", "numcodecs", "soundfile", "pillow", "lotdb-backend-zarr", "lotdb-ingest", "lotdb"}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory) -> dict[str, Path]:
    return build_wheels(tmp_path_factory.mktemp("wheels"), {name: ROOT / name for name in NAMES})


@pytest.fixture(scope="module")
def required(wheels) -> dict[str, Distribution]:
    return required_by(wheels, *((name, "") for name in NAMES))


@pytest.fixture(scope="module")
def python(wheels, required, tmp_path_factory) -> Path:
    """The interpreter of an environment with core, blob and what they require."""
    return make_environment(tmp_path_factory.mktemp("environment"), wheels, required, "lotdb-backend-blob")


@pytest.mark.slow
def test_core_and_blob_require_no_other_backend_and_no_format_library(required):
    assert {"lotdb-core", "lotdb-backend-blob", "zodb", "numpy", "pluggy"} <= required.keys()
    assert required.keys() & FOREIGN == set()


@pytest.mark.slow
def test_wheels_hold_the_package_its_types_and_its_licence(wheels):
    for name, package in {"lotdb-core": "lotdb", "lotdb-backend-blob": "lotdb_backend_blob"}.items():
        files = ZipFile(wheels[name]).namelist()
        assert {f"{package}/__init__.py", f"{package}/py.typed"} <= set(files)
        assert any(file.endswith(".dist-info/licenses/LICENSE") for file in files)
        assert {file.split("/")[0].split("-")[0] for file in files} == {package, name.replace("-", "_")}


@pytest.mark.slow
def test_import_lotdb_imports_no_plugin_package(python):
    code = "import json, sys, lotdb; print(json.dumps([lotdb.__file__, *sys.modules]))"
    file, *modules = json.loads(run(python, "-I", "-c", code))
    assert Path(file).is_relative_to(python.parents[1])
    assert PLUGINS_AND_WRAPPED.isdisjoint(modules)


@pytest.mark.slow
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


@pytest.mark.slow
def test_the_command_says_what_it_needs_if_that_is_not_installed(python):
    done = subprocess.run([python.parent / "lotdb", "tree", "data"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "pip install 'lotdb-core[cli]'" in done.stderr
