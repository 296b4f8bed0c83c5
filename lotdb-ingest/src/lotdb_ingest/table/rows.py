"""The rows of a file: their cells as texts, in bounded memory, whatever the file holds."""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from typing import IO

from lotdb import IngestError, InvalidOptionError, SourceFile
from lotdb_ingest.signatures import content_is
from lotdb_ingest.table.options import SEPARATOR, Reading, check_mark, check_marks_differ
from lotdb_ingest.text import find_encoding

__all__ = ["Rows", "encoding_of", "find_delimiter"]

# Of a row. It is read as a whole, and one that is longer has a quote that was never closed, or is no row.
MAX_CHARACTERS = 16 << 20

# Of the lines above the header, of which the first are kept.
MAX_SKIPPED = 1 << 16


def encoding_of(source: SourceFile, asked: str | None) -> tuple[str, bytes]:
    """The encoding in which *source* is read, and the byte order mark that it begins with.

    Raises
    ------
    IngestError
        If it is not text, or not in the encoding that was *asked* for.
    """
    encoding, mark = find_encoding(source.head, asked)
    if asked is not None:
        marked, its_mark = find_encoding(source.head)
        if its_mark and not mark:
            raise IngestError(f"it begins with the byte order mark of {marked}, encoding= says {asked!r}")
    elif not mark and b"\0" in source.head:
        raise IngestError(
            f"it is not text in UTF-8: byte {source.head.index(0)} is NUL{content_is(source.head)}; "
            "pass encoding='utf-16' if every second byte is NUL"
        )
    return encoding, mark


def find_delimiter(source: SourceFile, how: Reading, encoding: str, start: int) -> Reading:
    """*how*, with the delimiter that Excel's first line ``sep=`` names, if there is one, which is skipped.

    Raises
    ------
    IngestError
        If that line names no delimiter.
    """
    source.file.seek(start)
    text = io.TextIOWrapper(source.file, encoding, errors="replace", newline="")
    try:
        line = text.readline(80)
    finally:
        text.detach()  # or else the file would be closed with it
    found = SEPARATOR.fullmatch(line)
    if found is None:
        return how
    # Some programs fill it up with empty cells.
    marks = set(found[1]) - {'"'}
    given = "delimiter" in source.options
    if len(marks) != 1 and given:
        return how
    try:
        mark = check_mark("sep=", "".join(sorted(marks)))
        if not given:
            check_marks_differ(mark, how.quotechar, how.decimal)
    except InvalidOptionError as error:
        raise IngestError(
            f"its first line is {line.strip()!r}, which names no delimiter that can be used: {error}; pass "
            "delimiter="
        ) from error
    return replace(how, delimiter=how.delimiter if given else mark, skip_rows=max(1, how.skip_rows))


