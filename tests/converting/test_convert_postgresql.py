"""A database that is copied to a server and back is the same."""

import signal

import pytest
from tests.converting.test_convert import commits_of, differences, fill
from tests.services import forked

from lotdb import LOTDB, DamagedError, DatabaseBusyError, DatabaseExistsError, convert

pytest.importorskip("relstorage", reason="the extra lotdb-core[postgresql] is not installed")
pytest.importorskip("psycopg2", reason="the extra lotdb-core[postgresql] is not installed")


def test_there_and_back_again(tmp_path, postgresql):
    url = postgresql.new_database()
    with LOTDB(tmp_path / "source", durability="process") as db:
        fill(db)
        convert(db, url, payloads=tmp_path / "payloads")
        with LOTDB(url) as copy:
            assert commits_of(copy) == commits_of(db)
            assert copy.verify() == []
            for tid, *_ in commits_of(db)[1:]:
                assert differences(db, copy, tid) == []
            with copy.connection() as root:
                root["takes/1"].append_data(root["takes/2"].read_data())
        with pytest.raises(DatabaseExistsError):
            convert(db, url, payloads=tmp_path / "payloads")
    convert(url, tmp_path / "back")
    with LOTDB(url, read_only=True) as copy, LOTDB(tmp_path / "back") as back:
        assert commits_of(back) == commits_of(copy)
        assert back.verify() == []
        with back.connection() as root:
            assert root["takes/1"].get_data().shape == (600,)


def stop_at(number):
    """A progress that interrupts what it is told of."""

    def stop(done, *_):
        if done == number:
            raise KeyboardInterrupt

    return stop


@pytest.mark.slow
def test_what_was_interrupted_is_no_database_until_it_is_whole(tmp_path, postgresql):
    url, payloads = postgresql.new_database(), tmp_path / "payloads"
    name = url.rpartition("/")[2]
    with LOTDB(tmp_path / "source", durability="process") as db:
        fill(db)
        for number in (1, 5):
            with pytest.raises(KeyboardInterrupt):
                convert(db, url, payloads=payloads, progress=stop_at(number))
            for options in ({}, {"read_only": True}, {"new": True}, {"payloads": payloads}):
                with pytest.raises(DamagedError, match=rf"{name} is no database yet.*convert.*dropdb"):
                    LOTDB(url, **options)
        assert convert(db, url, payloads=payloads).commits == len(commits_of(db))
        with LOTDB(url) as copy:
            assert commits_of(copy) == commits_of(db)
            assert copy.verify() == []
            for tid, *_ in commits_of(db)[1:]:
                assert differences(db, copy, tid) == []
            copy.run(lambda root: root.get_node("new").attrs.update(value=1))


CONVERTED = """
import os, signal, sys
from lotdb import convert
def die(done, of, last):
    if last.startswith(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)
convert(sys.argv[1], sys.argv[2], payloads=sys.argv[3], progress=die)
"""


@pytest.mark.slow
@pytest.mark.parametrize("where", [pytest.param("array", marks=pytest.mark.slow), "what was read"])
def test_a_conversion_that_is_killed_leaves_no_half(tmp_path, postgresql, where):
    url, payloads = postgresql.new_database(), tmp_path / "payloads"
    with LOTDB(tmp_path / "source", durability="process") as db:
        fill(db)
    command = ["-c", CONVERTED, tmp_path / "source", url, payloads, where]
    assert forked.run(command, timeout=120).returncode == -signal.SIGKILL
    with pytest.raises(DamagedError, match="no database yet"):
        LOTDB(url)
    convert(tmp_path / "source", url, payloads=payloads)
    with LOTDB(url) as copy, LOTDB(tmp_path / "source", read_only=True) as db:
        assert copy.verify() == []
        assert differences(db, copy, bytes.fromhex(db.last_commit)) == []


@pytest.mark.slow
def test_who_opens_what_is_being_filled_is_told_to_wait(tmp_path, postgresql):
    url, told = postgresql.new_database(), []

    def look(done, *_):
        with pytest.raises(DatabaseBusyError, match="being filled by another process") as caught:
            LOTDB(url)
        told.append(caught)

    with LOTDB(tmp_path / "source", durability="process") as db:
        db.run(lambda root: root.get_node("a"))
        convert(db, url, payloads=tmp_path / "payloads", progress=look)
    assert told
    LOTDB(url).close()


@pytest.mark.slow
def test_a_copy_that_is_not_the_same_is_no_database(tmp_path, postgresql, monkeypatch):
    from lotdb.converting import conversion

    def find_damage(*_):
        raise DamagedError("the copy is not the same")

    url = postgresql.new_database()
    with LOTDB(tmp_path / "source", durability="process") as db:
        db.run(lambda root: root.get_node("a"))
        monkeypatch.setattr(conversion, "_compare", find_damage)
        with pytest.raises(DamagedError, match="not the same"):
            convert(db, url, payloads=tmp_path / "payloads")
        with pytest.raises(DamagedError, match="no database yet"):
            LOTDB(url)


def test_a_database_that_is_there_is_not_filled(tmp_path, postgresql):
    url = postgresql.new_database()
    with LOTDB(url, payloads=tmp_path / "payloads") as there:
        there.run(lambda root: root.get_node("mine"))
    with LOTDB(tmp_path / "source", durability="process") as db, pytest.raises(DatabaseExistsError):
        convert(db, url, payloads=tmp_path / "payloads")
    with LOTDB(url) as there, there.connection() as root:
        assert [*root] == ["mine"]
