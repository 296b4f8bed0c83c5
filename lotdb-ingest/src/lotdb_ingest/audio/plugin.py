"""Audio files, through libsndfile: wav, rf64, w64, aiff, au, caf, flac, ogg, opus and mp3.

Samples keep their own width: integers stay integers, floating point stays what it is, and what a lossy codec
decodes to is float32. One channel gives an array of one axis, several give columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lotdb.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lotdb import Ingested, Payload, SourceFile, TargetFile

#: Format names, and the containers of libsndfile that files of that name may be.
CONTAINERS = {
    "aif": ("AIFF",),
    "aifc": ("AIFF",),
    "aiff": ("AIFF",),
    "au": ("AU",),
    "caf": ("CAF",),
    "flac": ("FLAC",),
    "mp3": ("MP3",),
    "oga": ("OGG",),
    "ogg": ("OGG",),
    "opus": ("OGG",),
    "rf64": ("RF64",),
    "snd": ("AU",),
    "w64": ("W64",),
    "wav": ("WAV", "WAVEX", "RF64"),
    "wave": ("WAV", "WAVEX", "RF64"),
}


@hookimpl
def lotdb_identify_file(source: SourceFile) -> str | None:
    """The audio format whose signature the file begins with, after any tags."""
    head = source.head
    if tagged := head[:3] in (b"ID3", b"TAG") or head[:8] == b"APETAGEX":
        from lotdb_ingest.audio.tags import behind_tags

        source.file.seek(behind_tags(source.file))
        head = source.file.read(len(head))
    if head[:4] in (b"RIFF", b"RIFX") and head[8:12] == b"WAVE":
        return "wav"
    if head[:4] in (b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return "rf64"
    if head[:16] == b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00":
        return "w64"
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "aiff"
    if head[:4] == b"OggS":
        return "opus" if b"OpusHead" in head[:100] else "ogg"
    signatures = {b"fLaC": "flac", b".snd": "au", b"dns.": "au", b"caff": "caf"}
    if head[:4] in signatures:
        return signatures[head[:4]]
    # The eleven bits that a frame of MPEG audio begins with; a layer and rates that exist.
    is_frame = len(head) > 3 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] & 0x06
    if tagged or (is_frame and head[2] >> 4 != 15 and head[2] & 0x0C != 0x0C):
        return "mp3"
    return None


@hookimpl
def lotdb_ingest_file(source: SourceFile) -> Mapping[str, Ingested] | None:
    """The samples of an audio file, channels in columns, with its rate, encoding, tags and other notes.

    Events in the file, such as cue points, are a table ``events`` beside it, of ``onset_s``, ``duration_s``
    and ``label``.
    """
    if source.format not in CONTAINERS:
        return None
    source.check_options()
    from lotdb_ingest.audio.read import read

    return read(source, lotdb_identify_file(source), CONTAINERS[source.format])


@hookimpl
def lotdb_get_ingest_formats() -> list[str]:
    """The formats that :func:`lotdb_ingest_file` reads."""
    return [*CONTAINERS]


@hookimpl
def lotdb_get_export_formats() -> list[str]:
    """The formats that :func:`lotdb_export_file` writes."""
    return [*CONTAINERS]


@hookimpl
def lotdb_export_file(target: TargetFile, payload: Payload) -> bool | None:
    """Write samples; options ``subtype`` (as soundfile names it) and ``samplerate_hz``.

    Without ``subtype`` it is that of the file that the payload came from, or the one of the payload's dtype.
    ogg, opus, mp3 and the subtypes that compress are lossy.
    """
    if target.format not in CONTAINERS or payload.kind != "array":
        return None
    target.check_options("subtype", "samplerate_hz")
    from lotdb_ingest.audio.write import write

    write(target, payload, CONTAINERS[target.format])
    return True
