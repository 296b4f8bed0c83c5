import unicodedata
from enum import IntEnum

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lotdb.errors import InvalidKeyError
from lotdb.keys import MAX_KEY_BYTES, check_key, check_name, split_path


class Take(IntEnum):
    SEVEN = 7


# -- keys -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key", ["a", "run 3", "...", ".hidden", "a.b", "-1", " ", "~", "\\", "naïve", "データ", "🎧"]
)
def test_good_text_is_its_own_key(key):
    assert check_key(key) == key


@pytest.mark.parametrize("key", [7, np.int64(7), np.uint8(7), Take.SEVEN])
def test_an_integer_becomes_its_decimal_text(key):
    assert check_key(key) == "7"


def test_a_negative_integer_becomes_its_decimal_text():
    assert check_key(-12) == "-12"


def test_two_spellings_of_one_text_are_one_key():
    assert check_key("cafe\u0301") == check_key("caf\u00e9") == "caf\u00e9"


def test_a_subclass_of_str_gives_a_plain_str():
    class Shout(str):
        def __str__(self):
            return self.upper() + "!"

    assert type(check_key(np.str_("a"))) is str
    assert check_key(Shout("a")) == "a"


@pytest.mark.parametrize("key", [None, True, np.True_, 1.0, b"a", ("a",), object()])
def test_a_key_of_another_type_is_refused(key):
    with pytest.raises(InvalidKeyError, match="use text or an integer"):
        check_key(key)


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("", "is empty"),
        (".", "not allowed"),
        ("..", "not allowed"),
        ("a\0b", r"U\+0000"),
        ("a\n", r"U\+000A"),
        ("\x7f", r"U\+007F"),
        ("\x85", r"U\+0085"),
        ("é\x9f", r"U\+009F"),
        ("\ud800", r"lone surrogate U\+D800"),
        ("a/b", "get_node_path"),
        ("/", "get_node_path"),
    ],
)
def test_a_bad_key_is_refused_with_the_reason(key, why):
    with pytest.raises(InvalidKeyError, match=why):
        check_key(key)


@pytest.mark.parametrize("letter", ["a", "é", "🎧"])
def test_a_key_may_take_255_bytes_and_no_more(letter):
    most = MAX_KEY_BYTES // len(letter.encode())
    assert check_key(letter * most) == letter * most
    with pytest.raises(InvalidKeyError, match="at most 255"):
        check_key(letter * (most + 1))


def test_length_is_counted_after_normalising():
    decomposed = "e\u0301" * 127
    assert len(decomposed.encode()) > MAX_KEY_BYTES
    assert check_key(decomposed) == "\u00e9" * 127


def test_a_huge_integer_is_refused_as_too_long():
    with pytest.raises(InvalidKeyError, match="at most 255"):
        check_key(10**255)
    with pytest.raises(InvalidKeyError, match="bits"):
        check_key(10**10_000)


def test_the_message_shows_the_key_shortened():
    with pytest.raises(InvalidKeyError) as caught:
        check_key("abc" * 10_000)
    assert "'abcabc" in str(caught.value)
    assert len(str(caught.value)) < 200


@given(st.text())
def test_every_accepted_key_keeps_the_rules(text):
    try:
        key = check_key(text)
    except InvalidKeyError:
        return
    assert key == unicodedata.normalize("NFC", text)
    assert 0 < len(key.encode()) <= MAX_KEY_BYTES
    assert "/" not in key
    assert key not in (".", "..")
    assert not any(unicodedata.category(letter) in ("Cc", "Cs") for letter in key)
    assert check_key(key) == key


# -- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gain", "m/s", "/", ".", "..", "Größe"])
def test_a_name_may_hold_what_would_part_a_path(name):
    assert check_name(name) == name


def test_a_name_is_normalised():
    assert check_name("cafe\u0301") == "caf\u00e9"


@pytest.mark.parametrize("name", [1, None, b"a", ("a",)])
def test_a_name_that_is_no_text_is_refused(name):
    with pytest.raises(InvalidKeyError, match=r"attribute name .* use text"):
        check_name(name)


@pytest.mark.parametrize("name", ["", "\0", "a\tb", "\udfff", "a" * 256, "é" * 128])
def test_a_bad_name_is_refused(name):
    with pytest.raises(InvalidKeyError, match="payload name"):
        check_name(name, what="payload")


# -- paths ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["a/b/3", ("a", "b", 3), ["a", "b", "3"], iter(["a", "b", 3])])
def test_a_path_is_text_or_keys_in_order(path):
    assert split_path(path) == ("a", "b", "3")


@pytest.mark.parametrize("path", [(), [], iter(())])
def test_an_empty_sequence_is_the_path_of_the_node_itself(path):
    assert split_path(path) == ()


def test_an_empty_text_is_no_path():
    with pytest.raises(InvalidKeyError, match="one empty key"):
        split_path("")


@pytest.mark.parametrize(
    ("path", "place"), [("/", "start"), ("/a", "start"), ("a/", "end"), ("a//b", "middle"), ("/a/", "start")]
)
def test_an_empty_key_in_a_path_is_refused_with_its_place(path, place):
    with pytest.raises(InvalidKeyError, match=f'{place}; leave out the extra "/"'):
        split_path(path)


@pytest.mark.parametrize("path", [b"a/b", bytearray(b"a"), 3, None, 1.5, {"a": 1}, {"a", "b"}, object()])
def test_what_is_no_path_is_refused_and_told_what_a_path_is(path):
    with pytest.raises(InvalidKeyError, match="a path is a sequence of keys"):
        split_path(path)


@pytest.mark.parametrize("path", ["a/../b", "./a", ["a", ".."], ["a", ""], ["a", None]])
def test_each_key_of_a_path_is_checked(path):
    with pytest.raises(InvalidKeyError):
        split_path(path)


def test_a_slash_inside_a_sequence_does_not_go_down_a_level():
    with pytest.raises(InvalidKeyError, match="a key of its own"):
        split_path(["a/b", "c"])


@given(st.lists(st.text("ab.é ", min_size=1, max_size=4).filter(lambda key: key.strip(".")), min_size=1))
def test_joined_keys_split_into_the_same_keys(keys):
    assert split_path("/".join(keys)) == split_path(keys)
