"""The example of many processes runs on each storage."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "many_processes.py"


def run(*arguments):
    done = subprocess.run(
        [sys.executable, EXAMPLE, *map(str, arguments)],
        capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "2000 rows recorded, 2 seconds measured" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("storage", ["file", "sqlite"])
def test_in_a_folder(storage, tmp_path):
    run(storage, "--seconds", 2, "--out", tmp_path)


@pytest.mark.slow
def test_on_a_server(postgresql_url, tmp_path):
    run(postgresql_url, "--payloads", tmp_path / "payloads", "--seconds", 2)


@pytest.mark.slow
def test_on_a_server_with_payloads_in_an_object_store(postgresql_url, s3_bucket):
    run(postgresql_url, "--payloads", f"{s3_bucket}/results", "--seconds", 2)
