"""A database in use by another process: what the command says names the command's own option."""

import subprocess

from tests.services import forked

WRITER = """
import sys
from lotdb import LOTDB

with LOTDB(sys.argv[1]):
    print("open", flush=True)
    sys.stdin.read()
"""


def test_a_database_in_use_says_which_option_waits(database, lotdb):
    with forked.Popen(
        ["-c", WRITER, database], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout.readline() == "open\n"
        for arguments in (["set", database, ".", "a=1"], ["pack", database], ["rm", database, "kinds"]):
            code, out, error = lotdb(*arguments)
            assert (code, out) == (1, "")
            assert error.count("\n") == 1
            assert "--timeout SECONDS" in error
            assert "timeout=" not in error
            assert "read_only" not in error
        writer.stdin.close()
