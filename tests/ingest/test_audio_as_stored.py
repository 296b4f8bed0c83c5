"""Samples of 16 bits in wav files are read from the file as they are: as libsndfile would give them."""

import struct

import numpy as np
import pytest
import soundfile

from lotdb import BaseNode, IngestError
from lotdb_ingest.audio import read


@pytest.fixture(autouse=True)
def blocks_of_100_bytes(monkeypatch):
    monkeypatch.setattr(read, "BLOCK_BYTES", 100)
    monkeypatch.setattr(read, "SHORT_BYTES", 0)


def chunk(name, content):
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def wav(rows, channels, *, before=b"", behind=b"", spare=b""):
    """A wav file of random samples, and these."""
    samples = np.random.default_rng(rows).integers(-32768, 32767, (rows, channels), "<i2", endpoint=True)
    form = struct.pack("<HHIIHH", 1, channels, 8000, 16000 * channels, 2 * channels, 16)
    chunks = chunk(b"fmt ", form) + before + chunk(b"data", samples.tobytes() + spare) + behind
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks, samples


@pytest.mark.parametrize(
    "more", [{}, {"before": chunk(b"junk", b"odd")}, {"behind": chunk(b"note", b"even")}]
)
@pytest.mark.parametrize("channels", [1, 2, 3, 60])
@pytest.mark.parametrize("rows", [1, 2, 25, 50, 51, 1000])
def test_samples_rate_and_notes_are_those_of_libsndfile(tmp_path, monkeypatch, rows, channels, more):
    path = tmp_path / "a.wav"
    content, samples = wav(rows, channels, **more)
    path.write_bytes(content)
    own = BaseNode("root").get_data_node("a").attach_file(path)
    expected, rate = soundfile.read(path, dtype="int16")
    assert (own.dtype, own.samplerate_hz) == (np.int16, rate)
    assert np.array_equal(own.read(), expected)
    assert np.array_equal(own.read().reshape(samples.shape), samples)
    monkeypatch.setattr(
        read, "_as_stored", lambda file, sound, *where: read._decoded("wav", file, None, sound, b"")
    )
    theirs = BaseNode("root").get_data_node("a").attach_file(path)
    assert (own.shape, own.metadata) == (theirs.shape, theirs.metadata)


def test_bytes_behind_the_last_whole_row_are_named(tmp_path):
    path = tmp_path / "a.wav"
    content, samples = wav(30, 2, spare=b"xy")
    path.write_bytes(content)
    payload = BaseNode("root").get_data_node("a").attach_file(path)
    assert np.array_equal(payload.read(), samples)
    assert payload.metadata["not_kept"] == ["2 bytes of sound behind the last whole row"]


@pytest.mark.parametrize("rows", [20, 500], ids=["at once", "in blocks"])
def test_a_file_that_shrinks_while_it_is_read_is_an_error(tmp_path, monkeypatch, rows):
    monkeypatch.setattr("lotdb.interfaces.sources._KEPT", 0)
    path = tmp_path / "a.wav"
    content, _ = wav(rows, 1)
    path.write_bytes(content)
    as_stored = read._as_stored

    def cut(file, *sound):
        path.write_bytes(content[:-10])
        file.seek(0, 2)  # what was read ahead is forgotten
        return as_stored(file, *sound)

    monkeypatch.setattr(read, "_as_stored", cut)
    node = BaseNode("root").get_data_node("a")
    with pytest.raises(IngestError, match="changed while it was read"):
        node.attach_file(path)
    assert not node.has_data()
