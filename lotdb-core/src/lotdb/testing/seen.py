"""What can be seen of data and of trees, in a form that compares."""

from __future__ import annotations

from typing import Any

import numpy as np

from lotdb import BaseNode, Payload

__all__ = ["bytes_of", "check_same", "picture"]

Array = np.ndarray[Any, Any]


def bytes_of(array: Array) -> bytes:
    """The bytes of all elements, without those that only fill up between the fields of a structure.

    >>> bytes_of(np.array([[1, 2]], ">i2"))
    b'\\x00\\x01\\x00\\x02'
    """
    if array.dtype.names is None:
        return array.tobytes()
    return b"".join(bytes_of(array[name]) for name in array.dtype.names)


def check_same(got: Any, expected: Any, promise: str) -> None:
    """Fail with *promise* unless *got* is what *expected* is: type, dtype, shape and every bit."""
    if not isinstance(expected, np.ndarray):
        names = type(got).__name__, type(expected).__name__
        assert type(got) is type(expected), f"{promise}: came back as {names[0]}, and not as {names[1]}"
        assert got == expected, f"{promise}: came back altered"
        return
    assert isinstance(got, np.ndarray), f"{promise}: came back as {type(got).__name__}, not as an array"
    if isinstance(expected, np.ma.MaskedArray) or isinstance(got, np.ma.MaskedArray):
        _check_masks(got, expected, promise)
        # What lies under a mask is nobody's.
        got, expected = np.ma.filled(got), np.ma.filled(expected)
    assert got.dtype == expected.dtype, f"{promise}: the dtype is {got.dtype}, it was {expected.dtype}"
    assert got.shape == expected.shape, f"{promise}: the shape is {got.shape}, it was {expected.shape}"
    if bytes_of(got) == bytes_of(expected):
        return
    got, expected = np.atleast_1d(got), np.atleast_1d(expected)
    pairs = zip(got, expected, strict=True)
    wrong = [row for row, pair in enumerate(pairs) if bytes_of(pair[0]) != bytes_of(pair[1])]
    raise AssertionError(f"{promise}: {len(wrong)} of {len(got)} rows are wrong, the first is row {wrong[0]}")


def _check_masks(got: Array, expected: Array, promise: str) -> None:
    masks = np.ma.getmaskarray(got), np.ma.getmaskarray(expected)
    assert masks[0].shape == masks[1].shape, f"{promise}: the shape is {got.shape}, it was {expected.shape}"
    assert masks[0].tobytes() == masks[1].tobytes(), f"{promise}: other cells are missing"


def picture(node: BaseNode) -> dict[str, Any]:
    """All that there is at and below *node*, every payload read, as plain values that compare."""
    return {
        "type": node.node_type,
        "attributes": {name: _seen(node.attrs[name]) for name in sorted(node.attrs)},
        "children": {key: picture(node[(key,)]) for key in node},
    }


def _seen(value: Any) -> tuple[Any, ...]:
    if isinstance(value, Payload):
        about = (
            value.kind,
            value.samplerate_hz,
            value.content_type,
            sorted(map(repr, value.metadata.items())),
        )
        return ("payload", *about, _seen(value.read()))
    if isinstance(value, np.ndarray):
        return ("array", repr(value.dtype), value.shape, bytes_of(value))
    return (type(value).__name__, repr(value))
