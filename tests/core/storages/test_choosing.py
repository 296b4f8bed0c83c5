"""Which storage a database is in: by its marker, by its URL, or as a user says."""

import json
import os

import pytest

from lotdb import (
    LOTDB,
    DamagedError,
    DatabaseBusyError,
    DatabaseExistsError,
    DatabaseFormatError,
    DatabaseNotFoundError,
    InvalidOptionError,
    MissingPluginError,
    PluginError,
    Plugins,
    Storage,
    convert,
    hookimpl,
)
from lotdb.database.choosing import without_password
from lotdb.segments.memory import MemoryBackend


class Folder(Storage):
    """A storage over a data file of ZODB's, in a folder of its own."""

    name = "folder"
    opened_with = None

    def open(self):
        from ZODB.FileStorage import FileStorage

        type(self).opened_with = self.context
        folder = self.context.folder / f"{self.context.name}.folder"
        if self.context.exists and not folder.is_dir():
            raise DamagedError(f"{folder} is missing")
        folder.mkdir(exist_ok=True)
        return FileStorage(str(folder / "data.fs"), read_only=self.context.read_only)

    def pack(self, keep, references):
        pass

    def tree_bytes(self):
        return 0


class Served(Folder):
    name = "served"
    marks_folder = False

    def open(self):
        from ZODB.MappingStorage import MappingStorage

        type(self).opened_with = self.context
        return MappingStorage()


class Stored(MemoryBackend):
    name = "stored"


class StoredPlugin:
    @hookimpl
    def lotdb_get_backend(self, name):
        return Stored if name == "stored" else None


def plugins_with(*classes):
    class Plugin:
        @hookimpl
        def lotdb_get_storage(self, name):
            return next((each for each in classes if each.name == name), None)

    plugins = Plugins()
    plugins.register(Plugin())
    return plugins


PLUGINS = plugins_with(Folder, Served)


def test_a_folder_says_what_it_is(tmp_path):
    with LOTDB(tmp_path, storage="folder", new=True, plugins=PLUGINS) as db, db.connection() as root:
        root.get_node("a")
    marker = json.loads((tmp_path / "lotdb.fs.lotdb").read_bytes())
    assert marker == {"format": 2, "product": "lotdb", "storage": "folder"}
    for options in ({}, {"storage": "folder"}, {"read_only": True}):
        with LOTDB(tmp_path, plugins=PLUGINS, **options) as db, db.connection() as root:
            assert "a" in root
        assert Folder.opened_with.exists


def test_a_folder_in_a_data_file_has_the_marker_that_it_always_had(tmp_path):
    LOTDB(tmp_path, storage="file").close()
    assert (tmp_path / "lotdb.fs.lotdb").read_bytes() == b'{"format": 1, "product": "lotdb"}\n'
    LOTDB(tmp_path).close()


def test_another_storage_than_the_databases_is_refused(tmp_path):
    LOTDB(tmp_path / "folder", storage="folder", plugins=PLUGINS).close()
    LOTDB(tmp_path / "file").close()
    with pytest.raises(InvalidOptionError, match=r"is a database in storage 'folder'.*leave out storage="):
        LOTDB(tmp_path / "folder", storage="file", plugins=PLUGINS)
    with pytest.raises(DatabaseFormatError, match="is not a database in storage 'folder'"):
        LOTDB(tmp_path / "file", storage="folder", plugins=PLUGINS)
    for name in ("folder", "file"):
        for storage in ("folder", "file"):
            with pytest.raises(DatabaseExistsError):
                LOTDB(tmp_path / name, new=True, storage=storage, plugins=PLUGINS)
        LOTDB(tmp_path / name, plugins=PLUGINS).close()


def test_what_is_missing_is_not_made_anew(tmp_path):
    LOTDB(tmp_path, storage="folder", plugins=PLUGINS).close()
    (tmp_path / "lotdb.fs.folder").rename(tmp_path / "elsewhere")
    with pytest.raises(DamagedError, match=r"lotdb\.fs\.folder is missing"):
        LOTDB(tmp_path, plugins=PLUGINS)
    (tmp_path / "elsewhere").rename(tmp_path / "lotdb.fs.folder")
    LOTDB(tmp_path, plugins=PLUGINS).close()


def test_payloads_without_their_database_are_left_alone(tmp_path):
    (tmp_path / "lotdb.fs.zarr").mkdir()
    with pytest.raises(DamagedError, match=r"lotdb\.fs\.folder is missing.*lotdb\.fs\.zarr"):
        LOTDB(tmp_path, storage="folder", plugins=PLUGINS)
    assert [each.name for each in tmp_path.iterdir()] == ["lotdb.fs.zarr"]


def test_nothing_is_created_for_reading(tmp_path):
    with pytest.raises(DatabaseNotFoundError):
        LOTDB(tmp_path / "new", storage="folder", read_only=True, plugins=PLUGINS)
    with pytest.raises(InvalidOptionError, match="do not go together"):
        LOTDB(tmp_path / "new", storage="folder", new=True, read_only=True, plugins=PLUGINS)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_storage_is_named(tmp_path):
    with pytest.raises(MissingPluginError, match=r"no storage named 'fild' .*did you mean 'file'"):
        LOTDB(tmp_path, storage="fild")
    (tmp_path / "lotdb.fs.lotdb").write_text('{"format": 2, "product": "lotdb", "storage": "unheard"}')
    with pytest.raises(MissingPluginError, match="no storage named 'unheard'"):
        LOTDB(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["lotdb.fs.lotdb"]


def test_a_store_for_arrays_in_place_of_a_database_is_told_where_it_goes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingPluginError, match=r"storage named 's3' .*payloads='s3://bucket/results'\)"):
        LOTDB("s3://me:secret@bucket/results")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("storage", ["", 5, b"file", ["file"]])
