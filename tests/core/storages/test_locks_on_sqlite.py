"""A process that opens a database in SQLite twice keeps its locks, so that no other one deletes its log."""

import subprocess

import pytest
from tests.services import forked

from lotdb import LOTDB, DatabaseExistsError, convert

pytest.importorskip("relstorage", reason="the extra lotdb-core[sqlite] is not installed")

LOOK = """
import sys
from lotdb import LOTDB
for line in sys.stdin:
    with LOTDB(line.strip(), read_only=True) as db, db.connection() as root:
        print(root.attrs["number"], flush=True)
"""


@pytest.fixture(scope="module")
def seen_elsewhere():
    """What another process sees, which opens the database and closes it."""
    pipe = subprocess.PIPE
    with forked.Popen(["-c", LOOK], stdin=pipe, stdout=pipe, text=True) as process:

        def look(folder):
            process.stdin.write(f"{folder}\n")
            process.stdin.flush()
            return int(process.stdout.readline())

        yield look
        process.stdin.close()


def open_and_close(folder):
    LOTDB(folder, read_only=True).close()


def fail_to_create(folder):
    with pytest.raises(DatabaseExistsError):
        LOTDB(folder, new=True)




def back_up(folder):
    with LOTDB(folder, read_only=True) as db:
        db.backup(folder.with_name("copy"))


def copy(folder):
    convert(folder, folder.with_name("converted"), storage="sqlite")


@pytest.mark.sampled(1)
@pytest.mark.parametrize("use", [open_and_close, fail_to_create, back_up, copy])
def test_commits_outlive_what_else_the_process_does(tmp_path, seen_elsewhere, use):
    folder = tmp_path / "db"
    with LOTDB(folder, storage="sqlite", durability="process") as db:
        db.run(lambda root: root.attrs.update(number=1))
        use(folder)
        assert seen_elsewhere(folder) == 1
        db.run(lambda root: root.attrs.update(number=2))
        assert seen_elsewhere(folder) == 2
        assert db.verify() == []
    assert seen_elsewhere(folder) == 2
