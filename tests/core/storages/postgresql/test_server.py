"""What is particular to a database on a PostgreSQL server."""

import contextlib
import logging
import pickle
import threading
import traceback

import numpy as np
import pytest
from tests.services.postgresql import PASSWORD
from tests.services.proxy import Proxy

from lotdb import (
    LOTDB,
    CommitInDoubtError,
    ConflictError,
    DamagedError,
    DatabaseBusyError,
    DatabaseExistsError,
    DatabaseFormatError,
    DatabaseNotFoundError,
    DisconnectedError,
    InvalidOptionError,
    LotdbError,
    UnavailableError,
)

pytest.importorskip("relstorage", reason="the extra lotdb-core[postgresql] is not installed")
psycopg2 = pytest.importorskip("psycopg2", reason="the extra lotdb-core[postgresql] is not installed")


@pytest.fixture
def payloads(tmp_path):
    return tmp_path / "payloads"


@pytest.fixture
def opened(postgresql_url, payloads):
    """A new database."""
    with LOTDB(postgresql_url, new=True, payloads=payloads, default_backend="zarr") as db:
        yield db


@pytest.fixture
def proxy(postgresql):
    with contextlib.closing(Proxy(postgresql.port)) as proxy:
        yield proxy


def through(url, postgresql, proxy):
    return url.replace(f":{postgresql.port}/", f":{proxy.port}/")


def end_sessions(postgresql, url, but=""):
    """Let the server end all sessions, as an administrator does."""
    postgresql.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        f" AND datname = '{url.rpartition('/')[2]}' AND application_name <> '{but}'"
    )


def value(db):
    with db.connection() as root:
        return root.get_attribute("value", None)


# -- opening --------------------------------------------------------------------------------------


def test_afterwards_the_url_alone_is_enough(postgresql_url, payloads, opened):
    with opened.connection() as root:
        root.get_data_node("a").write_data(np.arange(10.0))
    with LOTDB(postgresql_url) as db, db.connection() as root:
        assert db.path == payloads
        np.testing.assert_array_equal(root["a"].read_data(), np.arange(10.0))


