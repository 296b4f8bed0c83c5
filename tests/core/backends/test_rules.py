"""What a backend declares, and the core then does for it: settings, versions, the end of a pack, places."""

import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lotdb import (
    LOTDB,
    DatabaseFormatError,
    InvalidOptionError,
    MissingPluginError,
    PluginError,
    Plugins,
    ReadOnlyError,
    hookimpl,
)

raw_backend = runpy.run_path(str(Path(__file__).with_name("raw_backend.py")))
RawBackend: Any = raw_backend["RawBackend"]
fresh, opened = raw_backend["fresh"], raw_backend["opened"]

ARRAY = np.arange(300_000)


def use(folder, backend, **how):
    with opened(folder, backend, **how) as db, db.connection() as root:
        root.get_data_node("a").write_data(ARRAY)


# -- settings ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "zarr",
            r"backend 'zarr' has no setting 'stroe' \(it has: store, cache_bytes, record_bytes\); "
            r"did you mean 'store'\?",
        ),
        ("blob", r"backend 'blob' has no setting 'stroe' \(it has: store, cache_bytes, record_bytes\)"),
    ],
)
def test_a_setting_that_there_is_not_is_refused_at_once_with_the_nearest_name(tmp_path, name, message):
    with pytest.raises(InvalidOptionError, match=message):
        LOTDB(tmp_path / "new", backends={name: {"stroe": "x"}})
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_settings_are_looked_at_without_the_library_of_the_backend(tmp_path):
    code = """if True:
        import sys
        from lotdb import LOTDB
        LOTDB("db", backends={"zarr": {"store": "x"}}).close()
        assert "zarr" not in sys.modules
    """
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path).returncode == 0


def test_what_the_plugin_says_of_settings_is_what_the_class_has():
    plugins = Plugins()
    for name in ("blob", "zarr"):
        said = plugins._find("lotdb.backend", name, "lotdb_get_backend_settings")
        assert said == plugins.backend(name).settings


def test_a_registered_backend_looks_itself(tmp_path):
    class Other:
        @hookimpl
        def lotdb_get_backend(self, name):
            return fresh(name="blob", settings=("level",)) if name == "blob" else None

    plugins = Plugins()
    plugins.register(Other())
    with LOTDB(tmp_path, backends={"blob": {"level": 3}}, plugins=plugins) as db, db.connection() as root:
        assert root.get_data_node("a").write_data(ARRAY).backend == "blob"


@pytest.mark.parametrize(
    ("backend", "message"), [(RawBackend, r"backend 'raw' has no setting 'stroe' \(it has none\)")]
)
def test_a_setting_that_there_is_not_is_refused_when_the_backend_is_used(tmp_path, backend, message):
    with opened(tmp_path, backend, backends={backend.name: {"stroe": "x"}}) as db:
        with pytest.raises(InvalidOptionError, match=message), db.connection() as root:
            root.get_data_node("a").write_data(ARRAY)
        with db.connection() as root:
            assert not root.keys() or not root["a"].has_data()


def test_declared_settings_are_taken(tmp_path):
    backend = fresh(settings=("level", "place"))
    use(tmp_path, backend, backends={"raw": {"level": 3}})
    with (
        opened(tmp_path, backend, backends={"raw": {"levle": 3}}) as db,
        db.connection() as root,
        pytest.raises(InvalidOptionError, match=r"it has: level, place\); did you mean 'level'\?"),
    ):
        root["a"].read_data()


def test_a_class_that_looks_itself_is_left_to_it(tmp_path):
    def init(self, context):
        RawBackend.__init__(self, context)
        self.level = context.config["level"]

    with opened(tmp_path, fresh(__init__=init), backends={"raw": {"level": 3}}) as db:
        assert db._backends("raw").level == 3


