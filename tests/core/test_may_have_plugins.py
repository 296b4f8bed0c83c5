"""The quick look whether any plugin is installed: it never misses one that importlib_metadata finds."""

import sys
import zipfile

import pytest

from lotdb import extras
from lotdb.interfaces.installed import look_up

POINTS = "[console_scripts]\nx = y:z\n\n[lotdb.of_a_test]\nlab = lab_of_a_test\n"


def install(folder, info="lab-1.0.dist-info", points=POINTS):
    (folder / info).mkdir(parents=True)
    name = "PKG-INFO" if info.upper().startswith("EGG") or info.endswith("egg-info") else "METADATA"
    (folder / info / name).write_text("Metadata-Version: 2.1\nName: lab\nVersion: 1.0\n")
    if points is not None:
        (folder / info / "entry_points.txt").write_text(points)


@pytest.fixture
def path(tmp_path, monkeypatch):
    def on_path(place):
        monkeypatch.setattr(sys, "path", [str(place), *sys.path])

    return on_path


@pytest.mark.parametrize("info", ["lab-1.0.dist-info", "lab-1.0.egg-info", "Lab-1.0.DIST-INFO"])
def test_what_is_installed_in_a_folder_is_found(tmp_path, path, info):
    path(tmp_path)
    assert look_up("lotdb.of_a_test") == ()
    other = tmp_path / "other"
    install(other, info)
    path(other)
    assert [point.name for point in look_up("lotdb.of_a_test")] == ["lab"]


def test_an_egg_and_an_archive_are_looked_into(tmp_path, path):
    egg = tmp_path / "lab-1.0.egg"
    install(egg, "EGG-INFO")
    path(egg)
    assert [point.name for point in look_up("lotdb.of_a_test")] == ["lab"]
    archive = tmp_path / "lab.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("lab-2.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: lab_in_zip\nVersion: 2.0\n")
        file.writestr("lab-2.0.dist-info/entry_points.txt", POINTS)
    sys.path[0] = str(archive)
    assert [point.name for point in look_up("lotdb.of_a_test")] == ["lab"]


def test_a_finder_of_its_own_is_asked(monkeypatch):
    class Finder:
        @staticmethod
        def find_spec(name, path=None, target=None):
            return None

        @staticmethod
        def find_distributions(context=None):
            return iter(())

    assert extras.distributions_with("lotdb.of_a_test") == []
    monkeypatch.setattr(sys, "meta_path", [Finder, *sys.meta_path])
    assert extras.distributions_with("lotdb.of_a_test") is None


def test_what_cannot_be_read_is_left_to_importlib(tmp_path, path, monkeypatch):
    install(tmp_path)
    path(tmp_path)

    def fail(*about, **more):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(extras, "_content", fail)
    assert extras.distributions_with("lotdb.of_another_test") is None


@pytest.mark.parametrize("info", ["Lab.Of_a-1.0.dist-info", "lab_of_a-1.0.egg-info", "lab-1.0.dist-info"])
def test_the_distribution_that_comes_first_on_the_path_hides_others_of_its_name(tmp_path, path, info):
    install(tmp_path / "later", info)
    path(tmp_path / "later")
    assert [point.name for point in look_up("lotdb.of_a_test")] == ["lab"]
    install(tmp_path / "first", info, points="[lotdb.of_a_test]\nanother = lab_of_a_test\n")
    path(tmp_path / "first")
    assert [point.name for point in look_up("lotdb.of_a_test")] == ["another"]
    install(tmp_path / "before", info, points=None)
    path(tmp_path / "before")
    assert look_up("lotdb.of_a_test") == ()


@pytest.mark.parametrize("entry", ["missing", ""])
def test_whatever_is_on_the_path_is_no_error(tmp_path, monkeypatch, path, entry):
    monkeypatch.chdir(tmp_path)
    install(tmp_path, points=None)
    monkeypatch.setattr(sys, "path", [entry, *sys.path])
    assert look_up("lotdb.of_a_test") == ()
