"""The five distributions move in lockstep, and what is written about them agrees."""

import re
import tomllib
from pathlib import Path

import pytest

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

each_distribution = pytest.mark.parametrize("name", FOLDERS)


@each_distribution
def test_name_and_version_are_those_of_the_release(name):
    assert (PROJECTS[name]["name"], PROJECTS[name]["version"]) == (name, VERSION)


@each_distribution
def test_dependencies_on_each_other_are_pinned_to_this_version(name):
    project = PROJECTS[name]
    optional = project.get("optional-dependencies", {}).values()
    requirements = [*project.get("dependencies", []), *(line for extra in optional for line in extra)]
    ours = [line for line in requirements if line.startswith("lotdb")]
    pinned = re.compile(rf"[a-z-]+(\[\w+\])?=={re.escape(VERSION)}")
    assert [line for line in ours if not pinned.fullmatch(line)] == []


def test_the_meta_distribution_installs_the_four():
    the_four = {f"{name}=={VERSION}" for name in FOLDERS if name != "lotdb"}
    assert set(PROJECTS["lotdb"]["dependencies"]) == the_four


def test_the_extras_of_lotdb_1_are_still_there():
    assert {"io", "measurements"} <= PROJECTS["lotdb"]["optional-dependencies"].keys()


@pytest.mark.parametrize("name", [name for name in FOLDERS if name != "lotdb"])
def test_plugin_packages_depend_on_the_core_alone(name):
    ours = [line for line in PROJECTS[name].get("dependencies", []) if line.startswith("lotdb")]
    assert ours == ([] if name == "lotdb-core" else [f"lotdb-core=={VERSION}"])


@each_distribution
def test_python_versions_are_the_same_everywhere(name):
    assert PROJECTS[name]["requires-python"] == PROJECTS["lotdb"]["requires-python"]


@each_distribution
def test_readme_says_how_to_install_it(name):
    readme = (FOLDERS[name] / "README.md").read_text(encoding="utf-8")
    assert re.search(rf"^\s*pip install \"?{name}\b(?!-)", readme, re.MULTILINE)


@each_distribution
def test_licence_lies_in_the_folder(name):
    assert (FOLDERS[name] / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_changelog_names_the_version():
    assert re.search(rf"\b{re.escape(VERSION)}\b", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))


def test_versions_written_in_sources_agree():
    literal = re.compile(r"^__version__(?:: \w+)? = [\"'](.+)[\"']", re.MULTILINE)
    sources = [path for folder in FOLDERS.values() for path in folder.glob("src/**/*.py")]
    found = {path: literal.findall(path.read_text(encoding="utf-8")) for path in sources}
    assert {path: versions for path, versions in found.items() if set(versions) - {VERSION}} == {}