def test_a_backend_that_changes_its_settings_does_not_change_what_the_user_gave(tmp_path):
    def init(self, context):
        RawBackend.__init__(self, context)
        context.config.pop("level")

    settings = {"raw": {"level": 3}}
    for _ in range(2):
        use(tmp_path, fresh(__init__=init, settings=("level",)), backends=settings)
    assert settings == {"raw": {"level": 3}}


# -- what is asked ------------------------------------------------------------------------------------

EMPTY = [np.zeros(0), np.zeros((0, 3)), np.zeros((3, 0)), np.zeros((2, 0, 4)), []]
LITTLE = [np.float32(1), 5, "", "text", b"", b"x", *EMPTY]


def test_of_nothing_nothing_is_asked(tmp_path):
    def checked(method):
        def check(self, locator, first_row, out):
            assert out.ndim > 0
            assert len(out) > 0
            assert out.nbytes > 0
            method(self, locator, first_row, out)

        return check

    def write(self, locator, array, options):
        assert array.ndim > 0
        assert array.nbytes > 0
        RawBackend.write(self, locator, array, options)

    backend = fresh(read_into=checked(RawBackend.read_into), write=write)
    with opened(tmp_path, backend) as db:
        with db.connection() as root:
            for number, data in enumerate(LITTLE):
                root.get_data_node("a").write_data(data, data_attribute=str(number))
        with db.connection() as root:
            for number, data in enumerate(LITTLE):
                payload = root["a"].get_data(str(number))
                read = payload.read()
                assert read == data if isinstance(data, str | bytes) else np.array_equal(read, data)
                if payload.kind == "array" and payload.shape:
                    assert len(payload.read(0, 0)) == len(payload[:0]) == 0
            assert root.compact_tree() == len(LITTLE)
        assert db.verify(history=True) == []
    assert backend.requests


# -- versions ----------------------------------------------------------------------------------------


def told(version):
    """A class of that version, and what its instances were told that the database has."""
    seen = []

    def init(self, context):
        RawBackend.__init__(self, context)
        seen.append(context.format_version)

    return fresh(format_version=version, __init__=init), seen


def test_the_first_version_notes_nothing(tmp_path):
    backend, seen = told(1)
    use(tmp_path, backend)
    with opened(tmp_path, backend) as db:
        connection = db._zodb.open()
        assert set(connection.root()) == {"lotdb", "id", "tree", "formats"}
        assert set(connection.root()["formats"]) == {"lotdb"}, "that of the core's own records, and no more"
        connection.close()
    assert seen == [1]


def test_a_newer_version_is_refused_and_an_older_one_is_told(tmp_path):
    third, seen = told(3)
    use(tmp_path, third)
    with opened(tmp_path, third, read_only=True) as db, db.connection() as root:
        assert np.array_equal(root["a"].read_data(), ARRAY)
    assert seen == [1, 3], "before its first write, and after it"
    second, _ = told(2)
    with opened(tmp_path, second) as db, db.connection() as root:
        for use_it in (lambda: root["a"].read_data(), lambda: root.get_data_node("b").write_data(ARRAY)):
            with pytest.raises(DatabaseFormatError, match=r"version 2 .* have version 3; install a newer"):
                use_it()
    fourth, seen = told(4)
    with opened(tmp_path, fourth) as db:
        with db.connection() as root:
            assert np.array_equal(root["a"].read_data(), ARRAY)
        assert seen == [3]
        with db.connection() as root:
            root["a"].write_data(ARRAY)
    with opened(tmp_path, third) as db, db.connection() as root, pytest.raises(DatabaseFormatError):
        root["a"].read_data()


def test_a_version_is_noted_with_the_data_or_not_at_all(tmp_path):
    second, _ = told(2)
    with opened(tmp_path, second) as db:
        root = db.open_connection()
        root.get_data_node("a").write_data(ARRAY)
        db.abort()
        root.get_data_node("b").attrs["x"] = 1
        db.commit()
    first, seen = told(1)
    use(tmp_path, first)
    assert seen == [1]


def test_the_kinds_of_payloads_of_others_are_not_concerned(tmp_path):
    second, _ = told(2)
    use(tmp_path, second)
    with opened(tmp_path, "blob") as db, db.connection() as root:
        root.get_data_node("b").write_data(ARRAY)
        assert np.array_equal(root["b"].read_data(), ARRAY)
        with pytest.raises(MissingPluginError):
            root["a"].read_data()


# -- the end of a pack -------------------------------------------------------------------------------


def test_a_backend_is_told_when_a_pack_has_ended(tmp_path):
    seen = []

    def after_pack(self):
        seen.append(len(list(self.locators())))

    backend = fresh(after_pack=after_pack)
    with opened(tmp_path, backend) as db:
        for _ in range(3):
            with db.connection() as root:
                root.get_data_node("a").write_data(ARRAY)
        assert seen == []
        db.pack()
        assert seen == [1], "when all that is not used has been deleted"
        db.pack()
        assert seen == [1, 1]


def test_a_backend_that_fails_after_a_pack_is_named(tmp_path):
    def after_pack(self):
        raise RuntimeError("no")

    with opened(tmp_path, fresh(after_pack=after_pack)) as db:
        with db.connection() as root:
            root.get_data_node("a").write_data(ARRAY)
        with pytest.raises(PluginError, match="backend 'raw'"):
            db.pack()
        with db.connection() as root:
            assert np.array_equal(root["a"].read_data(), ARRAY)


# -- places outside ----------------------------------------------------------------------------------


def test_nothing_outside_of_the_folder_is_ever_garbage(tmp_path):
    place = tmp_path / "elsewhere"

    def init(self, context):
        RawBackend.__init__(self, context)
        self.is_outside = True

    def path(self, locator):
        place.mkdir(exist_ok=True)
        return place / locator

    def locators(self):  # all that there is, as one would write it
        return [(path.name, path.stat().st_mtime) for path in place.glob("seg-*")]

    backend = fresh(__init__=init, path=path, locators=locators, write=write_outside)
    use(tmp_path / "one", backend)
    shutil.copytree(tmp_path / "one", tmp_path / "copy")
    with opened(tmp_path / "copy", backend) as db, db.connection() as root:
        root.get_data_node("b").write_data(ARRAY)
    with opened(tmp_path / "one", backend) as db:
        db.pack()
    with opened(tmp_path / "copy", backend) as db:
        assert db.verify() == []


def write_outside(self, locator, array, options):
    self.path(locator).write_bytes(array.tobytes())


def test_zarr_says_whether_its_store_is_outside(tmp_path):
    inside, outside = {}, {"backends": {"zarr": {"store": tmp_path / "x.zarr"}}}
    for how, is_outside in ((inside, False), (outside, True)):
        with opened(tmp_path / str(is_outside), "zarr", **how) as db:
            assert db._backends("zarr").is_outside is is_outside
            assert db._backends("zarr").concurrent_reads == 1, "both are local folders"
    import zarr.storage

    with opened(tmp_path / "memory", "zarr", backends={"zarr": {"store": zarr.storage.MemoryStore()}}) as db:
        with db.connection() as root:
            for number in range(5):
                root.get_data_node(f"{number}").write_data(ARRAY)
        with db.connection() as root:
            assert all(np.array_equal(node.read_data(), ARRAY) for node in root.values())
        assert db._backends("zarr").concurrent_reads > 1
        assert db.verify() == []


def test_reading_only_notes_nothing(tmp_path):
    first, _ = told(1)
    use(tmp_path, first)
    second, _ = told(2)
    with opened(tmp_path, second, read_only=True) as db, db.connection() as root:
        assert np.array_equal(root["a"].read_data(), ARRAY)
        with pytest.raises(ReadOnlyError):
            root["a"].write_data(ARRAY)
    with opened(tmp_path, first) as db, db.connection() as root:
        assert np.array_equal(root["a"].read_data(), ARRAY)
