"""The distributions fit together, and what is written about them agrees."""

import re
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import lotdb

ROOT = Path(__file__).parents[2]
FOLDERS = {
    "lotdb": ROOT,
    "lotdb-core": ROOT / "lotdb-core",
    "lotdb-backend-blob": ROOT / "lotdb-backend-blob",
    "lotdb-backend-zarr": ROOT / "lotdb-backend-zarr",
    "lotdb-ingest": ROOT / "lotdb-ingest",
}
PROJECTS = {
    name: tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for name, folder in FOLDERS.items()
}
VERSION = PROJECTS["lotdb"]["version"]
CORE = "lotdb-core>=2.0,<3"  # the hooks stay as they are within a major version


each_distribution = pytest.mark.parametrize("name", FOLDERS)


@each_distribution
def test_name_and_version_are_those_of_the_release(name):
    # The meta distribution is not installed.
    version = VERSION if name == "lotdb" else distribution(name).version
    assert (PROJECTS[name]["name"], version) == (name, VERSION)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_version_is_written_once_in_a_package(name):
    written = re.compile(rf"[\"']{re.escape(VERSION)}[\"']")
    files = [FOLDERS[name] / "pyproject.toml", *(path for path in FOLDERS[name].glob("src/**/*.py"))]
    assert sum(len(written.findall(path.read_text(encoding="utf-8"))) for path in files) == 1


def test_the_core_says_its_version():
    assert lotdb.__version__ == VERSION


def test_the_meta_distribution_installs_the_four_and_the_command_line():
    the_four = {f"{name}=={VERSION}" for name in FOLDERS if name != "lotdb"}
    the_four = {line.replace("lotdb-core", "lotdb-core[cli]") for line in the_four}
    assert set(PROJECTS["lotdb"]["dependencies"]) == the_four


def test_the_extras_of_lotdb_1_are_still_there():
    assert {"io", "measurements"} <= PROJECTS["lotdb"]["optional-dependencies"].keys()


@pytest.mark.parametrize("name", [name for name in FOLDERS if name != "lotdb"])
def test_plugin_packages_depend_on_the_core_alone(name):
    ours = [line for line in PROJECTS[name].get("dependencies", []) if line.startswith("lotdb")]
    assert ours == ([] if name == "lotdb-core" else [CORE])
    assert name == "lotdb-core" or Requirement(CORE).specifier.contains(VERSION)


@each_distribution
def test_python_versions_are_the_same_everywhere(name):
    assert PROJECTS[name]["requires-python"] == PROJECTS["lotdb"]["requires-python"]


@each_distribution
def test_readme_says_how_to_install_it(name):
    readme = (FOLDERS[name] / "README.md").read_text(encoding="utf-8")
    assert re.search(rf"pip install \"?{name}\b(?!-)", readme)


@each_distribution
def test_licence_lies_in_the_folder(name):
    assert (FOLDERS[name] / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_changelog_names_the_version():
    assert re.search(rf"\b{re.escape(VERSION)}\b", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
