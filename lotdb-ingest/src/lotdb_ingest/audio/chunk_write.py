"""What libsndfile does not write into wav, RF64, AIFF and CAF files: notes, exact rates and lengths."""

from __future__ import annotations

import struct
from typing import IO, Any

from lotdb import ExportError
from lotdb_ingest.audio.chunk_notes import AIFF_TEXTS, INFO, NO_NOTES
from lotdb_ingest.audio.chunks import chunks, order_of
from lotdb_ingest.audio.headers import extended, rate_place
from lotdb_ingest.audio.notes import chunk_items, encoded, tag_items

__all__ = ["set_frames", "set_mask", "set_rate", "write_chunks"]

#: Which containers' chunks may go into which.
FAMILIES = {"WAV": "riff", "WAVEX": "riff", "RF64": "riff", "W64": "", "AIFF": "aiff", "CAF": "caf"}
FORMATS = {"WAV": "wav", "WAVEX": "wav", "RF64": "rf64", "W64": "w64", "AIFF": "aiff", "CAF": "caf"}
MOST_IN_32_BITS = (1 << 32) - 1


def write_chunks(file: IO[bytes], container: str, metadata: dict[str, Any]) -> None:
    """Append the tags to *file*, and the chunks, if they came from a file of the same kind."""
    family = FAMILIES.get(container)
    if not family:
        return
    file.seek(0)
    order = ">" if family != "riff" or file.read(4) == b"RIFX" else "<"
    found = _kept(metadata, family, order) + _tags(metadata, family, order)
    form = f"{order}4sq" if family == "caf" else f"{order}4sI"
    size = file.seek(0, 2)
    if family != "caf" and size % 2 and found:
        file.write(b"\0")
    for name, content in found:
        file.write(struct.pack(form, name, len(content)) + content)
        if family != "caf" and len(content) % 2:
            file.write(b"\0")
    if found:
        _set_size(file, container, order)


def _set_size(file: IO[bytes], container: str, order: str) -> None:
    size = file.seek(0, 2)
    if container == "RF64":
        file.seek(12)
        if file.read(4) == b"ds64":
            file.seek(20)
            file.write(struct.pack("<Q", size - 8))
            return
    if container != "CAF":
        if size - 8 > MOST_IN_32_BITS:
            raise ExportError(
                f"with its tags it has {size} bytes, more than its format can say; choose rf64 or caf"
            )
        file.seek(4)
        file.write(struct.pack(f"{order}I", size - 8))


def _kept(metadata: dict[str, Any], family: str, order: str) -> list[tuple[bytes, bytes]]:
    """The chunks of a file of this family and order of bytes."""
    came_from = metadata.get("container")
    if FAMILIES.get(str(came_from)) != family:
        return []
    if family == "riff" and order != (">" if metadata.get("endian") == "BIG" else "<"):
        return []
    found = []
    for name, content in chunk_items(metadata):
        letters = name[:4].encode("latin-1", "replace")
        if len(letters) == 4 and letters not in NO_NOTES["wav" if family == "riff" else family]:
            found.append((letters, content))
    return found


def _tags(metadata: dict[str, Any], family: str, order: str) -> list[tuple[bytes, bytes]]:
    items = tag_items(metadata)
    encodings = metadata.get("tags_encoding")
    encodings = encodings if isinstance(encodings, dict) else {}
    if not items:
        return []
    if family == "riff":
        return [(b"LIST", b"INFO" + body)] if (body := _info(items, encodings, order)) else []
    if family == "caf":
        pairs = [part.encode("utf-8", "replace").replace(b"\0", b"") for item in items for part in item]
        return [(b"info", len(items).to_bytes(4, "big") + b"".join(part + b"\0" for part in pairs))]
    names = {name: chunk for chunk, name in AIFF_TEXTS.items()}
    found = [(names[name], encoded(text, encodings.get(name))) for name, text in items if name in names]
    found += [(b"APPL", b"m3ga" + encoded(text, None)) for name, text in items if name == "software"]
    return found


def _info(items: list[tuple[str, str]], encodings: dict[str, Any], order: str) -> bytes:
    names = {name: chunk for chunk, name in INFO.items() if chunk != "IPRT"}
    body = b""
    for name, text in items:
        chunk = names.get(name, name).encode("latin-1", "replace")
        value = encoded(text, encodings.get(name)) + b"\0"
        if len(chunk) == 4 and chunk.isalnum():
            body += struct.pack(f"{order}4sI", chunk, len(value)) + value + b"\0" * (len(value) % 2)
    return body


def set_rate(file: IO[bytes], container: str, rate: float) -> None:
    """Have an AIFF or CAF file say a *rate* that is no whole number."""
    format = FORMATS[container]
    place = rate_place(format, list(chunks(format, file, 0, file.seek(0, 2))))
    if place is not None:
        file.seek(place)
        file.write(extended(rate) if container == "AIFF" else struct.pack(">d", rate))


def set_mask(file: IO[bytes], container: str, mask: int) -> None:
    """Have the header of a wav file with such a field say which loudspeakers its channels are for."""
    for chunk in chunks(FORMATS[container], file, 0, file.seek(0, 2)):
        if chunk.name == b"fmt " and chunk.length >= 40 and chunk.read(file, 2) in (b"\xfe\xff", b"\xff\xfe"):
            order = order_of(file, 0)
            file.seek(chunk.place + 20)
            file.write(struct.pack(f"{order}I", mask))
            return


def set_frames(file: IO[bytes], container: str, frames: int) -> None:
    """Set the number of rows in the header of an AIFF or wav file, which excludes filler rows."""
    format = FORMATS[container]
    names = {b"COMM": (2, ">I"), b"fact": (0, "<Q" if container == "W64" else "<I")}
    for chunk in chunks(format, file, 0, file.seek(0, 2)):
        if chunk.name in names and frames <= MOST_IN_32_BITS:
            offset, form = names[chunk.name]
            file.seek(chunk.place + offset)
            file.write(struct.pack(form, frames))
