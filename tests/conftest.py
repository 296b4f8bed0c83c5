"""What all tests share."""

import contextlib
import gc
import os
import signal
import types

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.services.disk import small_disk  # noqa: F401  (fixtures for all tests)
from tests.services.postgresql import postgresql, postgresql_url  # noqa: F401
from tests.services.s3 import lasting_s3, s3, s3_bucket  # noqa: F401

# Disks are slow at times, so no deadline. Examples are the same in each run, so that no change passes by
# luck; LOTDB_TEST_RANDOM=1 takes others each time, and a failure prints how to repeat it.
RANDOM = os.environ.get("LOTDB_TEST_RANDOM") == "1"
settings.register_profile("lotdb", deadline=None, derandomize=not RANDOM, print_blob=True)
settings.register_profile("quick", settings.get_profile("lotdb"), max_examples=20)
settings.load_profile("lotdb")

# From so many combinations of its parameters on, a test is crossed.
MANY = 8


def pytest_configure(config):
    """Let `make test` try a fifth of the examples, where a test does not say how many."""
    if "not slow" in config.option.markexpr and not RANDOM:
        settings.load_profile("quick")


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Keep the garbage collector from looking through ten thousand tests, again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        _begin_hypothesis()
        _let_relstorage_pack()
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark combinations of the parameters of a `crossed` test as slow, so that each value is left once.

    A test of many combinations is crossed without the mark.
    """
    combined: dict[str, list[pytest.Item]] = {}
    for item in items:
        callspec = getattr(item, "callspec", None)
        if callspec and len(callspec._idlist) > 1 and not item.get_closest_marker("slow"):
            combined.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for several in combined.values():
        if len(several) < MANY and not several[0].get_closest_marker("crossed"):
            continue
        # The names of the values, a column for each parameter; pytest keeps them nowhere else.
        named = zip(*(item.callspec._idlist for item in several), strict=True)
        columns = [list(dict.fromkeys(names)) for names in named]
        longest = max(range(len(columns)), key=lambda at: len(columns[at]))
        for item in several if len(several) > 1 else ():
            places = [column.index(name) for column, name in zip(columns, item.callspec._idlist, strict=True)]
            if any(at != places[longest] % len(column) for at, column in zip(places, columns, strict=True)):
                item.add_marker(pytest.mark.slow)
    _leave_samples(items)


def _leave_samples(items):
    """Mark values of the parameters of a `sampled` test as slow, so that a few from all over are left."""
    sampled: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("sampled") and not item.get_closest_marker("slow"):
            sampled.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for several in sampled.values():
        (few,) = several[0].get_closest_marker("sampled").args or (MANY,)
        left = {at * len(several) // few for at in range(few)}
        for at, item in enumerate(several):
            if at not in left:
                item.add_marker(pytest.mark.slow)


@settings(max_examples=1, database=None)
@given(st.none())
def _begin_hypothesis(_):
    """Let hypothesis note numpy's random numbers: it asks the collector, which skips what is frozen."""


def _let_relstorage_pack():
    """Without full collections: a pack makes three, which look at all that the tests have imported."""
    with contextlib.suppress(ImportError):
        from relstorage import treemark

        treemark.gc = types.SimpleNamespace(collect=lambda: None)


# A shell starts what goes on in the background with Ctrl-C ignored. That is inherited, here by tests that
# send themselves one, and by the processes that they start.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
