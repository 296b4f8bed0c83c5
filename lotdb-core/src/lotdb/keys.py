"""What a node's key, an attribute's name and a path may be.

Keys are text. They never become part of a file name, so the rules serve people and other tools (one spelling
for one key, nothing invisible, paths that can be written down), not the file system.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set
from itertools import islice
from typing import NoReturn, TypeGuard

from lotdb.errors import InvalidKeyError, shown
from lotdb.ranges import is_whole

__all__ = [
    "MAX_KEY_BYTES",
    "check_key",
    "check_name",
    "is_plain_key",
    "node_text",
    "some",
    "split_path",
    "stored_form",
]

MAX_KEY_BYTES = 255
"""Longest key or name, in UTF-8 bytes of its NFC form."""

_DOTS = (".", "..")
_CONTROL = "[\x00-\x1f\x7f-\x9f]"  # category Cc, which the Unicode standard fixed for good
_SURROGATE = "[\ud800-\udfff]"
_DOWN = "a key is the name of one level; get_node_path takes several"
_APART = "give each level as a key of its own"
_A_PATH = "a path is a sequence of keys, such as ('a', 'b'), or one text with '/' between them, such as 'a/b'"


def check_key(key: object) -> str:
    r"""The key as the tree stores it.

    Parameters
    ----------
    key
        Text, or an integer, which is converted to its decimal text.

    Returns
    -------
    str
        The key in Unicode normal form C.

    Raises
    ------
    InvalidKeyError
        If the key is neither text nor an integer, or is empty, ``"."``, ``".."``, longer than 255 UTF-8
        bytes, or contains ``"/"``, a control character or a lone surrogate.

    Examples
    --------
    >>> check_key("cafe\u0301") == "caf\u00e9"
    True
    >>> check_key(7)
    '7'
    """
    return key if is_plain_key(key) else _key(key)


def is_plain_key(key: object) -> TypeGuard[str]:
    """Whether *key* is a key in its stored form beyond doubt: a test for nearly all keys, in 0.1 µs."""
    return (
        type(key) is str
        and key.isascii()
        and key.isprintable()
        and "/" not in key
        and key not in _DOTS
        and 0 < len(key) <= MAX_KEY_BYTES
    )


def check_name(name: object, what: str = "attribute") -> str:
    """The name of an attribute or payload as the tree stores it.

    A name follows the rules of a key, except that it must be text and that ``"/"``, ``"."`` and ``".."``
    are allowed: a name is no part of a path.

    Parameters
    ----------
    name
        Text.
    what
        What the name is for, to be shown in messages.

    Returns
    -------
    str
        The name in Unicode normal form C.

    Raises
    ------
    InvalidKeyError
        If *name* is not a valid name.
    """
    if type(name) is str and name.isascii() and name.isprintable() and 0 < len(name) <= MAX_KEY_BYTES:
        return name
    if not isinstance(name, str):
        raise InvalidKeyError(f"{what} name {shown(name)} is of type {type(name).__name__}; use text")
    return _text(name, what=f"{what} name")


def stored_form(name: object) -> str:
    """The form in which a *name* is stored, to be looked up; "" for what can be none."""
    try:
        return check_name(name)
    except InvalidKeyError:
        return ""


def split_path(path: object) -> tuple[str, ...]:
    """The keys along a path.

    Parameters
    ----------
    path
        A sequence of keys, or one text with ``"/"`` between the keys. An empty sequence is the path of the
        node itself.

    Returns
    -------
    tuple of str
        The keys, each as :func:`check_key` gives it.

    Raises
    ------
    InvalidKeyError
        If *path* is not a path, or one of its keys is invalid. An empty text, or a ``"/"`` at either end or
        twice in a row, makes an empty key.

    Examples
    --------
    >>> split_path("run/3/left"), split_path(["run", 3, "left"])
    (('run', '3', 'left'), ('run', '3', 'left'))
    """
    if isinstance(path, str):
        return _split_text(path)
    # These are iterable, but have no order, contain integers, or have values that would be dropped.
    if isinstance(path, (bytes, bytearray, memoryview, Mapping, Set)) or not isinstance(path, Iterable):
        raise InvalidKeyError(f"{shown(path)} of type {type(path).__name__} is no path; {_A_PATH}")
    try:
        keys = list(path)
    except TypeError:  # an array without axes looks as if it had elements
        raise InvalidKeyError(f"{shown(path)} of type {type(path).__name__} is no path; {_A_PATH}") from None
    return tuple(
        [_key(key, hint=_APART) if isinstance(key, str) and "/" in key else check_key(key) for key in keys]
    )


def node_text(keys: Iterable[str], top: str = "the root") -> str:
    """The node at the end of *keys*, for a message; *top* if there are none.

    >>> node_text(["a", "b"]), node_text([])
    ("node 'a/b'", 'the root')
    """
    path = "/".join(keys)
    return f"node {path!r}" if path else top


def some(names: Iterable[str]) -> str:
    """The first five of *names*, for a message; "none" if there are no names.

    Examples
    --------
    >>> some("abc"), some("abcdefgh"), some("")
    ("'a', 'b', 'c'", "'a', 'b', 'c', 'd', 'e', …", 'none')
    """
    first = [repr(name) for name in islice(names, 6)]
    return ", ".join(first[:5]) + (", …" if len(first) > 5 else "") if first else "none"


def _split_text(path: str) -> tuple[str, ...]:
    keys = str.__str__(path).split("/")
    if "" not in keys:
        return tuple([check_key(key) for key in keys])
    if not path:
        raise InvalidKeyError(f"the path '' is one empty key; {_A_PATH} (the node itself is the path ())")
    place = "at its start" if not keys[0] else "at its end" if not keys[-1] else "in its middle"
    raise InvalidKeyError(f'the path {shown(path)} has an empty key {place}; leave out the extra "/"')


def _key(key: object, *, hint: str = _DOWN) -> str:
    """The key, tested rule by rule so that the message can name the broken one."""
    text = _text(key if isinstance(key, str) else _decimal(key), what="key")
    if "/" in text:
        raise InvalidKeyError(f'key {shown(text)} contains "/"; {hint}')
    if text in _DOTS:
        raise InvalidKeyError(f'key {shown(text)} is not allowed: "." and ".." are places, not names')
    return text


def _decimal(key: object) -> str:
    if not is_whole(key):
        raise InvalidKeyError(f"key {shown(key)} is of type {type(key).__name__}; use text or an integer")
    number = int(key)
    # Python refuses to write out integers of more than some thousand digits, with an error of its own.
    if number.bit_length() > 4 * MAX_KEY_BYTES:
        raise InvalidKeyError(f"key is an integer of {number.bit_length()} bits; a key has at most 255 bytes")
    return str(number)


def _text(text: str, *, what: str) -> str:
    """What keys and names have in common; *text* may be of a subclass of str, the result is not."""
    text = str.__str__(text)
    if not text.isascii():
        import unicodedata  # which few programs need

        text = unicodedata.normalize("NFC", text)
    if not text:
        raise InvalidKeyError(f"{what} '' is empty")
    if not text.isprintable():  # as no text with one of these is
        if found := re.search(_CONTROL, text):
            _refuse(text, what, f"contains the control character U+{ord(found[0]):04X}; leave it out")
        if found := re.search(_SURROGATE, text):
            _refuse(text, what, f"contains the lone surrogate U+{ord(found[0]):04X}; UTF-8 has none")
    if (size := len(text.encode())) > MAX_KEY_BYTES:
        _refuse(text, what, f"takes {size} bytes in UTF-8; at most {MAX_KEY_BYTES} are allowed")
    return text


def _refuse(text: str, what: str, why: str) -> NoReturn:
    raise InvalidKeyError(f"{what} {shown(text)} {why}")
