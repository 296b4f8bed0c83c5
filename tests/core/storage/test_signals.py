"""Signals wait until a commit is done."""

import os
import random
import signal
import threading
import time

import pytest
from tests.core.storage.databases import database, get, put

from lotdb.storage import uninterrupted


def test_an_interrupt_waits_for_the_end_of_the_block():
    done = False
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)
        done = True
    assert done
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_both_signals_are_delivered_once_each_even_when_a_handler_raises():
    calls = []

    def handler(signum, frame):
        calls.append(signum)
        if signum == signal.SIGINT:
            raise KeyboardInterrupt

    before = [signal.signal(s, handler) for s in (signal.SIGINT, signal.SIGTERM)]
    try:
        with pytest.raises(KeyboardInterrupt), uninterrupted(), uninterrupted():
            for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
                signal.raise_signal(signum)
            assert calls == []
        assert calls == [signal.SIGINT, signal.SIGTERM]
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])


def test_the_error_of_the_block_comes_through_when_nothing_arrived():
    with pytest.raises(ZeroDivisionError), uninterrupted():
        raise ZeroDivisionError


def test_a_default_signal_handler_is_left_in_place():
    with uninterrupted():
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_another_thread_changes_no_handlers():
    seen = []

    def work():
        with uninterrupted():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]


def test_interrupts_at_random_moments_of_commits_never_hang_nor_harm(tmp_path):
    with database(tmp_path, durability="process") as db:
        number = 0
        interrupts = 0
        before = signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
        for _ in range(10_000):  # rounds; about 200 are enough, and some more on a machine that is busy
            if number > 100 and interrupts > 100:
                break
            try:
                signal.setitimer(signal.ITIMER_REAL, random.uniform(0.00005, 0.001))
                with uninterrupted():
                    put(db, number=number)
                    number += 1
                time.sleep(0.002)
            except KeyboardInterrupt:
                interrupts += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        assert number > 100
        assert interrupts > 100
        assert get(db, "number") == number - 1
