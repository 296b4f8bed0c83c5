"""Ctrl-C while signals are let through again, and while a lock is taken: nothing stays held."""

import contextlib
import pickle
import signal
import sys

import pytest

from lotdb import LOTDB
from lotdb.database import shared
from lotdb.storage import uninterrupted

OURS = ("signals.py", "waiting.py", "shared.py")


class Strike:
    """Sends SIGINT at the *nth* moment at which a handler may run in our code."""

    def __init__(self, nth):
        self.left = nth

    def __call__(self, function, *args):
        sys.setprofile(self._count)
        try:
            return function(*args)
        finally:
            sys.setprofile(None)

    def _count(self, frame, event, arg):
        if event in ("call", "c_return") and frame.f_code.co_filename.endswith(OURS):
            self.left -= 1
            if self.left == 0:
                sys.setprofile(None)
                signal.raise_signal(signal.SIGINT)


@pytest.fixture
def terminations():
    """A handler of SIGTERM, as many services have one; gives what it got."""
    got = []
    before = signal.signal(signal.SIGTERM, lambda signum, frame: got.append(signum))
    yield got
    signal.signal(signal.SIGTERM, before)


def block():
    with uninterrupted():
        pass


def test_the_other_signal_is_not_held_for_ever(terminations):
    mine = signal.getsignal(signal.SIGTERM)
    nth = 0
    is_struck = True
    while is_struck:
        nth += 1
        strike = Strike(nth)
        with contextlib.suppress(KeyboardInterrupt):
            strike(block)
        is_struck = strike.left == 0
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        with uninterrupted():  # which must hold it, whatever was left behind
            signal.raise_signal(signal.SIGTERM)
            assert terminations == []
        assert terminations == [signal.SIGTERM]
        signal.raise_signal(signal.SIGTERM)
        assert terminations == [signal.SIGTERM] * 2
        terminations.clear()
        assert signal.getsignal(signal.SIGTERM) is mine
    assert nth > 10


def test_no_turn_is_left_taken(tmp_path):
    """A lock that an interrupt leaves taken lets all who read by references wait for a minute, and fail."""
    with LOTDB(tmp_path / "db") as db, db.connection() as root:
        root.attrs["n"] = 7
        db.commit(root)
        reference = pickle.dumps(root.reference())
        nth = 0
        is_struck = True
        while is_struck:
            nth += 1
            strike = Strike(nth)
            with contextlib.suppress(KeyboardInterrupt):
                assert strike(lambda: pickle.loads(reference).attrs["n"]) == 7
            is_struck = strike.left == 0
            assert not shared._turn.locked()
            assert pickle.loads(reference).attrs["n"] == 7
        assert nth > 3
