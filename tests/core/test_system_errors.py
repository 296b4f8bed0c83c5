"""What the system cannot do is said as that, with its number, and never as damage."""

import errno
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from lotdb import LOTDB, FileSystemError

# Each use of a database with so many descriptors left: it works, or says what happened.
SCRIPT = """
import os, resource, sys, warnings
import numpy as np
from lotdb import LOTDB, LotdbError
left = int(sys.argv[2])
warnings.simplefilter("ignore")

def limited(use):
    free = os.open("/dev/null", os.O_RDONLY); os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + left, 4096))
    try:
        use()
    except LotdbError as error:
        assert isinstance(error, OSError) and error.errno == 24, repr(error)
        assert error.filename, repr(error)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))

def everything():
    with LOTDB(sys.argv[1]) as db:
        assert db.verify() == []
        with db.connection() as root:
            root.get_data_node("new").write_data(np.arange(9.0))
            root.get_data_node("zarr").write_data(np.arange(9.0), backend="zarr")
        db.pack()

limited(everything)
with LOTDB(sys.argv[1]) as db:
    assert db.verify() == []
    with db.connection() as root:
        for key in "ab":
            np.testing.assert_array_equal(root[key].read_data(), np.arange(5.0))
    def use():
        assert db.verify() == []
        with db.connection() as root:
            root.get_data_node("new").write_data(np.arange(9.0))
    limited(use)
    db.pack()
    assert db.verify() == []
"""


@pytest.mark.parametrize("left", [0, 1, 2, 3, 5, 8])
def test_too_many_open_files_is_what_is_said(tmp_path, left):
    with LOTDB(tmp_path / "db") as db, db.connection() as root:
        root.get_data_node("a").write_data(np.arange(5.0))
        root.get_data_node("b").write_data(np.arange(5.0), backend="zarr")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), str(tmp_path / "db"), str(left)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("code", [errno.EIO, errno.EMFILE, errno.ENOSPC])
def test_an_error_of_the_system_is_no_damage(tmp_path, monkeypatch, code):
    with LOTDB(tmp_path) as db:
        with db.connection() as root:
            root.get_data_node("a").write_data(np.arange(300_000.0))
        real = os.open

        def fail(path, *args, **kwargs):
            if str(path).endswith(".blob"):
                raise OSError(code, os.strerror(code), path)
            return real(path, *args, **kwargs)

        monkeypatch.setattr(os, "open", fail)
        with db.connection() as root:
            with pytest.raises(FileSystemError, match=os.strerror(code)) as caught:
                root["a"].read_data()
            assert caught.value.errno == code
            assert str(caught.value.filename).endswith(".blob")
        with pytest.raises(FileSystemError, match="was not verified"):
            db.verify()
        monkeypatch.undo()
        assert db.verify() == []