def test_a_storage_is_named_by_a_text(tmp_path, storage):
    with pytest.raises(InvalidOptionError, match="storage is"):
        LOTDB(tmp_path, storage=storage)


def test_a_storage_that_fails_is_named(tmp_path):
    class Failing(Folder):
        name = "failing"

        def __init__(self, context):
            raise KeyError("nothing works")

    with pytest.raises(PluginError, match=r"storage 'failing' failed to open.*nothing works"):
        LOTDB(tmp_path, storage="failing", plugins=plugins_with(Failing))


def test_a_storage_that_is_busy_is_waited_for(tmp_path):
    class Busy(Folder):
        name = "busy"
        tried = 0

        def open(self):
            type(self).tried += 1
            if self.tried < 3:
                raise DatabaseBusyError("in use")
            return super().open()

    with pytest.raises(DatabaseBusyError):
        LOTDB(tmp_path, storage="busy", plugins=plugins_with(Busy))
    LOTDB(tmp_path, storage="busy", timeout=30, plugins=plugins_with(Busy)).close()


def test_a_url_names_its_storage_and_no_password_gets_out(tmp_path):
    url = "served://me:secret@host:5/results?sslpassword=secret"
    with LOTDB(url, payloads=tmp_path / "shared", plugins=PLUGINS) as db:
        context = Served.opened_with
        assert context.url == url
        assert context.where == "served://me@host:5/results"
        assert context.folder == tmp_path / "shared"
        with db.connection() as root:
            assert "secret" not in repr(db) + str(db) + repr(root)
            assert root._tree.database._zodb.open().root()["payloads"] == str(tmp_path / "shared")
    with pytest.raises(InvalidOptionError, match="is a database in storage 'served'") as failed:
        LOTDB(url, storage="file", plugins=PLUGINS)
    assert "secret" not in str(failed.value)


@pytest.mark.parametrize(
    ("url", "right"),
    [
        ("file:///data/one", r"LOTDB\('/data/one'\)"),
        ("sqlite:////data/one", r"LOTDB\('/data/one', storage='sqlite'\)"),
        ("sqlite://one", r"LOTDB\('one', storage='sqlite'\)"),
        ("folder://u:secret@host/one", r"LOTDB\('host/one', storage='folder'\)"),
    ],
)
@pytest.mark.parametrize("how", [{}, {"new": True}, {"read_only": True}, {"payloads": "arrays"}])
def test_a_url_names_no_storage_in_a_folder(tmp_path, monkeypatch, url, right, how):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidOptionError, match=f"is a URL, and .* is a folder: open it as {right}"):
        LOTDB(url, plugins=plugins_with(Folder), **how)
    plugins = plugins_with(Folder)
    with LOTDB("source", plugins=plugins) as db, pytest.raises(InvalidOptionError, match="is a URL"):
        convert(db, url)
    assert os.listdir(tmp_path) == ["source"]


def test_the_place_for_payloads_of_a_folder_is_the_folder_or_a_store(tmp_path):
    with pytest.raises(InvalidOptionError, match="keeps its payloads in it"):
        LOTDB(tmp_path / "a", payloads=tmp_path / "b")
    for wrong in ("", 5, b"x"):
        with pytest.raises(InvalidOptionError, match="payloads is"):
            LOTDB(tmp_path / "a", payloads=wrong)
    plugins = Plugins()
    plugins.register(StoredPlugin())
    with LOTDB(tmp_path / "a", payloads="s3://key:secret@bucket/prefix/", plugins=plugins) as db:
        assert db._backends("stored").context.store == "s3://key:secret@bucket/prefix/lotdb.fs.stored"
    with LOTDB(tmp_path / "a", plugins=plugins) as db:  # credentials are not kept
        assert db._backends("stored").context.store == "s3://bucket/prefix/lotdb.fs.stored"


@pytest.mark.parametrize(
    "url", ["x://[", "x://a:b@[::1]:5/c", "x://u:p%40ss@h/d", "x://u:p@s@h/d?password=p#p"]
)
def test_no_form_of_url_keeps_a_password(url):
    shown = without_password(url)
    assert "p@" not in shown
    assert ":b@" not in shown
    assert "password" not in shown
    assert "ss@" not in shown


@pytest.mark.skipif(os.name != "posix", reason="a link in the path of a folder")
def test_all_of_a_database_lies_in_one_folder_when_its_path_goes_up_behind_a_link(tmp_path, monkeypatch):
    (tmp_path / "real" / "below").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real" / "below")
    monkeypatch.chdir(tmp_path)
    with LOTDB("link/../db") as db, db.connection() as root:
        root.get_data_node("data", backend="zarr").write_data(range(10))
    with LOTDB("db") as db, db.connection() as root:
        assert root["data"].read_data().tolist() == list(range(10))
    assert not (tmp_path / "real" / "db").exists()