def test_a_database_may_do_without_a_place_for_payloads(postgresql_url, payloads, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with LOTDB(tmp_path / ".", default_backend="zarr") as beside, beside.connection() as root:
        root.get_data_node("of another database").write_data(np.arange(10.0))
    with LOTDB(postgresql_url, default_backend="zarr") as db:
        with db.connection() as root:
            root.attrs["value"] = 1
        with pytest.raises(InvalidOptionError, match=r"test_.*payloads="), db.connection() as root:
            root.get_data_node("a").write_data(np.arange(10.0))
        db.pack()  # takes nothing from the folder that this process happens to be in
    with LOTDB(tmp_path / ".") as beside:
        assert beside.verify() == []
    with LOTDB(postgresql_url, payloads=payloads, default_backend="zarr") as db, db.connection() as root:
        root.get_data_node("a").write_data(np.arange(10.0))
    with LOTDB(postgresql_url) as db, db.connection() as root:
        assert root.attrs["value"] == 1
        np.testing.assert_array_equal(root["a"].read_data(), np.arange(10.0))


def test_a_folder_for_payloads_that_is_gone_is_not_made_anew(postgresql_url, payloads, opened):
    with opened.connection() as root:
        root.get_data_node("a").write_data(np.arange(10.0))
    payloads.rename(payloads.with_name("not mounted"))
    with LOTDB(postgresql_url, default_backend="zarr") as db:
        with pytest.raises(UnavailableError, match="payloads"), db.connection() as root:
            root["a"].read_data()
        with pytest.raises(UnavailableError, match="payloads"), db.connection() as root:
            root.get_data_node("b").write_data(np.arange(10.0))
    assert not payloads.exists()
    payloads.with_name("not mounted").rename(payloads)
    with LOTDB(postgresql_url) as db, db.connection() as root:
        np.testing.assert_array_equal(root["a"].read_data(), np.arange(10.0))


def test_what_is_not_there_or_is_not_ours_is_named(postgresql, postgresql_url, payloads):
    name = postgresql_url.rpartition("/")[2]
    elsewhere = postgresql_url.replace(name, "nowhere")
    with pytest.raises(DatabaseNotFoundError, match=r"127.0.0.1.*nowhere"):
        LOTDB(elsewhere)
    with pytest.raises(DatabaseNotFoundError, match=name):
        LOTDB(postgresql_url, read_only=True)
    assert postgresql.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", name) == [["0"]]
    postgresql.sql("CREATE TABLE bills (number int)", name)
    with pytest.raises(DatabaseFormatError, match=f"{name}.*bills"):
        LOTDB(postgresql_url)
    with LOTDB(postgresql_url, "results", payloads=payloads) as db, db.connection() as root:
        root.attrs["value"] = 1
    with pytest.raises(DatabaseExistsError, match=name):
        LOTDB(postgresql_url, "results", new=True)
    postgresql.sql("UPDATE results.lotdb SET format = 7", name)
    with pytest.raises(DatabaseFormatError, match="format is 7"):
        LOTDB(postgresql_url, "results")
    postgresql.sql("UPDATE results.lotdb SET format = 1; DROP TABLE results.current_object CASCADE", name)
    with pytest.raises(DamagedError, match="current_object"):
        LOTDB(postgresql_url, "results")
    assert postgresql.sql("SELECT count(*) FROM bills", name) == [["0"]]


def test_a_zodb_of_another_program_is_left_alone(postgresql, postgresql_url):
    from relstorage.adapters.postgresql import PostgreSQLAdapter
    from relstorage.storage import RelStorage

    RelStorage(PostgreSQLAdapter(psycopg2.extensions.make_dsn(postgresql_url, connect_timeout=10))).close()
    with pytest.raises(DatabaseFormatError, match="another program"):
        LOTDB(postgresql_url)


def test_names_are_databases_of_their_own(postgresql_url, payloads):
    names = ["lotdb.fs", "results", "Other results 'of' \"today\""]
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(LOTDB(postgresql_url, name, payloads=payloads)) for name in names]
        for number, db in enumerate(opened):
            with db.connection() as root:
                root.attrs["value"] = number
        for db in opened:
            db.pack()
        assert [value(db) for db in opened] == [0, 1, 2]
        assert len({db.id for db in opened}) == 3
    assert [value(LOTDB(postgresql_url, name, read_only=True)) for name in names] == [0, 1, 2]


@pytest.mark.parametrize("name", ["pg_results", "ü" * 40])
def test_a_name_that_is_no_schema_is_refused(postgresql_url, name):
    with pytest.raises(InvalidOptionError, match="name is"):
        LOTDB(postgresql_url, name)


