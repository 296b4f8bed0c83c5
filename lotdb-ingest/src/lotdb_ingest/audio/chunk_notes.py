"""Reading the notes in the chunks of wav, RF64, Wave64, AIFF and CAF files.

Sources: the RIFF Multimedia Programming Interface (INFO, cue, adtl, smpl), EBU Tech 3285 (bext), the iXML
and GUANO specifications, AIFF 1.3, and the Apple Core Audio Format specification.
"""

from __future__ import annotations

import struct
from typing import IO, Any

from lotdb_ingest.audio.chunks import Chunk
from lotdb_ingest.audio.headers import Sound
from lotdb_ingest.audio.id3 import id3_chunk_notes
from lotdb_ingest.audio.notes import Notes, decoded

__all__ = ["AIFF_TEXTS", "INFO", "chunk_notes"]

#: Chunks that are the sound itself, or nothing.
NO_NOTES = {
    "wav": (b"fmt ", b"data", b"fact", b"ds64", b"JUNK", b"junk", b"PAD ", b"FLLR", b"fllr", b"CSET"),
    "aiff": (b"COMM", b"SSND", b"FVER", b"FLLR", b"PAD "),
    "caf": (b"desc", b"data", b"free", b"pakt", b"kuki"),
}
NO_NOTES["rf64"] = NO_NOTES["w64"] = NO_NOTES["wav"]
#: Peaks and the like, which can be computed from the samples.
OF_THE_SAMPLES = (b"PEAK", b"peak", b"levl", b"ovvw", b"elm1", b"minf")
INFO = {
    "INAM": "title",
    "ICOP": "copyright",
    "ISFT": "software",
    "IART": "artist",
    "ICMT": "comment",
    "ICRD": "date",
    "IPRD": "album",
    "ITRK": "tracknumber",
    "IPRT": "tracknumber",
    "IGNR": "genre",
}
AIFF_TEXTS = {b"NAME": "title", b"AUTH": "artist", b"(c) ": "copyright", b"ANNO": "comment"}
#: A chunk of texts may be this long; longer ones are named as left behind.
MOST_BYTES = 16 << 20
BEXT = (
    ("description", 256),
    ("originator", 32),
    ("originator_reference", 32),
    ("origination_date", 10),
    ("origination_time", 8),
)
LOOPS = ("forward", "back and forth", "backward")


def chunk_notes(format: str, file: IO[bytes], sound: Sound, notes: Notes, rate: float) -> None:
    """Note what all chunks of a file say that are not its sound."""
    what = f"{format} chunk"
    order = sound.order
    encoding = _code_page(sound, file, order)
    seen: dict[str, Chunk] = {}
    for chunk in sound.chunks:
        if chunk.name in NO_NOTES[format]:
            continue
        if chunk.name in OF_THE_SAMPLES:
            notes.not_kept.add(f"{what} {chunk.text!r}")
        elif chunk.end == chunk.place and chunk.length:
            notes.not_kept.add(f"{what} {chunk.text!r}, which is cut")
        elif chunk.length > MOST_BYTES:
            notes.not_kept.add(f"{what} {chunk.text!r} of {chunk.length} bytes")
        else:
            seen[chunk.text] = chunk
            if format in ("wav", "rf64", "w64"):
                _of_riff(chunk, chunk.read(file), notes, order, what, encoding)
            elif format == "aiff":
                _of_aiff(chunk, chunk.read(file), notes, what)
            else:
                _of_caf(chunk, chunk.read(file), notes, what)
    for name in ("id3 ", "ID3 ", "ID32"):  # last, because they repeat texts of the others
        if name in seen and (content := seen[name].read(file))[:3] == b"ID3":
            id3_chunk_notes(content, notes, rate)
    if format in ("wav", "rf64", "w64"):
        _cue_events(seen, file, sound, notes, order)
    elif format == "caf":
        _caf_events(seen, file, notes)


def _code_page(sound: Sound, file: IO[bytes], order: str) -> str:
    """The encoding that a wav file says its texts are in."""
    content = next((chunk.read(file, 2) for chunk in sound.chunks if chunk.name == b"CSET"), b"")
    page = struct.unpack(f"{order}H", content)[0] if len(content) == 2 else 0
    return f"cp{page}" if page else "cp1252"


# -- wav -------------------------------------------------------------------------------------------


