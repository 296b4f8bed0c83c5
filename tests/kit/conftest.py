"""Which tests of the conformance kits are slow with our plugins: more damage of the same kinds.

``make test`` alters each place of a sample to one value of a byte, and flips bits and tries random bytes for
some of the formats. ``make test-all`` takes the other values and formats too.
"""

import re

import pytest

SLOW = re.compile(
    r"""
    test_a_file_with_an_altered_byte_is_taken_in_or_refused\[(0|127|128)\]
    | (Audio|Image|Npz|Table)Ingester::test_a_file_with_flipped_bits_is_taken_in_or_refused
    | (Audio|Image|Npz|Text)Ingester::test_random_bytes_are_taken_in_or_refused
    | TestLarge\w+::test_(random_bytes_are|a_file_with_flipped_bits_is)_taken_in_or_refused
    | Backend::test_a_process_killed_among_commits_loses_none\[1\]
    """,
    re.VERBOSE,
)


def pytest_itemcollected(item):
    if SLOW.search(item.nodeid):
        item.add_marker(pytest.mark.slow)
