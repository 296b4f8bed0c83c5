"""A process is killed at each of its first writes and syncs, and what it leaves is looked at each time."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable

import numpy as np
import pytest

from lotdb import LOTDB, BaseNode
from lotdb.testing.seen import check_same

__all__ = ["die_at_each_write"]

TOGETHER = "what is committed together is there together"


def die_at_each_write(
    process: subprocess.Popen[bytes],
    opened: Callable[[], contextlib.AbstractContextManager[LOTDB]],
    most: int,
) -> None:
    """Have *process*, which does ``die_at``, die at each write or sync, or at *most* of them.

    After each death the database is opened, looked at, and closed. If there are more, half of those that are
    taken are the first, and half lie evenly among the rest.
    """
    if not hasattr(os, "fork"):  # pragma: no cover
        pytest.skip("this system cannot fork")
    number = 1
    acknowledged, counted, outcome = _tell(process, number, 0)
    assert outcome == "done", "the other process failed; it says why on its standard error"
    _check(opened, acknowledged, number + 1)
    for kill_at in _some(counted, most):
        number += 2
        committed, _, outcome = _tell(process, number, kill_at)
        assert not outcome.startswith("failed"), f"the other process failed at write or sync {kill_at}"
        acknowledged = max(acknowledged, committed)
        try:
            _check(opened, acknowledged, number + 1)
        except BaseException as error:
            error.add_note(f"Falsifying: killed just before write or sync {kill_at} of {counted}")
            raise


def _some(count: int, most: int) -> list[int]:
    """*most* of the numbers from 1 to *count*: half of them the first, half spread over the rest."""
    first = min(count, most if most >= count else most // 2)
    spread = np.linspace(first, count, most - first + 1)
    return sorted({*range(1, first + 1), *map(int, spread)})


def _tell(process: subprocess.Popen[bytes], number: int, kill_at: int) -> tuple[int, int, str]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"%d %d\n" % (number, kill_at))
    process.stdin.flush()
    answer = process.stdout.readline().split()
    assert len(answer) == 3, "the other process is gone; it says why on its standard error"
    return int(answer[0]), int(answer[1]), answer[2].decode()


def _check(
    opened: Callable[[], contextlib.AbstractContextManager[LOTDB]], acknowledged: int, last: int
) -> None:
    with opened() as db:
        with db.connection() as root:
            there = root.attrs["number"]
            assert acknowledged <= there <= last, f"commit {acknowledged} was acknowledged, {there} is there"
            _check_tree(root, there)
        found = db.verify()
        assert found == [], f"verify() finds {found}"


def _check_tree(root: BaseNode, number: int) -> None:
    for key, array in (("small", np.full((20, 2), number)), ("large", np.full((150_000,), number))):
        check_same(root.get_data_node(key, create=False).read_data(), array, TOGETHER)
    check_same(root.get_data_node("older", create=False).read_data(), array, TOGETHER)