def _of_riff(chunk: Chunk, content: bytes, notes: Notes, order: str, what: str, encoding: str) -> None:
    kind = content[:4]
    if chunk.name in (b"LIST", b"list") and kind == b"INFO":
        _info(content, notes, order, encoding)
        return
    name = f"{chunk.text} {kind.decode('latin-1')}" if chunk.name in (b"LIST", b"list") else chunk.text
    notes.add_chunk(what, name, content)
    if chunk.name == b"bext" and len(content) >= 348:
        notes.about["broadcast"] = _bext(content)
    elif chunk.name in (b"iXML", b"axml", b"_PMX", b"XMP "):
        _add_text(notes, {b"iXML": "ixml", b"axml": "axml"}.get(chunk.name, "xmp"), content)
    elif chunk.name == b"guan":
        _guano(content, notes)
    elif chunk.name == b"smpl" and len(content) >= 36:
        notes.about["sampler"] = _smpl(content, order)


def _add_text(notes: Notes, name: str, content: bytes) -> None:
    if notes.has_room(f"text {name!r}", len(content)):
        notes.about[name] = decoded(content.rstrip(b"\0"))[0]


def _info(content: bytes, notes: Notes, order: str, encoding: str) -> None:
    place = 4
    while place + 8 <= len(content):
        name = content[place : place + 4].decode("latin-1")
        length = struct.unpack(f"{order}I", content[place + 4 : place + 8])[0]
        value = content[place + 8 : place + 8 + length]
        place += 8 + length + length % 2
        if len(value) < length:
            notes.not_kept.add(f"wav tag {name!r}, which is cut")
        text, _, rest = value.partition(b"\0")
        if rest.strip(b"\0"):
            notes.not_kept.add(f"bytes behind the text of wav tag {name!r}")
        if text:
            notes.add_tag("wav tag", INFO.get(name, name), text, encoding)


