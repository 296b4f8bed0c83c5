"""``lotdb export --tree`` and ``lotdb ingest``: whole subtrees."""

import numpy as np
import pytest

from lotdb import LOTDB

pytest.importorskip("h5py")


@pytest.mark.parametrize("target", ["out", "out.h5"])
def test_a_subtree_leaves_and_arrives(tmp_path, monkeypatch, target):
    from lotdb.cli.__main__ import main

    monkeypatch.chdir(tmp_path)
    with LOTDB("a") as db, db.connection() as root:
        root.get_data_node("S01/walk", samplerate_hz=50).write_data(np.arange(5))
        root["S01"].attrs["subject"] = "S01"
    for arguments in (["export", "a", "S01", "--tree", target], ["ingest", "b", target, "--at", "copy"]):
        assert not main(arguments)
    with LOTDB("b") as db, db.connection() as root:
        assert root["copy"].attrs["subject"] == "S01"
        assert root["copy/walk"].get_data().samplerate_hz == 50
