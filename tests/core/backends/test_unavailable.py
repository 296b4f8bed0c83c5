"""A store that cannot be reached, or may not be read, is neither damage nor a backend that failed."""

import errno
import io
import os
import runpy
import urllib.error
from email.message import Message
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lotdb import DamagedError, FileSystemError, LotdbError, PluginError, UnavailableError

raw_backend = runpy.run_path(str(Path(__file__).with_name("raw_backend.py")))
RawBackend: Any = raw_backend["RawBackend"]
fresh, opened = raw_backend["fresh"], raw_backend["opened"]


class Failing(RawBackend):
    error = None

    def answer(self, locator):
        if self.error is not None:
            raise self.error

    def write(self, locator, array, options):
        self.answer(locator)
        super().write(locator, array, options)


class OfTheirOwn(LotdbError, OSError):
    """What a plugin may have made up for it."""


def caused(error, cause):
    error.__cause__ = cause
    return error


REFUSED = {
    "connection": ConnectionError("try later"),
    "reset": ConnectionResetError(errno.ECONNRESET, "reset by peer"),
    "permission": PermissionError("not for you"),
    "denied": PermissionError(errno.EACCES, "denied", "a file"),
    "timeout": TimeoutError(),
    "busy": BlockingIOError(errno.EAGAIN, "locked"),
    "I/O": OSError(errno.EIO, "Input/output error"),
    "stale": OSError(errno.ESTALE, "Stale file handle"),
    "name": OSError(-2, "Name or service not known"),  # as socket.gaierror has it
    "HTTP 503": urllib.error.HTTPError("http://x", 503, "busy", Message(), io.BytesIO()),
    "HTTP 403": urllib.error.HTTPError("http://x", 403, "forbidden", Message(), io.BytesIO()),
    "caught": caused(DamagedError("cannot be read"), ConnectionRefusedError(errno.ECONNREFUSED, "refused")),
    "wrapped": caused(RuntimeError("of a library"), TimeoutError("timed out")),
    "said": UnavailableError("try later"),
}


@pytest.fixture
def backend():
    return fresh(Failing)


@pytest.fixture
def db(tmp_path, backend):
    with opened(tmp_path / "db", backend) as db:
        with db.connection() as root:
            for key in "abc":
                root.get_data_node(key).write_data(np.arange(100_000))
            root.get_data_node("here").write_data(np.arange(50_000), backend="blob")
        yield db


@pytest.mark.sampled(4)
@pytest.mark.parametrize("error", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_reached_is_unavailable_and_no_damage(db, backend, error):
    backend.error = error
    with db.connection() as root:
        for read in (lambda node: node.read_data(), lambda node: node.read_data(5, 9)):
            with pytest.raises(UnavailableError, match="payload 'data' of node 'a'") as caught:
                read(root["a"])
            assert isinstance(caught.value, OSError)
            assert not isinstance(caught.value, DamagedError)
            assert "None" not in str(caught.value)
        with pytest.warns(RuntimeWarning, match="payload 'data' of 'a' and 2 more were not verified"):
            assert db.verify() == []
        with pytest.raises(UnavailableError):
            root["a"].compact_data(backend="blob")
    backend.error = None
    with db.connection() as root:
        assert root["a"].read_data(5, 9).tolist() == [5, 6, 7, 8]
    assert db.verify() == []


def test_an_error_of_a_plugins_own_is_no_damage_either(db, backend):
    backend.error = OfTheirOwn("try later")
    with db.connection() as root, pytest.raises(OfTheirOwn):
        root["a"].read_data()
    with pytest.warns(RuntimeWarning, match="were not verified: .*try later"):
        assert db.verify() == []


def test_what_is_damaged_beside_it_is_still_found(db, backend):
    with db.connection() as root:
        ((path, _),) = root["here"].get_data().segments()[0].files
        os.chmod(path, 0o644)
        Path(path).write_bytes(b"\x93NUMPY")
    backend.error = ConnectionError("try later")
    with pytest.warns(RuntimeWarning, match="not verified"):
        assert [damage.path for damage in db.verify()] == ["here"]


@pytest.mark.parametrize("error", [OSError("odd bytes"), KeyError("no such key"), ValueError("bad header")])
def test_what_says_nothing_of_the_way_is_damage(db, backend, error):
    backend.error = error
    with db.connection() as root, pytest.raises(DamagedError):
        root["a"].read_data()
    assert [damage.path for damage in db.verify()] == ["a", "b", "c"]


def test_a_file_that_is_gone_is_damage(db, backend, tmp_path):
    backend.error = FileNotFoundError(errno.ENOENT, "no such file")
    with db.connection() as root, pytest.raises(DamagedError):
        root["a"].read_data()
    assert len(db.verify()) == 3


def test_what_the_system_lacks_is_said_as_before(db, backend):
    backend.error = OSError(errno.EMFILE, "Too many open files")
    with db.connection() as root, pytest.raises(FileSystemError) as caught:
        root["a"].read_data()
    assert type(caught.value) is FileSystemError
    with pytest.raises(FileSystemError, match="was not verified"):
        db.verify()


def test_what_a_library_lacks_is_said_as_before(db, backend):
    backend.error = AttributeError("gone with the last release")
    with db.connection() as root, pytest.raises(PluginError):
        root["a"].read_data()


def test_a_write_that_does_not_get_through_is_unavailable(db, backend):
    root = db.open_connection()
    backend.error = ConnectionError("try later")
    with pytest.raises(UnavailableError, match=r"backend 'raw' cannot write.*try later"):
        root["a"].write_data(np.zeros(1_000_000))
    backend.error = None
    assert root["a"].read_data()[5] == 5
    db.commit()


def test_a_store_that_cannot_be_opened_is_unavailable(tmp_path, db, backend):
    def refuse(self, context):
        raise PermissionError("not for you")

    closed = type("Closed", (backend,), {"__init__": refuse})
    db.close()
    with opened(tmp_path / "db", closed) as again:
        with again.connection() as root, pytest.raises(UnavailableError, match="'raw' cannot be opened"):
            root["a"].read_data()
        with pytest.warns(RuntimeWarning, match="payload 'data' of 'a' and 2 more were not verified"):
            assert again.verify() == []
