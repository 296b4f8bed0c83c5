"""Fuzz the ingester of audio files: python tests/fuzz/fuzz_audio.py wav -max_total_time=600

The first argument is the format: wav, rf64, w64, aiff, au, caf, flac, ogg, opus or mp3. Without one, it is
told by the content. The checksums of the pages of an Ogg file are put right, as mutation alone would never
do. Those of a FLAC file are those of its frames: its header has none, and is what lies.
"""

import io
import sys

import harness  # type: ignore[import-not-found]
import numpy as np
import soundfile

from lotdb_ingest.audio import plugin as audio
from lotdb_ingest.audio.ogg import with_checksum

SOUND = (np.random.default_rng(5).standard_normal((40, 2)) * 0.2).astype("f4")
CONTAINERS = {
    "wav": ("WAV", "WAVEX"),
    "rf64": ("RF64",),
    "w64": ("W64",),
    "aiff": ("AIFF",),
    "au": ("AU",),
    "caf": ("CAF",),
    "flac": ("FLAC",),
    "ogg": ("OGG",),
    "opus": ("OGG",),
    "mp3": ("MP3",),
}


def saved(container, subtype, endian="FILE", *, channels=1, title=None):
    """The file, or None if libsndfile cannot write that."""
    file = io.BytesIO()
    try:
        with soundfile.SoundFile(file, "w", 8000, channels, subtype, endian, container) as sound:
            if title:
                sound.title = title
            sound.write(SOUND[:, :channels])
    except (soundfile.LibsndfileError, ValueError):
        return None
    return file.getvalue()


def seeds(format):
    """Small files of each encoding, byte order and number of channels, without and with a title."""
    for container in CONTAINERS[format]:
        usual = {"ogg": "VORBIS", "opus": "OPUS"}.get(format) or soundfile.default_subtype(container)
        for subtype in [usual] if container == "OGG" else soundfile.available_subtypes(container):
            yield saved(container, subtype)
            yield saved(container, subtype, channels=2)
        yield saved(container, usual, title="text")
        for endian in ("BIG", "LITTLE"):
            if soundfile.check_format(container, "PCM_16", endian):
                yield saved(container, "PCM_16", endian)


def with_checksums(content):
    """An Ogg file with the right checksum in each page."""
    head, *rests = content.split(b"OggS")
    return head + b"".join(
        with_checksum(b"OggS" + rest) if len(rest) > 22 else b"OggS" + rest for rest in rests
    )


if __name__ == "__main__":
    format = sys.argv.pop(1) if sys.argv[1:] and sys.argv[1] in CONTAINERS else "auto"
    formats = CONTAINERS if format == "auto" else [format]
    harness.run(
        audio,
        name=f"x.{format}",
        seeds=[seed for each in formats for seed in seeds(each) if seed],
        options={"format": format, "max_bytes": 1 << 25},
        made=with_checksums if format in ("ogg", "opus") else bytes,
    )