def test_processes_that_create_a_database_at_once_create_one(postgresql_url, payloads):
    together, ids = threading.Barrier(3), []

    def create():
        together.wait(30)
        with LOTDB(postgresql_url, payloads=payloads) as db:
            ids.append(db.id)

    threads = [threading.Thread(target=create) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(ids) == 3
    assert len({*ids}) == 1


# -- credentials ----------------------------------------------------------------------------------


def test_a_password_in_the_url_is_refused_and_not_repeated(postgresql_url):
    secret = "s3cr3t"
    for url in (
        postgresql_url.replace("lotdb@", f"lotdb:{secret}@"),
        f"{postgresql_url}?password={secret}",
        f"{postgresql_url}?sslpassword={secret}",
        postgresql_url.replace("lotdb@", f"lotdb:{secret}%zz@"),
    ):
        with pytest.raises(InvalidOptionError) as caught:
            LOTDB(url)
        assert secret not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(InvalidOptionError, match="PGPASSWORD"):
        LOTDB(postgresql_url.replace("lotdb@", f"lotdb:{secret}@"))


def test_the_password_is_seen_nowhere(postgresql, postgresql_url, payloads, caplog, monkeypatch):
    caplog.set_level(logging.DEBUG)
    seen = []
    with LOTDB(postgresql_url, payloads=payloads) as db:
        with db.connection() as root:
            root.attrs["value"] = 1
            seen += [repr(db), str(db), repr(root), str(vars(db)), str(vars(db._storage))]
        end_sessions(postgresql, postgresql_url)
        with pytest.raises(DisconnectedError) as lost, db.connection() as root:
            root.attrs["value"] = 2
    monkeypatch.setenv("PGPASSWORD", PASSWORD + "x")
    with pytest.raises(UnavailableError, match=r"lotdb.*PGPASSWORD") as refused:
        LOTDB(postgresql_url)
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    name = postgresql_url.rpartition("/")[2]
    stored = postgresql.sql("SELECT encode(state, 'escape') FROM object_state", name)
    assert len(stored) > 2
    seen += [str(stored), caplog.text, repr(pickle.dumps(lost.value.args))]
    seen += ["".join(traceback.format_exception(each.value)) for each in (lost, refused)]
    assert not [text for text in seen if PASSWORD in text]
    assert name in str(lost.value)


# -- a network, and a server, that fail ------------------------------------------------------------


def test_a_connection_that_is_lost_before_the_commit_can_be_tried_again(postgresql, postgresql_url, opened):
    root = opened.open_connection()
    root.attrs["value"] = 1
    opened.commit()
    root.attrs["value"] = 2
    end_sessions(postgresql, postgresql_url)
    with pytest.raises(DisconnectedError, match=postgresql_url.rpartition("/")[2]):
        opened.commit()
    assert root.attrs["value"] == 1
    root.attrs["value"] = 3
    opened.commit()
    assert value(opened) == 3


def test_run_tries_again_when_the_connection_was_lost(postgresql, postgresql_url, opened):
    tries = []

    with opened.connection() as root:
        for number in range(300):
            root.get_node(f"{number}").attrs["text"] = "x" * 700

    def change(root):
        root.attrs["value"] = len(tries)
        tries.append(1)
        if len(tries) < 3:
            end_sessions(postgresql, postgresql_url)
            opened._zodb.cacheMinimize()
        return [root[f"{number}"].attrs["text"] for number in range(300)]

    opened.run(change)
    assert len(tries) > 1
    assert value(opened) == len(tries) - 1  # of none of the others


def test_a_read_that_is_cut_is_an_error_until_the_next_transaction(postgresql, postgresql_url, opened):
    with opened.connection() as root:
        for number in range(300):
            root.get_node(f"{number}").attrs["text"] = "x" * 700
    with LOTDB(postgresql_url, read_only=True) as reader:
        root = reader.open_connection()
        assert "0" in root
        end_sessions(postgresql, postgresql_url)
        for _ in range(2):  # not from a later moment, either
            with pytest.raises(DisconnectedError):
                [root[f"{number}"].attrs["text"] for number in range(300)]
        reader.abort()
        assert root["7"].attrs["text"] == "x" * 700


def test_a_server_that_was_killed_has_all_that_was_committed(postgresql, postgresql_url, opened):
    root = opened.open_connection()
    for number in range(5):
        root.attrs["value"] = number
        opened.commit()
    postgresql.kill()
    with pytest.raises(DisconnectedError):
        root.attrs["value"] = 7
        opened.commit()
    with pytest.raises(DisconnectedError, match=r"127\.0\.0\.1"):
        LOTDB(postgresql_url)
    postgresql.start()
    assert root.attrs["value"] == 4
    root.attrs["value"] = 8
    opened.commit()
    with LOTDB(postgresql_url, read_only=True) as reader:
        assert value(reader) == 8


def test_a_commit_whose_reply_is_lost_is_in_doubt(postgresql, postgresql_url, payloads, proxy):
    url = through(postgresql_url, postgresql, proxy)
    db = LOTDB(url, payloads=payloads, default_backend="zarr")
    root = db.open_connection()
    root.attrs["value"] = 1
    db.commit()
    root.attrs["value"] = 2
    root.get_data_node("a").write_data(np.arange(1000.0))
    proxy.drop_reply_to = b"; COMMIT;"
    with pytest.raises(CommitInDoubtError, match=r"127.0.0.1:\d+/test_"):
        db.commit()
    assert proxy.dropped.wait(30)
    assert db.closed
    with pytest.raises(LotdbError):
        root.attrs["value"] = 3
    db.close()
    with LOTDB(url, default_backend="zarr") as db, db.connection() as root:
        assert root.attrs["value"] in (1, 2)
        if root.attrs["value"] == 2:  # all of it, or nothing
            np.testing.assert_array_equal(root["a"].read_data(), np.arange(1000.0))
        assert db.verify() == []


def test_a_commit_whose_loss_is_noticed_later_has_ended_well(postgresql, postgresql_url, opened, monkeypatch):
    root = opened.open_connection()
    root.attrs["value"] = 1
    hold = opened._storage.hold

    def hold_in_vain(tid):
        end_sessions(postgresql, postgresql_url)
        hold(tid)

    monkeypatch.setattr(opened._storage, "hold", hold_in_vain)
    opened.commit()  # what fails is the beginning of the next transaction
    monkeypatch.undo()
    opened.abort()
    assert root.attrs["value"] == 1


@pytest.mark.slow  # it waits for limits of whole seconds
def test_silence_of_the_network_ends_in_an_error(postgresql, postgresql_url, payloads, proxy, monkeypatch):
    from lotdb.storages.postgresql import watch

    monkeypatch.setattr(watch, "_GRACE_S", 0.5)
    url = through(postgresql_url, postgresql, proxy) + "?connect_timeout=2&options=-cstatement_timeout%3D500"
    with LOTDB(url, payloads=payloads) as db:
        root = db.open_connection()
        root.attrs["value"] = 1
        db.commit()
        for session in watch_all(db):
            session.limit(0.5)
        proxy.silent = True
        root.attrs["value"] = 2
        with pytest.raises((DisconnectedError, CommitInDoubtError)):
            db.commit()
        proxy.cut()


def watch_all(db):
    """The connections that a database has open."""
    base = db.open_connection()._tree.database._storage.opened.base
    pools = [base, *(each() for each in base._instances)]
    found = [each._load_connection.connection for each in pools if each is not None]
    found += [each.connection for each in base._store_connection_pool._connections]
    return [each for each in [*found, db._storage._asked, db._storage._locks._session] if each is not None]


# -- other processes ------------------------------------------------------------------------------


def test_a_pack_keeps_what_a_reader_sees(postgresql_url, opened):
    with opened.connection() as root:
        root.get_data_node("a").write_data(np.arange(100_000.0))
    with LOTDB(postgresql_url, read_only=True) as reader:
        root = reader.open_connection()
        assert "a" in root
        for number in range(3):
            with opened.connection() as changed:
                changed.get_data_node("a").write_data(np.arange(100_000.0) + number)
        opened.pack()
        np.testing.assert_array_equal(root["a"].read_data(), np.arange(100_000.0))
        before = opened.stats()
        reader.abort()
        np.testing.assert_array_equal(root["a"].read_data(), np.arange(100_000.0) + 2)
        opened.pack()
        assert opened.stats().tree_bytes <= before.tree_bytes
        np.testing.assert_array_equal(root["a"].read_data(), np.arange(100_000.0) + 2)


def test_one_packs_at_a_time(opened):
    with opened._storage.announcing_pack(), pytest.raises(DatabaseBusyError, match="test_"):
        opened.pack()
    opened.pack()


def test_a_sweep_is_alone_and_commits_are_not(postgresql_url, opened):
    with LOTDB(postgresql_url) as other:
        done = threading.Event()
        with opened._storage.publishing(), other._storage.publishing():

            def sweep():
                with opened._storage.publishing(exclusive=True):
                    done.set()

            thread = threading.Thread(target=sweep)
            thread.start()
            assert not done.wait(0.2)
        assert done.wait(30)
        thread.join(30)


def test_what_two_processes_change_conflicts_or_merges(postgresql_url, opened):
    with LOTDB(postgresql_url) as other:
        one, two = opened.open_connection(), other.open_connection()
        one.attrs["value"] = 1
        opened.commit()
        other.abort()
        one.get_node("of one")
        two.get_node("of two")
        opened.commit()
        other.commit()
        opened.abort()
        assert {*one} == {"of one", "of two"}
        other.abort()
        one.attrs["value"] = 2
        two.attrs["value"] = 3
        opened.commit()
        with pytest.raises(ConflictError):
            other.commit()
        assert two.attrs["value"] == 2
