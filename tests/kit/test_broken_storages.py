"""Each way to open a database that breaks a promise fails the test of that promise, and the good one none."""

import pytest
from tests.kit.noticed import check_noticed, outcomes_of

BROKEN = {
    "forgets_what_it_had": ["a_commit_is_there_again"],
    "takes_reading_only_for_writing": ["reading_only_refuses_changes"],
    "swallows_conflicts": ["changes_of_one_node_conflict"],
    "merges_what_it_must_not": ["what_must_not_merge_conflicts"],
    "packs_too_much": ["pack_keeps_what_is_there"],
}

TESTS = f"""
import functools
import broken_storages
import pytest
from lotdb.testing import StorageTests

def tests_of(name):
    class It(StorageTests):
        @pytest.fixture
        def open_database(self, tmp_path):
            return functools.partial(getattr(broken_storages, name), tmp_path)

    It.__name__ = It.__qualname__ = "Test" + name
    return It

for name in {[*BROKEN, "good"]!r}:
    globals()["Test" + name] = tests_of(name)
del name
"""


def test_each_broken_storage_is_noticed(tmp_path):
    chosen = [(f"Test{name}", test) for name, tests in BROKEN.items() for test in tests]
    check_noticed(outcomes_of(tmp_path, TESTS, chosen), BROKEN)


@pytest.mark.slow  # ours pass all of them
def test_a_good_storage_passes_what_the_broken_ones_fail(tmp_path):
    found = outcomes_of(tmp_path, TESTS, [("Testgood", test) for tests in BROKEN.values() for test in tests])
    assert [outcome for outcome, _ in found.values()] == ["passed"] * len(BROKEN), found
