"""A database that was written with one release of the libraries is read with any other.

The interpreters to try, each with an environment of its own, stand in ``LOTDB_PYTHONS``, with ``:`` between
them: ``make crosswise`` sets it.
"""

import itertools
import os
import subprocess
from pathlib import Path

import pytest

PYTHONS = [path for path in os.environ.get("LOTDB_PYTHONS", "").split(os.pathsep) if path]
SAMPLE = Path(__file__).with_name("sample.py")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A database for each pair of interpreters, written by the first."""
    folders = {}
    for writer, reader in itertools.product(PYTHONS, repeat=2):
        folders[writer, reader] = tmp_path_factory.mktemp("db")
        _run(writer, "write", folders[writer, reader])
    return folders


@pytest.mark.skipif(not PYTHONS, reason="LOTDB_PYTHONS names no interpreters; run make crosswise")
@pytest.mark.parametrize(("writer", "reader"), list(itertools.product(PYTHONS, repeat=2)) or [("", "")])
def test_what_one_environment_writes_another_reads(written, writer, reader):
    assert _run(reader, "check", written[writer, reader]) == ""


def _run(python, what, folder):
    done = subprocess.run(
        [python, "-W", "ignore", SAMPLE, what, folder], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, f"{python} {what}:\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr
