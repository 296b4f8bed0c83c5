"""``evict(older_than=)``: any span and any moment, or an error that names it."""

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest

from lotdb import BaseNode, InvalidOptionError
from lotdb.steps import evict, step


@step
def doubled(node):
    return 2 * node.get_data().read()


@pytest.fixture
def root():
    root = BaseNode()
    node = root.get_data_node("n")
    node.write_data(np.arange(3.0))
    doubled.at(node)
    return root


@pytest.mark.parametrize(
    "wrong",
    [
        float("nan"),
        float("inf"),
        -1,
        -(10**400),
        timedelta(-1),
        timedelta.min,
        True,
        "1d",
        datetime.max,
        None.__class__,
    ],
    ids=lambda each: repr(each)[:20],
)
def test_no_span_and_no_moment(root, wrong):
    with pytest.raises(InvalidOptionError, match="older_than"):
        evict(root, older_than=wrong)
    assert not evict(root, older_than=10**9).paths


@pytest.mark.parametrize(
    "long",
    [10**400, 1e308, timedelta.max, datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))],
    ids=lambda each: repr(each)[:20],
)
def test_nothing_is_older_than_the_calendar(root, long):
    assert evict(root, older_than=long).paths == ()


@pytest.mark.parametrize(
    "short", [0, 0.0, timedelta(0), datetime.max.replace(tzinfo=UTC)], ids=lambda each: repr(each)[:20]
)
def test_all_is_older_than_now(root, short):
    assert evict(root, older_than=short).paths == ("n/doubled",)


@pytest.mark.parametrize("many", [2**63, 10**400])
def test_more_processes_than_can_be_counted(root, many):
    with pytest.raises(InvalidOptionError, match="workers"):
        doubled.map([root["n"]], workers=many)
