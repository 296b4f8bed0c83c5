"""A database in use: what the command says names the command's own option."""

import pytest

from lotdb import LOTDB


@pytest.mark.parametrize("arguments", [["set", "{}", ".", "a=1"], ["pack", "{}"], ["rm", "{}", "kinds"]], ids=str)
def test_a_database_in_use_says_which_option_waits(database, lotdb, arguments):
    with LOTDB(database):
        code, out, error = lotdb(*(each.format(database) for each in arguments))
    assert (code, out) == (1, "")
    assert error.count("\n") == 1
    assert "--timeout SECONDS" in error
    assert "timeout=" not in error and "read_only" not in error