def _bext(content: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {}
    place = 0
    for name, length in BEXT:
        found[name] = _to_nul(content[place : place + length])
        place += length
    found["time_reference"], found["version"] = struct.unpack("<QH", content[338:348])
    if any(content[348:412]):
        found["umid"] = content[348:412].hex()
    if found["version"] >= 2 and len(content) >= 422:
        names = ("value", "range", "max_true_peak_level", "max_momentary", "max_short_term")
        loudness = struct.unpack("<5h", content[412:422])
        found["loudness"] = {name: each / 100 for name, each in zip(names, loudness, strict=True)}
    if len(content) > 602 and (history := _to_nul(content[602:])):
        found["coding_history"] = history
    return found


def _to_nul(content: bytes) -> str:
    return decoded(content.split(b"\0", 1)[0])[0]


def _guano(content: bytes, notes: Notes) -> None:
    if not notes.has_room("text 'guano'", len(content)):
        return
    fields: dict[str, Any] = {}
    for line in decoded(content.rstrip(b"\0"))[0].splitlines():
        name, colon, value = line.partition(":")
        if colon:
            fields[name.strip()] = value.strip()
    notes.about["guano"] = fields


def _smpl(content: bytes, order: str) -> dict[str, Any]:
    numbers = struct.unpack(f"{order}9I", content[:36])
    names = (
        "manufacturer",
        "product",
        "period_ns",
        "unity_note",
        "pitch_fraction",
        "smpte_format",
        "smpte_offset",
    )
    loops = []
    for place in range(36, min(len(content), 36 + 24 * min(numbers[7], 1000)) - 23, 24):
        _, kind, begin, end, _, count = struct.unpack(f"{order}6I", content[place : place + 24])
        how = LOOPS[kind] if kind < len(LOOPS) else str(kind)
        loops.append({"start_row": begin, "end_row": end, "kind": how, "times": count})
    return {**dict(zip(names, numbers[:7], strict=True)), "loops": loops}


def _cue_events(seen: dict[str, Chunk], file: IO[bytes], sound: Sound, notes: Notes, order: str) -> None:
    if "cue " not in seen:
        return
    labels, lengths = _labels(sound, file, order)
    content = seen["cue "].read(file)
    count = struct.unpack(f"{order}I", content[:4])[0] if len(content) >= 4 else 0
    for index in range(count):
        entry = content[4 + 24 * index : 28 + 24 * index]
        if len(entry) < 24:
            notes.not_kept.add(f"{count - index} cue points that are cut")
            return
        number, position, _, _, _, row = struct.unpack(f"{order}II4sIII", entry)
        notes.events.append((row or position, lengths.get(number, 0), "; ".join(labels.get(number, ()))))


def _labels(sound: Sound, file: IO[bytes], order: str) -> tuple[dict[int, list[str]], dict[int, int]]:
    """What lists of associated data say of cue points: their texts, and how many rows they last."""
    labels: dict[int, list[str]] = {}
    lengths: dict[int, int] = {}
    for chunk in sound.chunks:
        if (
            chunk.name not in (b"LIST", b"list")
            or chunk.read(file, 4) != b"adtl"
            or chunk.length > MOST_BYTES
        ):
            continue
        content, place = chunk.read(file), 4
        while place + 12 <= len(content):
            name, length, number = struct.unpack(f"{order}4sII", content[place : place + 12])
            value = content[place + 12 : place + 8 + length]
            place += 8 + length + length % 2
            if name == b"ltxt" and len(value) >= 16:
                lengths[number] = struct.unpack(f"{order}I", value[:4])[0]
                value = value[16:]
            elif name not in (b"labl", b"note"):
                continue
            if text := _to_nul(value):
                labels.setdefault(number, []).append(text)
    return labels, lengths


# -- AIFF ------------------------------------------------------------------------------------------


def _of_aiff(chunk: Chunk, content: bytes, notes: Notes, what: str) -> None:
    if chunk.name in AIFF_TEXTS:
        notes.add_tag(what, AIFF_TEXTS[chunk.name], content.rstrip(b"\0"), "cp1252")
        return
    if chunk.name == b"APPL" and content[:4] == b"m3ga":  # as libsndfile has it
        notes.add_tag(what, "software", content[4:].rstrip(b"\0"))
        return
    notes.add_chunk(what, chunk.text, content)
    if chunk.name == b"MARK":
        _marks(content, notes)
    elif chunk.name == b"COMT":
        _comments(content, notes)


def _marks(content: bytes, notes: Notes) -> None:
    place = 2
    count = int.from_bytes(content[:2], "big")
    for index in range(count):
        if place + 7 > len(content):
            notes.not_kept.add(f"{count - index} markers that are cut")
            return
        row, length = int.from_bytes(content[place + 2 : place + 6], "big"), content[place + 6]
        notes.events.append((row, 0, decoded(content[place + 7 : place + 7 + length], "mac-roman")[0]))
        place += 7 + length + (length + 1) % 2  # the count and the text have an even length


def _comments(content: bytes, notes: Notes) -> None:
    place = 2
    texts: list[str] = []
    notes.about["comments"] = texts
    for _ in range(int.from_bytes(content[:2], "big")):
        length = int.from_bytes(content[place + 6 : place + 8], "big")
        if place + 8 + length > len(content):
            return
        texts.append(decoded(content[place + 8 : place + 8 + length].rstrip(b"\0"), "mac-roman")[0])
        place += 8 + length + length % 2


# -- CAF -------------------------------------------------------------------------------------------


def _of_caf(chunk: Chunk, content: bytes, notes: Notes, what: str) -> None:
    if chunk.name == b"info":
        parts = content[4:].split(b"\0")
        for name, text in zip(parts[:-1:2], parts[1::2], strict=False):
            notes.add_tag("caf tag", decoded(name)[0], text)
        return
    notes.add_chunk(what, chunk.text, content)
    if chunk.name == b"chan" and len(content) >= 12:
        tag, bitmap = struct.unpack(">II", content[:8])
        notes.about["channel_layout"] = {"tag": tag, "bitmap": bitmap}


def _caf_events(seen: dict[str, Chunk], file: IO[bytes], notes: Notes) -> None:
    if "mark" not in seen:
        return
    content, strings = seen["mark"].read(file), seen["strg"].read(file) if "strg" in seen else b""
    labels: dict[int, str] = {}
    count = min(int.from_bytes(strings[:4], "big"), len(strings) // 12)
    for index in range(count):
        number, offset = struct.unpack(">Iq", strings[4 + 12 * index : 16 + 12 * index])
        if offset >= 0:
            labels[number] = _to_nul(strings[4 + 12 * count + offset :])
    for place in range(8, len(content) - 27, 28):
        _, row, number = struct.unpack(">IdI", content[place : place + 16])
        if row == row and abs(row) != float("inf"):
            notes.events.append((row, 0, labels.get(number, "")))
