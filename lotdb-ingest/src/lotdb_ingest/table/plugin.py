"""Tables as text: csv, and tsv (also called tab).

Nothing is guessed that would lose something. A column holds

- ``int64`` or ``uint64`` if each of its cells is an integer as Python writes it: ``001``, ``+1`` and ``-0``
  are texts, and so are integers beyond 64 bits;
- ``float64`` if each is a decimal number, some of them with a point or an exponent (``1.50``, ``.5``,
  ``1e5``), and ``float64`` can be printed back digit for digit, zeros at the end aside. So numbers with more
  digits than that are texts, and what ``numpy.savetxt`` wrote with nineteen digits are numbers. Integers
  among them are at most 2**53. With a leading zero, and the words ``nan`` and ``inf``, they are texts;
- ``bool`` if each is ``true`` or ``false``, all in small letters, all in capitals, or all capitalised;
- text otherwise. White space is a part of it.

An empty cell is missing, whatever the column holds; a column of nothing else is ``float64``. ``types=`` and
``dates=`` say otherwise for single columns, and ``na_values=`` names words that mean that a cell is missing.

Format: https://www.rfc-editor.org/rfc/rfc4180
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lotdb.hookspecs import hookimpl

if TYPE_CHECKING:
    from lotdb import Ingested, Payload, SourceFile, TargetFile

#: Format names, and what stands between two cells of a row.
DELIMITERS = {"csv": ",", "tab": "\t", "tsv": "\t"}


@hookimpl
def lotdb_ingest_file(source: SourceFile) -> Ingested | None:
    r"""The table of a csv or tsv file; its first row names the columns.

    Blank lines are skipped. In a table of one column they are missing cells, except at its end. A column
    without a name is called ``column_`` and its number. A first line such as ``sep=;``, which Excel writes
    and reads, names the delimiter, unless ``delimiter`` does. If the file may be meant in another way, the
    metadata have a ``hint``.

    Options
    -------
    delimiter : str
        What stands between cells; by default a comma in csv and a tabulator in tsv.
    quotechar : str or None
        What stands around a cell that contains the delimiter or a line break; None if nothing does.
    encoding : str
        By default what the byte order mark says, or else UTF-8.
    header : bool
        False if the first row is data; the columns are then called ``column_1`` and so on.
    units : bool
        True if a row of units stands below the header. They are kept as ``column_units`` in the metadata.
    columns : sequence of str
        Names for the columns, instead of those of the file.
    types : mapping
        Names of columns to ``"text"``, ``"int"``, ``"float"`` or ``"bool"``, or to ``"U20"`` for texts of at
        least twenty characters, so that longer ones can be appended. White space around numbers, leading
        zeros and plus signs, ``nan`` and ``inf``, and digits beyond the precision are accepted then; and for
        truth values 0 and 1.
    dates : sequence of str
        Names of columns with dates or times (ISO 8601, without a time zone), which become datetime64.
    na_values : sequence of str
        What stands for a missing cell besides nothing.
    comment : str
        What the lines begin with that are left out.
    skip_rows : int
        How many lines stand above the header.
    decimal : {".", ","}
        The decimal sign.
    max_columns : int
        How many columns there may be, by default 10 000.
    max_cell : int
        How many characters a text may have, by default 1 048 576. If it is given, a single long text may
        also make the table much larger than the file: each row takes as much as the longest text.
    """
    if source.format not in DELIMITERS:
        return None
    from lotdb_ingest.table.read import read

    return read(source, DELIMITERS[source.format])


@hookimpl
def lotdb_get_ingest_formats() -> list[str]:
    """The formats that :func:`lotdb_ingest_file` reads."""
    return [*DELIMITERS]


@hookimpl
def lotdb_get_export_formats() -> list[str]:
    """The formats that :func:`lotdb_export_file` writes."""
    return [*DELIMITERS]


@hookimpl
def lotdb_export_file(target: TargetFile, payload: Payload) -> bool | None:
    r"""Write a table, or an array of numbers, texts or times with one or two axes.

    It is written as the file was that it came from, a row of units included, if that was of the same
    format. Numbers are written with all their digits, missing cells as nothing, times as ISO 8601 says. A
    file of text has no types: read again, the columns have those that their texts call for. Other metadata
    and the sample rate are not written.

    Options
    -------
    delimiter, quotechar, encoding, decimal
        As for reading.
    header : bool
        False to leave out the names of the columns.
    columns : sequence of str
        Names for the columns; those of an array without names are ``column_1`` and so on.
    newline : str
        What ends a line; by default ``"\n"``.
    empty_as_missing : bool
        True to write empty texts, which are read again as missing cells. By default they are an error.
    """
    if target.format not in DELIMITERS:
        return None
    from lotdb_ingest.table.write import write

    write(target, payload, DELIMITERS)
    return True
