"""Vorbis comments, which Ogg and FLAC files have, and the other blocks of FLAC's metadata.

Sources: the Vorbis I specification (5), RFC 7845 (Opus), and RFC 9639 (FLAC).
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from typing import IO, Any

from lotdb_ingest.audio.notes import KNOWN, Notes, chunk_items, encoded, tag_items
from lotdb_ingest.audio.ogg import packets, with_comments

__all__ = ["flac_notes", "ogg_notes", "write_flac", "write_ogg"]

SIGNATURES = {"vorbis": (b"\x03vorbis", b"\x01", 3), "opus": (b"OpusTags", b"", 2)}
BLOCKS = {2: "APPLICATION", 5: "CUESHEET", 6: "PICTURE"}
MOST_BLOCK = 1 << 24
#: The names under which libsndfile has the tags that have another one here.
FIELDS = {"software": "ENCODER"}
NAMES = {"encoder": "software"}
MASK = "WAVEFORMATEXTENSIBLE_CHANNEL_MASK"


def _read(content: bytes, notes: Notes, what: str) -> None:
    """Note the comments of a block."""
    length = int.from_bytes(content[:4], "little")
    vendor, place = content[4 : 4 + length], 8 + length
    notes.about["vendor"] = vendor.decode("utf-8", "replace")[:1000]
    count = int.from_bytes(content[4 + length : place], "little")
    for _ in range(count):
        length = int.from_bytes(content[place : place + 4], "little")
        comment, place = content[place + 4 : place + 4 + length], place + 4 + length
        if place > len(content):
            notes.not_kept.add(f"{what} comments that are cut")
            return
        name, equals, text = comment.partition(b"=")
        field = name.decode("latin-1")
        if not equals:
            field, text = "", comment
        if field.upper() == MASK:
            with contextlib.suppress(ValueError):
                notes.about["channel_mask"] = int(text, 0)
        notes.add_tag(f"{what} comment", NAMES.get(field.lower(), field), text)


def _block(metadata: dict[str, Any]) -> bytes:
    """The comments of a payload, as a block."""
    encodings = metadata.get("tags_encoding")
    encodings = encodings if isinstance(encodings, dict) else {}
    items = tag_items(metadata)
    mask = metadata.get("channel_mask")
    if isinstance(mask, int) and not any(name.upper() == MASK for name, _ in items):
        items.append((MASK, hex(mask)))
    comments = []
    for name, text in items:
        field = FIELDS.get(name, name.upper() if name in KNOWN else name)
        value = encoded(text, encodings.get(name))
        if all(0x20 <= ord(letter) <= 0x7D and letter != "=" for letter in field):
            comments.append(f"{field}=".encode() + value if field else value)
    vendor = b"LOTDB"
    head = len(vendor).to_bytes(4, "little") + vendor + len(comments).to_bytes(4, "little")
    return head + b"".join(len(comment).to_bytes(4, "little") + comment for comment in comments)


def ogg_notes(file: IO[bytes], start: int, notes: Notes) -> None:
    """Note the comments of an Ogg file of Vorbis, Opus or FLAC."""
    found = packets(file, start, 2, 16 << 20)
    for signature in (b"\x03vorbis", b"OpusTags"):
        if len(found) == 2 and found[1].startswith(signature):
            _read(found[1][len(signature) :], notes, "ogg")
            return
    if len(found) == 2 and found[0].startswith(b"\x7fFLAC") and found[1][:1]:
        _read(found[1][4:], notes, "ogg")


def write_ogg(file: IO[bytes], metadata: dict[str, Any], kind: str) -> None:
    """Give an Ogg file of *kind* ``"vorbis"`` or ``"opus"`` the comments of a payload."""
    signature, end, heads = SIGNATURES[kind]
    if not tag_items(metadata):
        return
    with tempfile.TemporaryFile() as copy:
        with_comments(file, heads, signature + _block(metadata) + end, copy)
        _replace(file, copy)


def flac_notes(file: IO[bytes], start: int, notes: Notes) -> None:
    """Note what the blocks of a FLAC file say."""
    for kind, place, length in _flac_blocks(file, start):
        file.seek(place)
        if kind == 4:
            _read(file.read(length), notes, "flac")
        elif kind in BLOCKS:
            if notes.has_room(f"flac block {BLOCKS[kind]!r}", length):
                notes.chunks.append([BLOCKS[kind], file.read(length)])
        elif kind not in (0, 1, 3):
            notes.not_kept.add(f"flac block of type {kind}")
        if kind == 5:
            _cuesheet(file, place, length, notes)


def _cuesheet(file: IO[bytes], place: int, length: int, notes: Notes) -> None:
    file.seek(place)
    content = file.read(length)
    at = 396
    for _ in range(content[395] if len(content) > 395 else 0):
        track = content[at : at + 36]
        if len(track) < 36:
            return
        if track[8] not in (170, 255):  # the lead-out
            notes.events.append((int.from_bytes(track[:8], "big"), 0, f"track {track[8]}"))
        at += 36 + 12 * track[35]


def write_flac(file: IO[bytes], metadata: dict[str, Any]) -> None:
    """Give a FLAC file the comments of a payload, and the blocks that came from another one."""
    numbers = {name: number for number, name in BLOCKS.items()}
    more = [
        (numbers[name], content)
        for name, content in chunk_items(metadata)
        if name in numbers and len(content) < MOST_BLOCK
    ]
    if not tag_items(metadata) and not more and "channel_mask" not in metadata:
        return
    blocks = []
    for kind, place, length in _flac_blocks(file, 0):
        file.seek(place)
        if kind not in (1, 4):
            blocks.append((kind, file.read(length)))
        end = place + length
    comments = _block(metadata)
    blocks += [(4, comments)] if len(comments) < MOST_BLOCK else []
    blocks += more
    with tempfile.TemporaryFile() as copy:
        copy.write(b"fLaC")
        for index, (kind, content) in enumerate(blocks):
            last = 0x80 if index == len(blocks) - 1 else 0
            copy.write(bytes([kind | last]) + len(content).to_bytes(3, "big") + content)
        file.seek(end)
        shutil.copyfileobj(file, copy)
        _replace(file, copy)


def _flac_blocks(file: IO[bytes], start: int) -> list[tuple[int, int, int]]:
    """Type, place and length of each block of metadata."""
    found, place, last = [], start + 4, 0
    while not last:
        file.seek(place)
        head = file.read(4)
        if len(head) < 4:
            break
        last, kind, length = head[0] & 0x80, head[0] & 0x7F, int.from_bytes(head[1:], "big")
        found.append((kind, place + 4, length))
        place += 4 + length
    return found


def _replace(file: IO[bytes], copy: IO[bytes]) -> None:
    """Put the bytes of *copy* in the place of those of *file*."""
    copy.seek(0)
    file.seek(0)
    shutil.copyfileobj(copy, file)
    file.truncate()
