"""ID3 and APE tags: texts by name, chapters as events, and other frames as bytes.

Sources: ID3v2.2 to 2.4 (frames and structure), the ID3v2 Chapter Frame Addendum, APEv2, and ID3v1.1.
"""

from __future__ import annotations

import shutil
import struct
import tempfile
from typing import IO, Any

from lotdb_ingest.audio.notes import Notes, chunk_items, decoded, tag_items
from lotdb_ingest.audio.tags import behind_tags
from lotdb_ingest.text import as_utf_8

__all__ = ["id3_chunk_notes", "tag_notes", "write_id3"]

NAMES = {
    "TIT2": "title",
    "TT2": "title",
    "TCOP": "copyright",
    "TCR": "copyright",
    "TSSE": "software",
    "TSS": "software",
    "TPE1": "artist",
    "TP1": "artist",
    "COMM": "comment",
    "COM": "comment",
    "TDRC": "date",
    "TYER": "date",
    "TYE": "date",
    "TALB": "album",
    "TAL": "album",
    "TRCK": "tracknumber",
    "TRK": "tracknumber",
    "TCON": "genre",
    "TCO": "genre",
}
FRAMES = {name: frame for frame, name in NAMES.items() if len(frame) == 4 and frame != "TYER"}
ENCODINGS = ("latin-1", "utf-16", "utf-16-be", "utf-8")
MOST_BYTES = 64 << 20


def tag_notes(file: IO[bytes], size: int, notes: Notes, rate: float) -> None:
    """Note the tags before and behind what a file of *size* bytes is."""
    place = 0
    while (end := behind_tags(file, place, 1)) > place:
        file.seek(place)
        head = file.read(min(end - place, MOST_BYTES))
        if head[:3] == b"ID3":
            id3_notes(head, notes, "ID3", rate)
        elif head[:8] == b"APETAGEX":
            _ape_notes(head[32:], notes, int.from_bytes(head[16:20], "little"))
        place = end
    _at_the_end(file, size, notes, rate)


def _at_the_end(file: IO[bytes], size: int, notes: Notes, rate: float) -> None:
    file.seek(max(0, size - 128))
    last = file.read(128)
    is_v1 = last[:3] == b"TAG" and len(last) == 128
    end = size - 128 if is_v1 else size
    file.seek(max(0, end - 32))
    footer = file.read(32)
    if footer[:8] == b"APETAGEX":
        length, count = struct.unpack("<II", footer[12:20])
        if length <= min(end, MOST_BYTES):
            file.seek(end - length)
            _ape_notes(file.read(length - 32), notes, count)
    if footer[22:25] == b"3DI":
        length = _seven(footer[28:32]) + 20
        if length <= min(end, MOST_BYTES):
            file.seek(end - length)
            content = file.read(length)
            if content[:3] == b"ID3":
                id3_notes(content, notes, "ID3", rate)
    if is_v1:
        _id3v1_notes(last, notes)


def id3_notes(content: bytes, notes: Notes, what: str, rate: float) -> None:
    """Note the frames of an ID3v2 tag, which *content* begins with."""
    for name, frame in _frames_of(content, notes, what):
        if name in ("CHAP",):
            _chapter(frame, notes, rate, content[3])
        elif name in ("TXXX", "TXX"):
            about, text = _pair(frame[:1], frame[1:])
            notes.add_tag(f"{what} frame", about or name, text)
        elif name[:1] == "T":
            for text in _texts(frame):
                if not _is_there(notes, NAMES.get(name, name), text):
                    notes.add_tag(f"{what} frame", NAMES.get(name, name), text)
        elif name in ("COMM", "COM", "USLT", "ULT"):
            about, text = _pair(frame[:1], frame[4:])
            label = NAMES.get(name, name)
            notes.add_tag(f"{what} frame", f"{label}:{about}" if about else label, text)
        elif name[:1] == "W" and name not in ("WXXX", "WXX"):
            notes.add_tag(f"{what} frame", name, frame.split(b"\0")[0].decode("latin-1"))
        elif name != "CTOC":
            notes.add_chunk(f"{what} frame", name, frame)


