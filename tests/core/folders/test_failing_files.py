"""Files that fail leave nothing and are reported."""

import numpy as np
import pytest
from tests.core.folders.recordings import PATTERN, leaves

from lotdb import BaseNode, DataMismatchError, DataNode, IngestError


def test_a_file_that_fails_is_reported_and_leaves_nothing(folder):
    (folder / "ben" / "s1_take1.npy").write_bytes(b"\x93NUMPY and then nothing")
    root = BaseNode("root")
    report = root.ingest_tree(folder, PATTERN)
    assert list(report.failed) == ["ben/s1_take1.npy"]
    assert isinstance(report.failed["ben/s1_take1.npy"], IngestError)
    assert len(report.added) == 3
    assert "ben/s1" not in root
    assert "1 failed" in str(report)
    assert "ben/s1_take1.npy: cannot ingest" in str(report)


def test_the_first_file_that_fails_stops_the_run_if_asked(folder):
    (folder / "anna" / "s2_take1.npy").write_bytes(b"")
    root = BaseNode("root")
    with pytest.raises(IngestError, match=r"s2_take1\.npy"):
        root.ingest_tree(folder, PATTERN, on_error="raise")
    assert leaves(root) == ["anna/s1/take1"]


def test_a_failed_file_does_not_change_the_node_that_was_there(folder):
    root = BaseNode("root")
    root.get_node_path("anna/s1/take1").set_attribute("label", "mine")
    (folder / "anna" / "s1_take1.npy").write_bytes(b"")
    root.ingest_tree(folder, PATTERN)
    node = root["anna/s1/take1"]
    assert not isinstance(node, DataNode)
    assert dict(node.attrs) == {"label": "mine"}


def test_a_rate_that_contradicts_the_node_is_reported(tmp_path, folder):
    soundfile = pytest.importorskip("soundfile")
    (tmp_path / "wav").mkdir()
    soundfile.write(tmp_path / "wav" / "a.wav", np.zeros(10, "int16"), 8000)
    root = BaseNode("root")
    root.get_data_node("a", samplerate_hz=16000)
    report = root.ingest_tree(tmp_path / "wav", "{name}.wav")
    assert isinstance(report.failed["a.wav"], DataMismatchError)
    assert not root["a"].has_data()
