"""The ingester of audio files keeps what an ingester promises."""

import io
import struct

import numpy as np
import pytest
import soundfile

from lotdb.testing import IngesterTests, Sample
from lotdb_ingest.audio import plugin as audio

NOISE = np.random.default_rng(5).integers(-3000, 3000, (50, 2), np.int16)


def encoded(data, subtype, format, rate=16000):
    file = io.BytesIO()
    soundfile.write(file, data, rate, subtype, format=format)
    return file.getvalue()


def lossy(name, subtype, format):
    content = encoded((NOISE[:, 0] / 4096).astype("f4"), subtype, format)
    with soundfile.SoundFile(io.BytesIO(content)) as file:
        decoded = file.read(file.frames, dtype="float32")
    return Sample(name, content, decoded, 16000, {"subtype": subtype}, exported=False)


def with_a_mark(content):
    cue = b"cue " + struct.pack("<IIII4sIII", 28, 1, 1, 25, b"data", 0, 0, 25)
    label = b"LIST" + struct.pack("<I4s4sII6s", 22, b"adtl", b"labl", 10, 1, b"spike\0")
    return content[:4] + struct.pack("<I", len(content + cue + label) - 8) + content[8:] + cue + label


class TestAudioIngester(IngesterTests):
    @pytest.fixture
    def plugin(self):
        return audio

    @pytest.fixture
    def samples(self):
        floats = (NOISE[:, 0] / 4096).astype("f4")
        return [
            Sample("a.wav", encoded(NOISE, "PCM_16", "WAV"), NOISE, 16000, {"subtype": "PCM_16", "bits": 16}),
            Sample("mono.WAV", encoded(floats, "FLOAT", "WAV"), floats, 16000, {"channels": 1}),
            Sample("b.flac", encoded(NOISE, "PCM_16", "FLAC", 44100), NOISE, 44100),
            Sample("c.aiff", encoded(NOISE, "PCM_16", "AIFF"), NOISE, 16000),
            Sample("d.au", encoded(NOISE, "PCM_16", "AU"), NOISE, 16000),
            Sample("e.caf", encoded(NOISE, "PCM_16", "CAF"), NOISE, 16000),
            Sample("f.w64", encoded(NOISE, "PCM_16", "W64"), NOISE, 16000),
            Sample("g.rf64", encoded(NOISE, "PCM_16", "RF64"), NOISE, 16000),
            Sample("marked.wav", with_a_mark(encoded(NOISE, "PCM_16", "WAV")), NOISE, 16000),
            lossy("h.ogg", "VORBIS", "OGG"),
            lossy("i.opus", "OPUS", "OGG"),
            lossy("j.mp3", "MPEG_LAYER_III", "MP3"),
            Sample("none.wav", encoded(NOISE[:0], "PCM_16", "WAV"), NOISE[:0], 16000),
            Sample("take.dat", encoded(NOISE, "PCM_16", "WAV"), NOISE, 16000, format="wav"),
        ]

    @pytest.fixture
    def backends(self):
        return ["blob", "zarr"]