def id3_chunk_notes(content: bytes, notes: Notes, rate: float) -> None:
    """Note the texts and chapters of a tag that is a chunk, which is kept as it is."""
    inner = Notes()
    id3_notes(content, inner, "ID3", rate)
    notes.events += inner.events
    for name, text in tag_items({"tags": inner.tags}):
        if not _is_there(notes, name, text):
            notes.add_tag("ID3 frame", name, text)


def _frames_of(content: bytes, notes: Notes, what: str) -> list[tuple[str, bytes]]:
    """Names and contents of the frames of a tag."""
    version, flags = content[3], content[5]
    size = _seven(content[6:10])
    body = content[10 : 10 + size]
    if version not in (2, 3, 4):
        notes.not_kept.add(f"{what} of version 2.{version}")
        return []
    if flags & 0x80 and version < 4:
        body = body.replace(b"\xff\0", b"\xff")
    place = 0
    if flags & 0x40 and version > 2:
        place = _seven(body[:4]) if version == 4 else 4 + int.from_bytes(body[:4], "big")
    found = []
    head = 6 if version == 2 else 10
    while place + head <= len(body) and body[place]:
        name = body[place : place + head // 2 if version == 2 else place + 4].decode("latin-1")
        if version == 2:
            length, form = int.from_bytes(body[place + 3 : place + 6], "big"), 0
        else:
            raw = body[place + 4 : place + 8]
            length = _seven(raw) if version == 4 else int.from_bytes(raw, "big")
            form = body[place + 9]
        frame = body[place + head : place + head + length]
        place += head + length
        if not name.isalnum() or len(frame) < length:
            notes.not_kept.add(f"{what} frames behind byte {place}, which are damaged")
            break
        packed = form & (0x0C if version == 4 else 0xC0)
        if packed:
            notes.not_kept.add(f"{what} frame {name!r}, which is compressed or encrypted")
            continue
        if version == 4:
            frame = frame[4:] if form & 1 else frame
            frame = frame.replace(b"\xff\0", b"\xff") if form & 2 or flags & 0x80 else frame
        found.append((name, frame))
    return found


def _id3v1_notes(content: bytes, notes: Notes) -> None:
    """Note the texts of the ID3v1 tag, the last 128 bytes of a file, that no other tag contains."""
    fields = {
        "title": content[3:33],
        "artist": content[33:63],
        "album": content[63:93],
        "date": content[93:97],
    }
    fields["comment"] = content[97:127]
    if content[125] == 0 and content[126]:
        fields["comment"] = content[97:125]
        fields["tracknumber"] = str(content[126]).encode()
    for name, field in fields.items():
        text = field.split(b"\0")[0].rstrip()
        if text and name not in notes.tags:
            notes.add_tag("ID3v1 tag", name, text)


def _ape_notes(content: bytes, notes: Notes, count: int) -> None:
    """Note the *count* items of an APE tag, which *content* begins with."""
    place = 0
    for _ in range(min(count, 10_000)):
        length, flags = int.from_bytes(content[place : place + 4], "little"), content[place + 4 : place + 8]
        end = content.find(b"\0", place + 8)
        if len(flags) < 4 or end < 0 or end + 1 + length > len(content):
            notes.not_kept.add("APE items that are damaged")
            return
        name, value = content[place + 8 : end].decode("latin-1"), content[end + 1 : end + 1 + length]
        place = end + 1 + length
        if flags[0] & 6 == 2:
            notes.add_chunk("APE item", name, value)
            continue
        for text in value.split(b"\0"):
            known = {"year": "date", "track": "tracknumber"}.get(name.lower(), name)
            if not _is_there(notes, known, decoded(text)[0]):
                notes.add_tag("APE item", known, text)


def write_id3(file: IO[bytes], metadata: dict[str, Any]) -> None:
    """Put an ID3v2.4 tag with the tags of a payload before what *file* holds."""
    frames = b""
    for name, text in tag_items(metadata):
        value = text.encode("utf-8", "replace")
        label, _, about = name.partition(":")
        if label in ("comment", "USLT"):
            frames += _framed(
                "COMM" if label == "comment" else label, b"\3eng" + about.encode() + b"\0" + value
            )
        elif name in FRAMES:
            frames += _framed(FRAMES[name], b"\3" + value)
        elif len(name) == 4 and name.isascii() and name.isalnum() and name[0] == "T" and name.isupper():
            frames += _framed(name, b"\3" + value)
        elif len(name) == 4 and name.isascii() and name.isalnum() and name[0] == "W" and name.isupper():
            frames += _framed(name, text.encode("latin-1", "replace"))
        else:
            frames += _framed("TXXX", b"\3" + name.encode("utf-8", "replace") + b"\0" + value)
    for name, content in chunk_items(metadata) if metadata.get("container") == "MP3" else ():
        if len(name) == 4 and name.isascii() and name.isalnum() and name.isupper():
            frames += _framed(name, content)
    if not frames:
        return
    with tempfile.TemporaryFile() as copy:
        copy.write(b"ID3\4\0\0" + _as_seven(len(frames)) + frames)
        file.seek(0)
        shutil.copyfileobj(file, copy)
        copy.seek(0)
        file.seek(0)
        shutil.copyfileobj(copy, file)


def _is_there(notes: Notes, name: str, text: str) -> bool:
    """Whether another tag of the same file has said so."""
    there = notes.tags.get(name, notes.tags.get(name.lower()))
    return text == there or (isinstance(there, list) and text in there)


def _framed(name: str, content: bytes) -> bytes:
    return name.encode() + _as_seven(len(content)) + b"\0\0" + content


def _seven(content: bytes) -> int:
    """Bytes of seven bits each as a number."""
    number = 0
    for byte in content:
        number = number << 7 | byte & 0x7F
    return number


def _as_seven(number: int) -> bytes:
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


def _text(kind: bytes, content: bytes) -> str:
    encoding = ENCODINGS[kind[0]] if kind and kind[0] < len(ENCODINGS) else "latin-1"
    text = content.decode(encoding, "replace")
    # Programs write UTF-8 where they say Latin-1.
    return (as_utf_8(text) if encoding == "latin-1" else text).removeprefix("\ufeff")


def _texts(frame: bytes) -> list[str]:
    texts = _text(frame[:1], frame[1:]).rstrip("\0").split("\0")
    return [text.removeprefix("\ufeff") for text in texts]


def _pair(kind: bytes, content: bytes) -> tuple[str, str]:
    """A description and a text, which a NUL of their encoding parts."""
    step = 2 if kind and kind[0] in (1, 2) else 1
    for place in range(0, len(content) - step + 1, step):
        if content[place : place + step] == bytes(step):
            about = _text(kind, content[:place])
            return about, _text(kind, content[place + step :]).rstrip("\0")
    return "", _text(kind, content).rstrip("\0")


def _chapter(frame: bytes, notes: Notes, rate: float, version: int) -> None:
    name, _, rest = frame.partition(b"\0")
    if len(rest) < 16:
        notes.not_kept.add("ID3 frame 'CHAP' that is cut")
        return
    begin, end = int.from_bytes(rest[:4], "big"), int.from_bytes(rest[4:8], "big")
    inner = b"ID3" + bytes([version, 0, 0]) + _as_seven(len(rest) - 16) + rest[16:]
    titles = [text for each, sub in _frames_of(inner, notes, "ID3") if each == "TIT2" for text in _texts(sub)]
    label = titles[0] if titles else name.decode("latin-1")
    notes.events.append((begin * rate / 1000, max(0, end - begin) * rate / 1000, label))