class Rows:
    """The rows of *source* from the one below ``skip_rows`` on, blank ones as no cells.

    Attributes
    ----------
    line
        In which line the last row began, counted from 1.
    characters
        How many characters have been read; set it to zero to start counting again.
    newline
        What ended the first line.
    skipped
        The lines above the header, or the first of them.
    left_out
        What of the file is neither in the rows nor in ``skipped``.
    """

    def __init__(self, source: SourceFile, how: Reading, *, encoding: str, start: int) -> None:
        self._source = source
        self._how = how
        self._encoding = encoding
        self._start = start
        self.line = 0
        self.characters = 0
        self.newline = "\n"
        self.skipped: list[str] = []
        self.left_out: list[str] = []

    def __iter__(self) -> Iterator[list[str]]:
        self._source.file.seek(self._start)
        text = io.TextIOWrapper(self._source.file, self._encoding, newline="")
        lines = _Lines(text, self._how.comment, about=content_is(self._source.head))
        try:
            self._skip(lines)
            for row in self._parsed(lines):
                self.line = lines.first
                self.characters += lines.characters
                lines.first = lines.characters = 0
                yield row
        except UnicodeDecodeError as error:
            raise IngestError(
                f"it is not {self._encoding} text: {self._where()}{content_is(self._source.head)}; "
                "pass encoding="
            ) from error
        finally:
            self.newline = lines.newline
            if lines.comments:
                self.left_out.append(f"{lines.comments} lines that begin with {self._how.comment!r}")
            # Or else the file would be closed with it.
            with contextlib.suppress(ValueError):
                text.detach()

    def _skip(self, lines: _Lines) -> None:
        self.skipped, self.left_out = [], []
        kept = 0
        for _ in range(self._how.skip_rows):
            line = lines.next_line()
            kept += len(line)
            if not line:
                return
            if kept <= MAX_SKIPPED:
                self.skipped.append(line)
            elif not self.left_out:
                self.left_out.append(f"lines above the header beyond the first {MAX_SKIPPED} characters")

    def _parsed(self, lines: _Lines) -> Iterator[list[str]]:
        how = self._how
        reader = csv.reader(
            lines,
            delimiter=how.delimiter,
            quotechar=how.quotechar,
            quoting=csv.QUOTE_MINIMAL if how.quotechar else csv.QUOTE_NONE,
            strict=True,
        )
        try:
            yield from reader
        except csv.Error as error:
            raise IngestError(self._explained(str(error), lines)) from error

    def _explained(self, reason: str, lines: _Lines) -> str:
        quote = self._how.quotechar
        if "unexpected end" in reason:
            return (
                f"a quote {quote} in the row that begins in line {lines.first} is never closed: the rest of "
                "the file would be one cell. Pass quotechar=None if quotes have no meaning in this file"
            )
        if "field limit" in reason:
            return (
                f"a cell in the row that begins in line {lines.first} has more than "
                f"{csv.field_size_limit()} characters. Either a quote {quote} is not closed, or raise the "
                "limit of Python's csv module: csv.field_size_limit(...)"
            )
        if "expected after" in reason:
            return (
                f"line {lines.number}: behind the closing quote {quote} of a cell stands more text; "
                "pass quotechar=None if quotes have no meaning in this file"
            )
        return f"line {lines.number} is no row of a table: {reason}; pass delimiter= or quotechar= for others"

    def _where(self) -> str:
        """What cannot be decoded, and where in the file; the error itself knows where in its buffer."""
        decoder = codecs.getincrementaldecoder(self._encoding)()
        file: IO[bytes] = self._source.file
        file.seek(self._start)
        end = self._start
        try:
            while block := file.read(1 << 20):
                end += len(block)
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            offset = end - len(error.object) + error.start
            wrong = error.object[error.start : error.end]
            return f"{error.reason} at byte {offset} ({wrong[:4].hex(' ')})"
        return "it has changed while it was read"


class _Lines:
    """The lines of a text, numbered, of limited length, without comments and without NULs."""

    def __init__(self, text: io.TextIOWrapper, comment: str | None, *, about: str) -> None:
        self._readline = text.readline
        self._comment = comment
        self._about = about
        self.number = 0
        self.comments = 0
        # Of the row that is being read; set to zero after each row.
        self.first = 0
        self.characters = 0
        self.newline = "\n"

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self.next_line()
        while self._comment is not None and not self.first and line.startswith(self._comment):
            self.comments += 1
            line = self.next_line()
        if not line:
            raise StopIteration
        if not self.first:
            self.first = self.number
        self.characters += len(line)
        if self.characters > MAX_CHARACTERS:
            raise IngestError(
                f"the row that begins in line {self.first} has more than {MAX_CHARACTERS} characters; "
                "is a quote not closed?"
            )
        return line

    def next_line(self) -> str:
        """The next line with what ends it; nothing at the end of the file."""
        line = self._readline(MAX_CHARACTERS + 1)
        self.number += 1
        if self.number == 1:
            self.newline = line[len(line.rstrip("\r\n")) :] or "\n"
        if "\0" in line:
            raise IngestError(f"line {self.number} has a NUL character, which no table can hold{self._about}")
        return line
