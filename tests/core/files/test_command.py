"""The command takes rates as ``ingest_tree`` does."""

import numpy as np
import pytest

from lotdb import LOTDB
from lotdb_ingest.__main__ import main


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    np.savez(tmp_path / "in" / "walk.npz", acc=np.arange(4), gyro=np.arange(4))
    return tmp_path / "in"


def rates(database):
    with LOTDB(database, read_only=True) as db, db.connection() as root:
        return {name: payload.samplerate_hz for name, payload in root["walk"].payloads.items()}


def test_a_rate_for_each_payload(folder, tmp_path):
    how = ["--samplerate-hz", "acc=50", "--samplerate-hz", "gyro=100"]
    assert main([str(tmp_path / "db"), str(folder), "{name}.npz", *how]) == 0
    assert rates(tmp_path / "db") == {"data.acc": 50, "data.gyro": 100}


def test_one_rate_for_several_is_refused_with_what_to_write(folder, tmp_path, capsys):
    assert main([str(tmp_path / "db"), str(folder), "{name}.npz", "--samplerate-hz", "50"]) == 1
    assert "samplerate_hz={'acc': 50, 'gyro': 50}" in capsys.readouterr().out
    np.save(folder / "one.npy", np.arange(4))
    assert main([str(tmp_path / "db"), str(folder), "{name}.npy", "--samplerate-hz", "50"]) == 0


@pytest.mark.parametrize("given", [["fast"], ["acc=fast"], ["50", "acc=50"]])
def test_rates_that_are_none(folder, tmp_path, capsys, given):
    how = [each for rate in given for each in ("--samplerate-hz", rate)]
    try:
        code = main([str(tmp_path / "db"), str(folder), "{name}.npz", *how])
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    assert "--samplerate-hz" in capsys.readouterr().err
    assert not (tmp_path / "db").exists()
