"""The kit notices: each plugin that breaks a promise fails the tests of that promise, a good one none."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

# asyncio, where it is installed, warns of a setting that a run without a configuration does not have.
QUIET = ["-q", "-p", "no:cacheprovider", "-p", "no:asyncio"]

BACKENDS = {
    "LosesBytesOnReopen": ["another_instance_reads_it", "large_arrays_come_back"],
    "KeepsTheCallersArray": ["the_array_is_copied_and_left_alone"],
    "Overwrites": ["arrays_do_not_touch_each_other", "a_reader_keeps_its_snapshot"],
    "ForgetsToDelete": ["deleting_gives_the_space_back", "an_abort_removes_what_was_written"],
    "ReadsWrongRows": ["any_window_is_read", "windows_are_those_of_numpy"],
    "ListsNoLocators": ["locators_lists_what_is_stored", "a_killed_process_leaves_the_last_commit"],
    "SwallowsMissingFiles": ["reading_what_is_not_there_is_damage"],
    "FillsUpShortFiles": ["reading_beyond_the_end_is_damage"],
    "NamesNoFileInErrors": ["damage_is_told_and_never_read_as_data and large and cut"],
    "DoesNotSync": ["a_commit_is_on_the_disk"],
    "SyncsNoFolder": ["a_commit_is_on_the_disk"],
    "ClaimsToSync": ["a_commit_is_on_the_disk"],
    "ClaimsToCheckWindows": ["damage_is_told_and_never_read_as_data and large and altered"],
    "SelectsTheWrongColumns": ["a_part_of_each_row_is_read"],
    "MakesUpItsLocators": ["text_locators_are_found", "pack_gives_back_what_was"],
    "StoresItsPath": ["the_folder_may_be_moved", "the_database_may_be_moved"],
    "MakesItsFolderAtOnce": ["reading_only_creates_nothing"],
    "KeepsFilesOpen": ["closing_releases_the_files", "closing_the_database_releases_the_files"],
    "TakesAnyOption": ["an_unknown_option_is_refused", "a_refused_option_changes_nothing"],
    "TurnsBytesAround": ["what_was_written_is_read_back and f8"],
    "LeavesHalfWritten": ["delete_removes_what_a_failed_write_has_left and OSError"],
}
INGESTERS = {
    "TakesFilesOfOthers": ["a_file_of_another_kind_is_answered_none"],
    "OpensThePathAgain": ["it_reads_the_open_file_that_it_is_given"],
    "ReturnsWhatNobodyCanStore": ["a_truncated_file_is_taken_in_or_refused"],
    "Hangs": ["an_empty_file_is_taken_in_or_refused"],
    "IsNotMarked": ["the_plugin_registers"],
}
NODE_TYPES = {
    "NodePlugin(ForgetsItsName)": ["the_class_knows_its_registered_name", "a_tree_may_start_with_the_class"],
    "NodePlugin(CarriesState)": ["nodes_carry_no_state_of_their_own"],
    "NodePlugin(int)": ["the_class_adds_to_base_node"],
    "AnswersToEveryName(GoodNode)": ["other_names_are_left_to_others"],
}

BACKEND_TESTS = """
    import pytest
    from broken_plugins import {plugin}
    from lotdb.testing import BackendTests

    class TestIt(BackendTests):
        @pytest.fixture
        def backend_class(self):
            return {plugin}
"""
INGESTER_TESTS = """
    import pytest
    from broken_plugins import {plugin}
    from lotdb.testing import IngesterTests, Sample

    class TestIt(IngesterTests):
        seconds = 0.5 if "{plugin}" == "Hangs" else 60

        @pytest.fixture
        def plugin(self):
            return {plugin}()

        @pytest.fixture
        def samples(self):
            return [Sample("two.pair", content=bytes([2, 7, 9]), data=_numbers(), samplerate_hz=5)]

    def _numbers():
        import numpy
        return numpy.array([7, 9], "uint8")
"""
NODE_TYPE_TESTS = """
    import pytest
    from broken_plugins import *
    from lotdb.testing import NodeTypeTests

    class TestIt(NodeTypeTests):
        @pytest.fixture
        def plugin(self):
            return {plugin}

        @pytest.fixture
        def node_type(self):
            return "good.node"
"""


@pytest.fixture
def run_kit(pytester):
    """Runs the kit's tests that are chosen on a plugin; how many passed, failed, and so on."""

    def run(tests, plugin, chosen):
        pytester.syspathinsert(Path(__file__).parent)
        pytester.makepyfile(tests.format(plugin=plugin))
        expression = " or ".join(f"({each})" for each in chosen)
        return pytester.runpytest_inprocess(*QUIET, "-k", expression).parseoutcomes()

    return run


@pytest.mark.parametrize(
    "plugin",
    [pytest.param(name, marks=[pytest.mark.slow] * (number % 3 > 0)) for number, name in enumerate(BACKENDS)],
)
def test_a_broken_backend_fails(run_kit, plugin):
    outcomes = run_kit(BACKEND_TESTS, plugin, BACKENDS[plugin])
    assert outcomes.get("failed", 0) >= len(BACKENDS[plugin])
    assert "passed" not in outcomes


def test_a_good_backend_passes_all_that_the_broken_ones_fail(run_kit):
    outcomes = run_kit(BACKEND_TESTS, "GoodBackend", [test for tests in BACKENDS.values() for test in tests])
    # It reads whole rows, which one of them is not about.
    assert outcomes.keys() <= {"passed", "deselected", "skipped"}
    assert outcomes.get("skipped", 0) <= 1


@pytest.mark.parametrize("plugin", INGESTERS)
def test_a_broken_ingester_fails(run_kit, plugin):
    assert run_kit(INGESTER_TESTS, plugin, INGESTERS[plugin]).get("failed", 0) >= len(INGESTERS[plugin])


def test_a_good_ingester_passes(run_kit):
    assert run_kit(INGESTER_TESTS, "GoodIngester", ["test"]).keys() <= {"passed", "skipped"}


@pytest.mark.parametrize("plugin", NODE_TYPES)
def test_a_broken_node_type_fails(run_kit, plugin):
    outcomes = run_kit(NODE_TYPE_TESTS, plugin, NODE_TYPES[plugin])
    assert outcomes.get("failed", 0) == len(NODE_TYPES[plugin])


def test_a_good_node_type_passes(run_kit):
    assert run_kit(NODE_TYPE_TESTS, "NodePlugin(GoodNode)", ["test"]).keys() == {"passed"}


@pytest.mark.parametrize("tests", ["BackendTests", "IngesterTests", "NodeTypeTests"])
def test_a_subclass_without_fixtures_is_told_what_it_lacks(pytester, tests):
    pytester.makepyfile(f"from lotdb.testing import {tests}\nclass TestIt({tests}): pass")
    result = pytester.runpytest_inprocess(*QUIET, "-x")
    result.stdout.fnmatch_lines([f"*NotImplementedError: a subclass of {tests} has a fixture *"])


def test_the_core_does_not_import_the_kit():
    code = (
        "import sys, lotdb; assert not {'lotdb.testing', 'pytest', 'hypothesis', '_pytest'} & {*sys.modules}"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
