"""The example of processes that share work runs, and finds what was recorded."""

import subprocess
import sys
from pathlib import Path

import pytest

from lotdb import LOTDB

EXAMPLE = Path(__file__).parents[2] / "examples" / "parallel.py"


@pytest.mark.slow
def test_each_take_gets_its_frequency_and_its_spectrum(tmp_path):
    command = [sys.executable, str(EXAMPLE), "--folder", str(tmp_path / "db")]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    assert printed.splitlines()[7] == "takes/07  1.70 Hz"
    with LOTDB(tmp_path / "db", read_only=True) as db, db.connection() as root:
        for number, take in enumerate(root["takes"].values()):
            assert abs(take.attrs["beat_hz"] - (1 + number / 10)) < 0.02
            assert take.get_data("spectrum").shape == (1500,)
