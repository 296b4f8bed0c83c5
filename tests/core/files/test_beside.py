"""Files that belong together, and files that are read by name."""

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tests.core.files.rig_plugin import InstalledOnce, numbers, rig, with_rigs

from lotdb import BaseNode, DataNode, Ingested, IngestError, InvalidOptionError, SourceFile, hookimpl


class Pairs:
    """Files of suffix .hea: its text is the name of the file with the numbers, or nothing for .dat."""

    required = True
    by_name = False

    @hookimpl
    def lotdb_ingest_file(self, source):
        if source.format != "hea":
            return None
        name = source.file.read().decode() or ".dat"
        other = source.beside(name, required=self.required)
        assert source.beside(name, required=self.required) is other
        if other is None:
            return Ingested(np.zeros(0, "u1"), format="hea")
        content = other.as_path().read_bytes() if self.by_name else other.file.read()
        return Ingested(np.frombuffer(content, "u1"), format="hea")


def data_node(plugin=None):
    plugins = InstalledOnce()
    plugins.register(plugin or Pairs(), name="pairs")
    return DataNode("node", plugins=plugins)


@pytest.fixture
def pair(tmp_path):
    (tmp_path / "rec.hea").write_bytes(b"")
    (tmp_path / "rec.dat").write_bytes(b"\1\2\3")
    long_ago(tmp_path)
    return tmp_path / "rec.hea"


def long_ago(folder):
    """Files that have just been written may be written again without another time."""
    for path in folder.iterdir():
        os.utime(path, (1_000_000, 1_000_000))


def test_a_file_beside_is_read_and_noted(pair):
    payload = data_node().attach_file(pair)
    assert payload.read().tolist() == [1, 2, 3]
    about = payload.metadata["_source_beside"]["rec.dat"]
    assert about["_source_size_bytes"] == 3
    assert len(about["_source_sha256"]) == 64


def test_whether_a_file_beside_is_required_is_true_or_false(pair):
    plugin = Pairs()
    plugin.required = "no"
    with pytest.raises(InvalidOptionError, match="required is 'no'; use True or False"):
        data_node(plugin).attach_file(pair)


@pytest.mark.parametrize("by_name", [False, True])
def test_a_change_of_a_file_beside_is_no_unchanged_file(pair, by_name):
    plugin = Pairs()
    plugin.by_name = by_name
    node = data_node(plugin)
    node.attach_file(pair, skip_unchanged=True)
    before = node._tree.version
    node.attach_file(pair, skip_unchanged=True)
    assert node._tree.version == before
    pair.with_name("rec.dat").write_bytes(b"\3\2\1")
    assert node.attach_file(pair, skip_unchanged=True).read().tolist() == [3, 2, 1]


def test_nor_is_one_of_a_folder(pair):
    root = BaseNode("root", plugins=data_node()._tree.plugins)
    root.ingest_tree(pair.parent, "{name}.hea")
    assert root.ingest_tree(pair.parent, "{name}.hea").unchanged == ["rec.hea"]
    pair.with_name("rec.dat").write_bytes(b"\3\2\1")
    assert root.ingest_tree(pair.parent, "{name}.hea").replaced == ["rec.hea"]
    assert root["rec"].read_data().tolist() == [3, 2, 1]


def test_an_optional_file_that_appears_or_goes_is_noticed(pair):
    plugin = Pairs()
    plugin.required = False
    node = data_node(plugin)
    other = pair.with_name("rec.dat")
    for content in (b"\1\2\3", None, b"\1"):
        other.unlink(missing_ok=True)
        if content is not None:
            other.write_bytes(content)
        assert node.attach_file(pair, skip_unchanged=True).read().tolist() == list(content or b"")
        root = BaseNode("root", plugins=node._tree.plugins)
        long_ago(pair.parent)
        root.ingest_tree(pair.parent, "{name}.hea")
        assert root.ingest_tree(pair.parent, "{name}.hea").unchanged == ["rec.hea"]


def test_a_missing_file_is_an_error_that_names_both(pair):
    pair.with_name("rec.dat").unlink()
    node = data_node()
    with pytest.raises(IngestError, match=r"rec\.hea' as hea: .*'rec\.hea' .*'rec\.dat', which is missing"):
        node.attach_file(pair)
    assert list(node.attrs) == []


@pytest.mark.parametrize(
    "name",
    ["../secret", "sub/../../secret", "/etc/passwd", "..", ".", "sub\\..\\..\\secret", "C:secret", "a\0"],
)
def test_no_file_elsewhere_is_opened(tmp_path, name):
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (tmp_path / "secret").write_bytes(b"secret")
    (folder / "rec.hea").write_bytes(name.encode())
    with pytest.raises(IngestError, match=r"rec\.hea' as hea: "):
        data_node().attach_file(folder / "rec.hea")


def test_no_folder_that_is_a_link_is_entered(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x.dat").write_bytes(b"\1")
    (tmp_path / "in" / "sub").symlink_to(tmp_path / "out")
    (tmp_path / "in" / "rec.hea").write_bytes(b"sub/x.dat")
    with pytest.raises(IngestError, match=r"'sub', in which 'sub/x\.dat' should be, is a link"):
        data_node().attach_file(tmp_path / "in" / "rec.hea")


def test_a_file_in_a_folder_below_may_be_named(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "x.dat").write_bytes(b"\1")
    (tmp_path / "rec.hea").write_bytes(b"sub/x.dat")
    payload = data_node().attach_file(tmp_path / "rec.hea")
    assert payload.read().tolist() == [1]
    assert list(payload.metadata["_source_beside"]) == ["sub/x.dat"]


def test_a_suffix_may_be_in_capitals(tmp_path):
    (tmp_path / "REC.HEA").write_bytes(b"")
    (tmp_path / "REC.DAT").write_bytes(b"\1")
    node = data_node()
    assert node.attach_file(tmp_path / "REC.HEA").read().tolist() == [1]
    long_ago(tmp_path)
    root = BaseNode("root", plugins=node._tree.plugins)
    root.ingest_tree(tmp_path, "{name}.hea")
    assert root.ingest_tree(tmp_path, "{name}.hea").unchanged == ["REC.HEA"]


def test_what_is_no_regular_file_is_refused(pair):
    pair.with_name("rec.dat").unlink()
    os.mkfifo(pair.with_name("rec.dat"))
    with pytest.raises(IngestError, match=r"rec\.hea' as hea: .*'rec\.dat'.*not a regular file"):
        data_node().attach_file(pair)


def test_all_files_together_are_limited(pair):
    pair.with_name("rec.dat").write_bytes(bytes(100))
    with pytest.raises(IngestError, match=r"together with 'rec\.dat' it has 100 bytes, the limit is 99"):
        data_node().attach_file(pair, max_bytes=99)
    assert data_node().attach_file(pair, max_bytes=100).shape == (100,)


@pytest.mark.parametrize("by_name", [False, True])
def test_a_file_beside_that_changes_while_it_is_read_is_refused(pair, by_name):
    class Slow(Pairs):
        @hookimpl
        def lotdb_ingest_file(self, source):
            answer = super().lotdb_ingest_file(source)
            other = pair.with_name("rec.dat")
            if by_name:  # another file under the same name
                other.with_suffix(".new").write_bytes(b"\3\2\1")
                os.replace(other.with_suffix(".new"), other)
            else:
                other.write_bytes(b"\3\2\1\0")
            return answer

    plugin = Slow()
    plugin.by_name = by_name
    node = data_node(plugin)
    with pytest.raises(IngestError, match=r"'rec\.dat' beside it changed while it was read"):
        node.attach_file(pair)
    assert list(node.attrs) == []


def test_files_beside_that_blocks_ask_for_are_noted_and_watched(tmp_path):
    (tmp_path / "x.rig").write_bytes(
        rig(
            payloads={"a": numbers(1)},
            children={"b": {"payloads": {"": {"from": ".dat"}}}},
        )
    )
    (tmp_path / "x.dat").write_bytes(b"\1\2")
    node = DataNode("node", plugins=with_rigs())
    payload = node.attach_file(tmp_path / "x.rig")
    for each in (payload, node["b"].get_data()):
        assert list(each.metadata["_source_beside"]) == ["x.dat"]
    (tmp_path / "x.dat").write_bytes(b"\3")
    node.attach_file(tmp_path / "x.rig", skip_unchanged=True)
    assert node["b"].read_data().tolist() == [3]


# -- files that are read by name -------------------------------------------------------------------


def test_the_path_of_a_file_is_its_own(tmp_path):
    seen = []

    class ByName(Pairs):
        @hookimpl
        def lotdb_ingest_file(self, source):
            seen.append(source.as_path())
            return Ingested(source.as_path().read_bytes(), format="hea") if source.format == "hea" else None

    (tmp_path / "rec.hea").write_bytes(b"abc")
    assert data_node(ByName()).attach_file(tmp_path / "rec.hea").read() == b"abc"
    assert seen == [tmp_path / "rec.hea"]


def in_memory(tmp_path):
    return io.BytesIO(b"abc")


def in_an_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("rec.hea", b"abc")
    return zipfile.ZipFile(tmp_path / "a.zip").open("rec.hea")


def of_another_name(tmp_path):
    (tmp_path / "renamed").write_bytes(b"abc")
    return (tmp_path / "renamed").open("rb")


@pytest.mark.parametrize("opened", [in_memory, in_an_archive, of_another_name])
def test_what_has_no_path_is_copied_and_the_copy_goes(tmp_path, opened):
    (tmp_path / "rec.dat").write_bytes(b"\1")
    with opened(tmp_path) as file:
        source = SourceFile(tmp_path / "rec.hea", file, 3, "hea")
        file.read(1)
        path = source.as_path()
        assert (path.name, path.read_bytes(), file.tell()) == ("rec.hea", b"abc", 1)
        assert source.as_path() == path
        assert source.beside(".dat").as_path() == tmp_path / "rec.dat"
        source._together.close()
    assert not path.exists()
    assert not path.parent.exists()


def test_the_copy_goes_when_nobody_has_the_source_any_more(tmp_path):
    path = SourceFile(tmp_path / "rec.hea", io.BytesIO(b"abc"), 3, "hea").as_path()
    assert not Path(path).exists()
