"""Numbers and times at the ends of what there is: they mean what they say, or are errors by name."""

import sys
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from lotdb import (
    LOTDB,
    InvalidIndexError,
    InvalidKeyError,
    InvalidOptionError,
    InvalidRangeError,
    LotdbError,
)
from lotdb.interop.time_axis import as_start

HUGE = 10**400
SPANS = [np.timedelta64(1, "D"), np.timedelta64(5, "ns"), np.timedelta64("NaT", "s")]


@pytest.fixture
def node(tmp_path):
    with LOTDB(tmp_path / "db") as db:
        node = db.open_connection().get_data_node("n", samplerate_hz=10)
        node.write_data(np.arange(100.0))
        yield node


@pytest.mark.parametrize("span", SPANS, ids=str)
def test_a_time_span_of_numpy_is_no_number(node, tmp_path, span):
    # numpy counts them as integers: five nanoseconds would be five seconds.
    payload = node.get_data()
    np.save(tmp_path / "f.npy", np.arange(3.0))
    for call in (
        lambda: payload.read_seconds(span),
        lambda: payload.read_seconds(0, span),
        lambda: node.read_data(0, span),
        lambda: payload.iter_blocks(span),
        lambda: payload.iter_blocks(span, block_unit="seconds"),
        lambda: node.write_data([1.0], samplerate_hz=span),
        lambda: node.configure_data(samplerate_hz=span),
        lambda: node.attach_file(tmp_path / "f.npy", samplerate_hz=span),
    ):
        with pytest.raises(InvalidRangeError):
            call()
    for name, call in {
        "buffer_size": lambda: node.iterate_tree_crone_buffered(span),
        "max_bytes": lambda: node.attach_file(tmp_path / "f.npy", max_bytes=span),
        "batch_size": lambda: node.ingest_tree(tmp_path, batch_size=span),
    }.items():
        with pytest.raises(InvalidOptionError, match=name):
            call()
    with pytest.raises(InvalidIndexError):
        payload[span]
    with pytest.raises(InvalidKeyError, match="timedelta64"):
        node.get_node(span)
    assert node.read_data().tolist() == list(range(100))


def test_more_than_there_can_be_is_all(tmp_path):
    with LOTDB(tmp_path / "db") as db:
        with db.connection() as root:
            root.get_node_path("a/b")
        assert list(db.history(limit=HUGE)) == list(db.history(limit=sys.maxsize + 1)) == list(db.history())
        with db.connection() as root:
            assert len(list(root.iterate_tree_crone_buffered(HUGE))) == 1


def test_numbers_of_seconds_beyond_all_floats(tmp_path):
    with pytest.raises(InvalidOptionError, match="timeout"):
        LOTDB(tmp_path / "db", timeout=HUGE)
    assert not (tmp_path / "db").exists()
    with LOTDB(tmp_path / "db") as db, pytest.raises(InvalidOptionError, match="grace_s"):
        db.pack(grace_s=HUGE)


@pytest.mark.parametrize(
    ("moment", "start"),
    [
        (datetime.min.replace(tzinfo=timezone(timedelta(hours=14))), "0000-12-31T10:00"),
        (datetime.max.replace(tzinfo=timezone(timedelta(hours=-23))), "+10000-01-01T22:59:59.999999"),
        (datetime.min.replace(tzinfo=ZoneInfo("UTC")), "0001-01-01"),
        (datetime(2026, 7, 1, 12, tzinfo=ZoneInfo("Europe/Zurich")), "2026-07-01T10:00"),
        (datetime(2026, 7, 1, 12, tzinfo=UTC), "2026-07-01T12:00"),
    ],
)
def test_a_first_row_at_the_ends_of_the_calendar(moment, start):
    assert as_start(moment) == np.datetime64(start)
    assert as_start(moment.isoformat()) == np.datetime64(start)


def test_a_payload_from_there_has_its_times(node):
    pytest.importorskip("xarray")
    node.write_data(
        [1.0, 2.0], metadata={"start_time": datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))}
    )
    times = node.get_data().to_xarray().time.values
    assert times[0] == np.datetime64("0000-12-31T23:00")


def test_chunks_of_nothing(node):
    pytest.importorskip("dask")
    with pytest.raises(InvalidOptionError, match="chunks"):
        node.get_data().to_dask(chunks=0)


@pytest.mark.parametrize("backends", [5, {"blob": 5}, {"blob": {"nonsense": 1}}, {"zrr": {}}])
def test_settings_that_no_backend_has(tmp_path, backends):
    import lotdb

    LOTDB(tmp_path / "db").close()
    with pytest.raises(LotdbError):
        lotdb.salvage(tmp_path / "db", tmp_path / "new", backends=backends)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("keep", [30, 1.5, HUGE, True, np.timedelta64(1, "D"), ["first"]])
def test_what_a_pack_keeps_is_no_number(tmp_path, keep):
    with LOTDB(tmp_path / "db") as db:
        for call in (db.pack, db.stats):
            with pytest.raises(InvalidOptionError, match=r"keep is .*timedelta"):
                call(keep=keep)


def test_a_folder_to_salvage_that_is_not_there(tmp_path):
    import lotdb

    with pytest.raises(lotdb.DatabaseNotFoundError, match=r"there is no folder .*nothing"):
        lotdb.salvage(tmp_path / "nothing", tmp_path / "new")
    assert not (tmp_path / "new").exists()
