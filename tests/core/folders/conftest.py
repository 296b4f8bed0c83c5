"""What the tests of folders share: a folder of recordings."""

import numpy as np
import pytest


@pytest.fixture
def folder(tmp_path):
    """Two speakers with two sessions each, and a file that is none of theirs."""
    for speaker in ("anna", "ben"):
        (tmp_path / "in" / speaker).mkdir(parents=True)
        for session in ("s1", "s2"):
            name = tmp_path / "in" / speaker / f"{session}_take1.npy"
            np.save(name, np.arange(len(speaker) * int(session[1])))
    (tmp_path / "in" / "readme.txt").write_text("about these")
    (tmp_path / "in" / ".hidden").mkdir()
    (tmp_path / "in" / ".hidden" / "s1_take1.npy").write_bytes(b"not for us")
    return tmp_path / "in"
