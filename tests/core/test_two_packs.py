"""Two packs at once: one waits for the other as long as the timeout says, and says what it waited for."""

import threading
import time

import pytest

from lotdb import LOTDB, DatabaseBusyError


@pytest.fixture(params=["file", "sqlite"])
def opening(request, tmp_path):
    if request.param == "sqlite":
        pytest.importorskip("relstorage", reason="the extra lotdb-core[sqlite] is not installed")

    def opening(**options):
        return LOTDB(tmp_path / "data", storage=request.param, durability="process", **options)

    return opening


def test_a_second_pack_says_that_another_one_runs(opening):
    with opening() as db:
        with (
            db._storage.announcing_pack(),
            pytest.raises(DatabaseBusyError, match=r"is being packed already, .*timeout=seconds"),
        ):
            db.pack()
        db.pack()


def test_a_second_pack_waits_for_the_first_one(opening):
    with opening(timeout=30) as db:
        first, packed = db._storage.announcing_pack(), []
        first.__enter__()
        second = threading.Thread(target=lambda: packed.append(db.pack()))
        second.start()
        time.sleep(0.2)
        assert packed == []
        first.__exit__(None, None, None)
        second.join()
        assert len(packed) == 1


def test_a_second_pack_waits_no_longer_than_the_timeout(opening):
    with opening(timeout=0.3) as db, db._storage.announcing_pack():
        began = time.monotonic()
        with pytest.raises(DatabaseBusyError, match="is being packed"):
            db.pack()
        assert 0.3 <= time.monotonic() - began < 10
