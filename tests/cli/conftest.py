"""A small database, and the command line, called as a program calls it."""

import numpy as np
import pytest

from lotdb import LOTDB
from lotdb.cli.__main__ import main


@pytest.fixture
def database(tmp_path):
    """Two sensors, of which the second is a branch of the first; and a node with a payload of each kind."""
    folder = tmp_path / "results"
    rows = np.arange(6000.0, dtype="f4").reshape(2000, 3)
    with LOTDB(folder, backends={"blob": {"record_bytes": 0}}) as db, db.connection() as root:
        for number in range(3):
            capture = root.get_data_node(f"sensor/capture_{number}", samplerate_hz=1000, data_attribute="imu")
            capture.write_data(rows, metadata={"unit": "mV"})
            capture.attrs["label"] = "walk"
        capture.attrs["subject"] = {"id": "S01", "height_m": 1.78}
        root["sensor"].branch("variant")
        kinds = root.get_data_node("kinds")
        kinds.write_data("first\nsecond", data_attribute="text")
        kinds.write_data(b"\x00\x1b[31m", data_attribute="bytes")
        kinds.write_data(np.array([(1, 0.5), (2, 1.5)], [("n", "i4"), ("x", "f8")]), data_attribute="fields")
        kinds.write_data(np.float64(2.5), data_attribute="number")
        kinds.write_data(np.array([[1, 2], [3, 4]], "i2"), data_attribute="small")
    return str(folder)


@pytest.fixture
def lotdb(capsys):
    """Calls the command; gives its exit code, and what it printed and complained of."""

    def call(*arguments):
        code = main([str(each) for each in arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


@pytest.fixture
def printed(lotdb):
    """Calls the command, which must not fail, and gives what it printed."""

    def call(*arguments):
        code, out, err = lotdb(*arguments)
        assert (code, err) == (0, "")
        return out

    return call
