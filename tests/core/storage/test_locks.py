"""One process writes, several read."""

import contextlib
import os
import threading

import pytest
from tests.core.storage.databases import database, get, put, worker

from lotdb.errors import DatabaseBusyError, WrongThreadError
from lotdb.storage import open_storage


@contextlib.contextmanager
def ready_worker(*arguments):
    with worker(*arguments) as process:
        assert process.stdout.readline() == "ready\n"
        yield process


def test_a_second_writing_process_is_told_who_holds_the_database(tmp_path):
    with ready_worker("hold", tmp_path) as process:
        with pytest.raises(DatabaseBusyError, match=f"in use by process {process.pid}"):
            open_storage(tmp_path)
        with database(tmp_path, read_only=True):
            pass


def test_a_writer_waits_for_the_other_up_to_its_timeout(tmp_path):
    with ready_worker("hold", tmp_path) as process:
        with pytest.raises(DatabaseBusyError):
            open_storage(tmp_path, timeout=0.1)
        timer = threading.Timer(0.2, process.stdin.close)
        timer.start()
        with database(tmp_path, timeout=60):
            pass
        timer.join()


def test_opening_twice_in_one_process_is_called_that(tmp_path):
    with database(tmp_path) as db:
        put(db, value=1)
        with pytest.raises(DatabaseBusyError, match="this process"):
            open_storage(tmp_path)
        put(db, value=2)
        assert get(db, "value") == 2


def test_a_forked_child_does_not_keep_the_lock(tmp_path):
    with ready_worker("leave_a_child", tmp_path) as process:
        process.wait(60)
        with database(tmp_path) as db:
            put(db, value=1)


def test_a_forked_child_can_neither_commit_nor_free_the_lock(tmp_path):
    with database(tmp_path) as db:
        put(db, value=1)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                put(db, value=2)
            except WrongThreadError:
                db.storage.close()
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        with pytest.raises(DatabaseBusyError):
            open_storage(tmp_path)
        put(db, value=3)
    with database(tmp_path) as db:
        assert get(db, "value") == 3
