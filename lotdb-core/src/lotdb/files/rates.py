"""Which payload of a file gets which rate: its own, the one that the user says, or the node's default."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from lotdb.content import tables
from lotdb.errors import DataMismatchError, InvalidOptionError, InvalidRangeError, nearest, shown
from lotdb.interfaces.ingester import Ingested
from lotdb.interfaces.row_blocks import Blocks
from lotdb.keys import some
from lotdb.ranges import check_rate

__all__ = ["Asked", "Place", "agree", "check_asked"]

#: The path of a node within a file, and the name of one of its payloads.
Place: TypeAlias = tuple[tuple[str, ...], str]

#: What the user says of rates: one for the only payload, or one for each by name.
Asked: TypeAlias = float | Mapping[str, float | None] | None


def check_asked(asked: Any) -> Asked:
    """*asked*, if it is a rate, or a mapping of names of payloads to rates.

    Raises
    ------
    InvalidRangeError
        If a rate is no positive number.
    InvalidOptionError
        If a name is no text.
    """
    if not isinstance(asked, Mapping):
        return check_rate(asked)
    rates = {}
    for name, rate in asked.items():
        if not isinstance(name, str):
            raise InvalidOptionError(
                f"samplerate_hz has {shown(name)}; use names of payloads: {{'eeg': 256, 'ecg': 128}}"
            )
        try:
            rates[name] = check_rate(rate)
        except InvalidRangeError as error:
            raise InvalidRangeError(f"samplerate_hz[{name!r}]: {error}") from error
    return rates


def agree(
    found: Mapping[Place, Ingested],
    asked: Asked,
    defaults: Mapping[Place, float | None],
    *,
    data_attribute: str,
    filepath: str | os.PathLike[str],
) -> dict[Place, float | None]:
    """The rate of each payload that was *found* in a file.

    A payload keeps its own rate, unless the user *asked* for another. The default of its node is for numbers
    that have none, in an array or in the columns of a table. Texts and bytes have no rows that could be so
    many a second. The rows of a table with texts, or with onsets, may be events, and so may those of any
    table beside payloads that have a rate of their own; those of an image are no moments.

    Raises
    ------
    InvalidOptionError
        If one rate is given for several payloads, or one for a text or for bytes, or for what is not there.
    DataMismatchError
        If all that has a rate is one payload, and it is not the default of its node.
    """
    kinds = {place: _kind(ingested) for place, ingested in found.items()}
    own = {place: check_rate(ingested.samplerate_hz) for place, ingested in found.items()}
    numbers = ("numbers",) if any(own.values()) else ("numbers", "columns")
    sampled = [place for place in found if own[place] is not None or kinds[place] in numbers]
    names = {} if asked is None else _names(found, data_attribute)
    if asked is None:
        given = {}
    elif isinstance(asked, Mapping):
        given = _by_place(asked, names, filepath)
    else:
        rows = sampled or [place for place in found if kinds[place] in _ROWS]
        if len(rows) > 1:
            example = {names[place][0]: _number(own[place] or asked) for place in rows}
            raise InvalidOptionError(
                f"{os.fspath(filepath)!r} holds {len(rows)} payloads that may each have a rate of their own, "
                f"and samplerate_hz={_number(asked)} says one for all of them; leave it out to keep those of "
                f"the file, or pass one for each: samplerate_hz={_shown(example)}"
            )
        given = {(rows or list(found))[0]: asked}
    for place, rate in given.items():
        if rate is not None and kinds[place] not in _ROWS:
            raise InvalidOptionError(
                f"payload {names[place][0]!r} of {os.fspath(filepath)!r} is {_NO_ROWS[kinds[place]]}, which "
                "has no rows that could be so many a second; leave samplerate_hz= out for it"
            )
    rates: dict[Place, float | None] = {}
    for place in found:
        default = defaults.get(place) if place in sampled else None
        rates[place] = given.get(place) or own[place] or default
        if len(sampled) == 1 and not given.get(place) and default not in (None, rates[place]):
            raise DataMismatchError(
                f"{os.fspath(filepath)!r} is sampled at {own[place]:g} Hz, the node's default is {default:g} "
                "Hz; pass samplerate_hz= to decide"
            )
    return rates


_NUMBERS = frozenset("biufc")  # kinds of dtypes
_ONSETS = frozenset({"onset", "onset_s"})  # as BIDS calls the column, and as ours do
_ROWS = ("numbers", "columns", "rows")
_NO_ROWS = {"text": "a text", "bytes": "bytes", "value": "a single value"}


def _kind(ingested: Ingested) -> str:
    """What was read, as far as rates go; whatever cannot be stored is told when it is."""
    data = ingested.data
    if isinstance(data, Blocks):
        if data.kind in _NO_ROWS:
            return data.kind
        kind = _of_dtype(data.dtype, 1)
    elif isinstance(data, str):
        return "text"
    elif isinstance(data, bytes | bytearray | memoryview):
        return "bytes"
    else:
        try:
            array = data if hasattr(data, "dtype") and hasattr(data, "ndim") else _array_of(data)
            kind = _of_dtype(np.dtype(array.dtype), array.ndim)
        except Exception:
            return "rows"
    return "rows" if kind == "numbers" and (ingested.content_type or "").startswith("image/") else kind


def _array_of(data: Any) -> np.ndarray[Any, Any]:
    return tables.as_table(data) if tables.is_table(data) else np.asarray(data)


def _of_dtype(dtype: np.dtype[Any], axes: int) -> str:
    if axes == 0:
        return "value"
    if dtype.names is not None:
        # Times may stand beside samples; a column of onsets says when something happened.
        kinds = {dtype[name].base.kind for name in dtype.names}
        samples = kinds <= _NUMBERS | set("mM") and kinds & _NUMBERS
        return "columns" if samples and not _ONSETS & set(dtype.names) else "rows"
    return "numbers" if dtype.base.kind in _NUMBERS else "rows"


def _names(found: Mapping[Place, Any], data_attribute: str) -> dict[Place, list[str]]:
    """What each payload may be called: as short as it can be, and in full."""
    short = {}
    for place in found:
        path, stored = place
        name = "" if stored == data_attribute else stored.removeprefix(f"{data_attribute}.")
        short[place] = "/".join((*path, name) if name else path) or stored
    full = {place: "/".join((*place[0], place[1])) for place in found}
    taken = list(short.values())
    return {
        place: [*([name] if taken.count(name) == 1 else []), full[place]] for place, name in short.items()
    }


def _by_place(
    asked: Mapping[str, float | None], names: Mapping[Place, list[str]], filepath: Any
) -> dict[Place, float | None]:
    places = {name: place for place, those in names.items() for name in reversed(those)}
    # A short name that is the full one of another payload is that other one's.
    places.update({those[-1]: place for place, those in names.items()})
    given: dict[Place, float | None] = {}
    for name, rate in asked.items():
        if name not in places:
            there = some(those[0] for those in names.values())
            raise InvalidOptionError(
                f"samplerate_hz names {name!r}, and {os.fspath(filepath)!r} has no such payload "
                f"(there: {there}){nearest(name, places)}"
            )
        given[places[name]] = rate
    return given


def _number(rate: Any) -> Any:
    """A rate as a user writes it.

    >>> _number(256.0), _number(0.5)
    (256, 0.5)
    """
    return int(rate) if float(rate).is_integer() else rate


def _shown(example: Mapping[str, Any]) -> str:
    pairs = [f"{name!r}: {rate!r}" for name, rate in example.items()]
    return "{" + ", ".join(pairs[:5]) + (", …" if len(pairs) > 5 else "") + "}"
