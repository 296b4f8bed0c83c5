"""Text files: txt, text, log and md.

A byte order mark is no part of the text (Unicode Standard, 23.8). It is noted, as the encoding is, so that
the same bytes can be written again.
"""

from __future__ import annotations

import codecs
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from lotdb import (
    Blocks,
    ExportError,
    Ingested,
    IngestError,
    InvalidOptionError,
    Payload,
    SourceFile,
    TargetFile,
)
from lotdb.hookspecs import hookimpl
from lotdb_ingest import signatures

FORMATS = ("txt", "text", "log", "md")
PIECE = 1 << 20
# Texts of more bytes come in blocks.
WHOLE_BYTES = 4 << 20
# The mark of UTF-32 in little-endian order begins with that of UTF-16, so it comes first.
BYTE_ORDER_MARKS = {
    "utf-8": codecs.BOM_UTF8,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
}

# Encodings that need the whole text; for a part of it they give a wrong result.
OF_NAMES = ("idna", "punycode")


@hookimpl
def lotdb_ingest_file(source: SourceFile) -> Ingested | None:
    """The text of a file, line ends as they are.

    Its encoding is what its byte order mark says, or else UTF-8, unless the option ``encoding`` names one.
    """
    if source.format not in FORMATS:
        return None
    source.check_options("encoding")
    asked = source.options.get("encoding")
    encoding, mark = find_encoding(source.head, asked)
    text = _utf_8(source, encoding, len(mark), refuse_nul=asked is None and not mark)
    about = {"encoding": encoding, "bom": bool(mark)}
    data: Any
    if source.size <= WHOLE_BYTES:
        data = b"".join(text).decode("utf-8", "surrogatepass")
    else:
        rows = source.size - len(mark) if encoding == "utf-8" else None
        blocks = (np.frombuffer(piece, np.uint8) for piece in text)
        data = Blocks(blocks, np.dtype(np.uint8), rows=rows, kind="text")
    return Ingested(data, format="txt", content_type="text/plain", metadata=about)


@hookimpl
def lotdb_get_ingest_formats() -> list[str]:
    """The formats that :func:`lotdb_ingest_file` reads."""
    return [*FORMATS]


@hookimpl
def lotdb_get_export_formats() -> list[str]:
    """The formats that :func:`lotdb_export_file` writes."""
    return [*FORMATS]


@hookimpl
def lotdb_export_file(target: TargetFile, payload: Payload) -> bool | None:
    """Write a text as it came in: in the encoding of its file, with its byte order mark.

    The option ``encoding`` chooses another one, without a mark unless that encoding always has one. A text
    that came from no file is written as UTF-8.
    """
    if target.format not in FORMATS or payload.kind != "text":
        return None
    target.check_options("encoding")
    write(target, payload)
    return True


def find_encoding(head: bytes, asked: Any = None) -> tuple[str, bytes]:
    """Name of the encoding, with its byte order, and the byte order mark that *head* begins with.

    >>> find_encoding(b"hello")
    ('utf-8', b'')
    >>> find_encoding(b"\\xff\\xfeh\\0", "utf-16")
    ('utf-16-le', b'\\xff\\xfe')
    """
    if asked is None:
        marked = [name for name, mark in BYTE_ORDER_MARKS.items() if head.startswith(mark)]
        encoding = marked[0] if marked else "utf-8"
        return encoding, BYTE_ORDER_MARKS[encoding] if marked else b""
    name = codec_name(asked)
    if name in ("utf-16", "utf-32"):
        mark = BYTE_ORDER_MARKS[f"{name}-be"]
        # Without a mark Python takes the order of the machine; files are little-endian much more often.
        name += "-be" if head.startswith(mark) else "-le"
    name = {"utf-8-sig": "utf-8"}.get(name, name)
    mark = BYTE_ORDER_MARKS.get(name, b"")
    encoding = name if name in BYTE_ORDER_MARKS else asked
    return encoding, mark if mark and head.startswith(mark) else b""


def codec_name(encoding: Any) -> str:
    """What Python calls *encoding*; ``InvalidOptionError`` if it is no encoding of text."""
    try:
        " ".encode(encoding)  # which refuses codecs that are no encodings of text
        name = codecs.lookup(encoding).name
        if name in OF_NAMES:
            raise LookupError("an encoding of domain names")
        return name
    except (LookupError, TypeError, ValueError) as error:
        raise InvalidOptionError(
            f"encoding is {encoding!r} ({error}); use the name of an encoding, such as 'latin-1'"
        ) from error


def as_utf_8(text: str) -> str:
    """*text*, whose bytes were decoded as Latin-1, decoded as UTF-8 if that is possible.

    >>> as_utf_8("hÃ¶her"), as_utf_8("höher")
    ('höher', 'höher')
    """
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def write(target: TargetFile, payload: Payload) -> None:
    """Write a text in the encoding that the user asked for, or in that of its file."""
    asked, about = target.options.get("encoding"), payload.metadata
    if asked is None:
        encoding, mark = _noted_encoding(about)
    else:
        codec_name(asked)
        encoding, mark = asked, b""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogatepass")
    encoder = codecs.getincrementalencoder(encoding)()
    target.file.write(mark)
    for first in itertools.chain(range(0, len(payload), PIECE), [None]):
        rows = b"" if first is None else payload[first : first + PIECE].tobytes()
        try:
            target.file.write(encoder.encode(decoder.decode(rows, first is None), first is None))
        except UnicodeError as error:
            raise ExportError(
                f"the text cannot be written as {encoding}: {_reason(error)}; pass encoding='utf-8'"
            ) from error


def _noted_encoding(about: dict[str, Any]) -> tuple[str, bytes]:
    """The encoding and byte order mark of the file that the text came from, from the metadata."""
    try:
        name = codec_name(about.get("encoding", "utf-8"))
    except InvalidOptionError:
        return "utf-8", b""  # another program's metadata of the same name
    encoding = next(
        (each for each in BYTE_ORDER_MARKS if codec_name(each) == name), about.get("encoding", name)
    )
    return encoding, BYTE_ORDER_MARKS.get(encoding, b"") if about.get("bom") is True else b""


def _utf_8(source: SourceFile, encoding: str, start: int, *, refuse_nul: bool) -> Iterator[bytes]:
    """The text behind *start* as UTF-8, piece by piece."""
    decoder = codecs.getincrementaldecoder(encoding)()
    source.file.seek(start)
    offset = start
    while True:
        piece = source.file.read(PIECE)
        waiting = decoder.getstate()[0]
        try:
            text = decoder.decode(piece, not piece)
        except UnicodeError as error:
            place = offset - len(waiting) + getattr(error, "start", 0)
            raise IngestError(
                f"it is not {encoding} text: {_reason(error)} at offset {place}"
                f"{signatures.content_is(source.head)}; "
                "pass encoding= for a text, or format='raw' to keep the bytes"
            ) from error
        if refuse_nul and "\0" in text:
            raise IngestError(
                f"it has a NUL byte at offset {offset + piece.find(0)}, as text in UTF-8 has not; "
                "pass encoding= ('utf-16' if every second byte is NUL), or format='raw' to keep the bytes"
            )
        if text:
            yield text.encode("utf-8", "surrogatepass")
        if not piece:
            return
        offset += len(piece)


def _reason(error: UnicodeError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"byte 0x{error.object[error.start]:02x} ({error.reason})"
    if isinstance(error, UnicodeEncodeError):
        return f"character {error.object[error.start]!r} ({error.reason})"
    return str(error)
