"""Formats that the user names: an ingester of that format reads the file, or it is an error."""

import re
import warnings

import numpy as np
import pytest

from lotdb import BaseNode, DataNode, Ingested, IngestError, InvalidOptionError, Plugins, hookimpl


class TakesAll:
    """It reads any file, and does not say which formats it reads."""

    @hookimpl(trylast=True)
    def lotdb_ingest_file(self, source):
        return Ingested(source.file.read(), format="any")


class TakesAllCalledMine(TakesAll):
    @hookimpl
    def lotdb_get_ingest_formats(self):
        return ["Mine"]


class Fails(TakesAllCalledMine):
    @hookimpl
    def lotdb_get_ingest_formats(self):
        raise OSError("no list")


class WithoutHdf5(Plugins):
    """What is installed, but for the ingester of HDF5."""

    def ingesters(self, hook):
        return [(name, function) for name, function in super().ingesters(hook) if "hdf5" not in name]


class OnlyThese(Plugins):
    """None of those that are installed."""

    def _load_all(self, group):
        pass


def node_with(*plugins, of=Plugins):
    found = of()
    for number, plugin in enumerate(plugins):
        found.register(plugin, name=f"acme{number}")
    return DataNode("node", plugins=found)


@pytest.fixture
def file(tmp_path):
    (tmp_path / "a.foo").write_bytes(b"hello")
    return tmp_path / "a.foo"


@pytest.mark.parametrize("format", ["xyz", "XYZ", "foo", "zar"])
def test_a_named_format_that_nobody_reads_is_an_error_that_lists_those_that_are(file, format):
    node = DataNode("node")
    node.write_data("before")
    about = (
        rf"as {format.lower()}: .*no installed ingester reads \(there are: .*csv.*h5.*raw.*wav.*format='raw'"
    )
    with pytest.raises(IngestError, match=about):
        node.attach_file(file, format=format)
    assert (node.read_data(), list(node.attrs)) == ("before", ["data"])


@pytest.mark.parametrize("format", ["raw", "RAW", "bin", "dat"])
def test_what_is_named_as_bytes_is_kept(file, format):
    payload = DataNode("node").attach_file(file, format=format)
    assert (payload.read(), payload.metadata.get("hint")) == (b"hello", None)


@pytest.mark.parametrize("format", [None, "", "auto", "Auto"])
def test_if_none_is_named_the_bytes_are_kept(file, format):
    payload = DataNode("node").attach_file(file, format=format)
    assert payload.read() == b"hello"
    assert "its bytes were kept" in payload.metadata["hint"]


@pytest.mark.parametrize(
    ("format", "package"), [("hdf5", '"lotdb-ingest[hdf5]"'), ("zarr", "lotdb-backend-zarr")]
)
def test_a_package_that_reads_it_is_named(file, format, package):
    node = node_with(of=WithoutHdf5)
    command = re.escape(f"pip install {package}") + "$"
    with pytest.raises(IngestError, match=rf"as {format}: .*{command}"):
        node.attach_file(file, format=format)
    with pytest.raises(InvalidOptionError, match=rf"'{format}'.*{command}"):
        BaseNode("root", plugins=node._tree.plugins).ingest_tree(file.parent, format=format)


def test_an_ingester_that_is_switched_off_is_named(file):
    node = DataNode("node", plugins=Plugins(off=["npy"]))
    with pytest.raises(IngestError, match=r"as npy: .*switched off: 'npy'; to use one"):
        node.attach_file(file, format="npy")


def test_a_folder_is_refused_before_its_first_file(file):
    (file.parent / "b.npy").write_bytes(b"")
    root, seen = BaseNode("root"), []
    with pytest.raises(InvalidOptionError, match=r"format is 'xyz', which no installed .*there are: .*csv"):
        root.ingest_tree(file.parent, format="XYZ", progress=lambda *about: seen.append(about))
    assert (list(root), seen) == ([], [])
    report = root.ingest_tree(file.parent, "{name}.foo", format="raw")
    assert (report.added, report.failed) == (["a.foo"], {})


def test_an_ingester_of_any_file_is_asked_for_the_formats_that_it_names(file):
    node = node_with(TakesAllCalledMine(), of=OnlyThese)
    assert node.attach_file(file, format="mine").read() == b"hello"
    assert node.attach_file(file).read() == b"hello"
    with pytest.raises(IngestError, match=r"there are: mine\)"):
        node.attach_file(file, format="xyz")


@pytest.mark.parametrize("plugin", [TakesAll(), Fails()])
def test_one_that_names_none_is_asked_for_all(file, plugin):
    node = node_with(plugin, of=OnlyThese)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        assert node.attach_file(file, format="xyz").read() == b"hello"
        root = BaseNode("root", plugins=node._tree.plugins)
        assert root.ingest_tree(file.parent, "{name}.foo", format="xyz").added == ["a.foo"]
    said = {str(each.message) for each in seen}
    expected = "lotdb_get_ingest_formats of acme0 failed: OSError('no list')"
    assert said == ({expected} if isinstance(plugin, Fails) else set())


def test_what_is_written_is_also_read():
    plugins = Plugins()
    said = plugins.ingest_formats()
    for name, function in plugins.ingesters("lotdb_get_export_formats"):
        assert set(function()) <= said[name], name
    reading = {name for name, _ in plugins.ingesters("lotdb_ingest_file") if name in said}
    assert reading == said.keys()


def test_each_of_our_formats_is_read_by_its_ingester_and_kept_by_no_other(tmp_path):
    (tmp_path / "x").write_bytes(b"\x00 nothing of the kind")
    said = Plugins().ingest_formats()
    raw = said.pop("lotdb.ingester:raw")
    for format in sorted(set().union(*said.values()) - {"text", "txt", "md", "log", "csv", "tsv", "tab"}):
        with pytest.raises(IngestError, match=f"as {format}: "):
            DataNode("node").attach_file(tmp_path / "x", format=format)
    assert raw == {"raw", "bin", "dat"}
    np.save(tmp_path / "y.npy", np.arange(3))
    assert DataNode("node").attach_file(tmp_path / "y.npy", format="NPY").read().tolist() == [0, 1, 2]
