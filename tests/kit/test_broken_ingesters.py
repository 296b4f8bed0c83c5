"""Each ingester that breaks a promise fails the test of that promise, and the good ones none."""

import pytest
from tests.kit.noticed import check_noticed, outcomes_of

BROKEN = {
    "TakesFilesOfOthers": ["a_file_of_another_kind_is_answered_none"],
    "ForgetsAFormat": ["it_names_the_formats_that_it_reads"],
    "OpensThePathAgain": ["it_reads_the_open_file_that_it_is_given"],
    "ReturnsWhatNobodyCanStore": ["a_truncated_file_is_taken_in_or_refused"],
    "Hangs": ["an_empty_file_is_taken_in_or_refused"],
    "IsNotMarked": ["the_plugin_registers"],
    "MistakesTheRate": ["rates_and_metadata_are_those_of_the_file"],
    "MistakesTheDtype": ["a_file_gives_just_what_it_holds"],
    "LosesMetadata": ["rates_and_metadata_are_those_of_the_file"],
    "ClosesTheFile": ["it_reads_the_open_file_that_it_is_given"],
    "ChangesOptions": ["it_reads_the_open_file_that_it_is_given"],
    "LeavesAFileOpen": ["no_file_is_left_open"],
    "MovesThePosition": ["its_signature_is_its_own"],
    "IdentifiesEverything": ["its_signature_is_its_own"],
    "GuessesNumbers": ["it_gives_the_same_every_time"],
    "ExportsAnotherRate": ["what_came_in_goes_out_again"],
    "ExportsWhatItCannotHold": ["what_is_exported_comes_back_or_is_refused"],
    "ExportsNothing": ["what_came_in_goes_out_again"],
    "GivesAllTheFirstRate": ["rates_and_metadata_are_those_of_the_file"],
    "GivesAllTheFirstMetadata": ["rates_and_metadata_are_those_of_the_file"],
    "LosesTheLastPayload": ["a_file_gives_just_what_it_holds"],
    "ExportsSeveralWithoutTheirRates": ["what_came_in_goes_out_again"],
    "ReadsAllAtOnce": ["blocks_are_read_when_they_are_needed"],
    "RepeatsABlock": ["a_file_gives_just_what_it_holds"],
    "KeepsWhatItReadByPath": ["an_empty_file_is_taken_in_or_refused"],
    "SharesWhatItReads": ["threads_may_take_files_in_at_once"],
    "MakesAnIndexBesideTheFile": ["files_are_left_alone"],
    "TouchesTheFile": ["files_are_left_alone"],
    "IgnoresThatTheBodyIsShort": ["files_beside_that_are_missing_or_cut_are_taken_in_or_refused"],
    "FillsUpTheBody": ["files_beside_that_are_missing_or_cut_are_taken_in_or_refused"],
    "LosesAttributesBelow": ["attributes_and_nodes_are_those_of_the_file"],
    "LosesEmptyNodes": ["attributes_and_nodes_are_those_of_the_file"],
    "MakesDataNodesOfAll": ["attributes_and_nodes_are_those_of_the_file"],
    "ExportsNodesWithoutAttributes": ["a_node_that_came_in_goes_out_again"],
    "ExportsNodesWithoutMetadata": ["a_node_that_came_in_goes_out_again"],
    "ReusesItsBuffer": ["what_it_gave_stays_what_it_was"],
    "GivesNothingAsFloats": ["a_file_gives_just_what_it_holds"],
    "SaysThePeriod": ["rates_and_metadata_are_those_of_the_file"],
    "OpensTheBodyItself": ["a_change_of_a_file_beside_is_noticed"],
    "KeepsEarlierMetadata": ["it_gives_the_same_every_time"],
    "LooksAtTheName": ["the_format_is_what_is_asked_for_whatever_the_file_is_called"],
    "LeavesTemporaryFiles": ["no_file_is_left_open"],
    "TakesAnyOption": ["an_unknown_option_is_refused"],
    "SwallowsItsErrors": ["an_empty_file_is_taken_in_or_refused"],
}
GOOD = ["GoodTree", "GoodIngester", "GoodSeveral", "GoodBlocks", "GoodBeside"]

TESTS = f"""
import json

import broken_ingesters
import numpy as np
import pytest
from lotdb.testing import IngesterTests, Sample

LONG = np.random.default_rng(0).bytes(1 << 19)
SEVERAL = {{"p0": np.array([7, 9], "u1"), "p1": np.array([1], "u1"), "p2": np.empty(0, "u1")}}
SAMPLES = {{
    "GoodIngester": [
        Sample(
            "four.pair", content=b"\\x04pair", data=np.frombuffer(b"pair", "u1"), samplerate_hz=5,
            metadata={{"unit": "mV"}},
        ),
        Sample("none.pair", content=b"\\x00", data=np.empty(0, "u1"), samplerate_hz=5),
    ],
    "GoodSeveral": [
        Sample(
            "three.several", content=bytes([5, 2, 7, 9, 100, 1, 1, 0, 0]), data=SEVERAL,
            samplerate_hz={{"p0": 5, "p1": 100, "p2": None}},
            metadata={{"p0": {{"name": "p0"}}, "p1": {{"name": "p1"}}}},
        ),
    ],
    "GoodBeside": [
        Sample("a.head", content=b"\\x05", data=np.frombuffer(b"body5", "u1"), beside={{"a.body": b"body5"}}),
    ],
    "GoodTree": [
        Sample(
            "visit.tree",
            content=json.dumps({{
                "n": [1, 2], "unit": "mV", "side": "both", "nodes": {{
                    "left": {{"n": [3], "unit": "g", "side": "left", "nodes": {{}}}}, "none": None,
                }},
            }}).encode(),
            data={{"n": np.array([1, 2], "i4"), "left/n": np.array([3], "i4")}},
            metadata={{"n": {{"unit": "mV"}}, "left/n": {{"unit": "g"}}}},
            attributes={{"side": "both", "left/side": "left"}},
            node_types={{"left": "data", "none": ""}},
        ),
    ],
    "GoodBlocks": [Sample("half.long", content=LONG, data=np.frombuffer(LONG, "u1"))],
}}

def tests_of(name):
    made = getattr(broken_ingesters, name)
    kind = next(each.__name__ for each in made.__mro__ if each.__name__ in SAMPLES)

    class It(IngesterTests):
        seconds = 0.5 if name == "Hangs" else 20

        @pytest.fixture
        def plugin(self):
            return made()

        @pytest.fixture
        def samples(self):
            return SAMPLES[kind]

    It.__name__ = It.__qualname__ = "Test" + name
    return It

for name in {[*BROKEN, *GOOD]!r}:
    globals()["Test" + name] = tests_of(name)
del name
"""


# One for each promise of some.
QUICK = list({test: name for name, (test, *_) in reversed(BROKEN.items())}.values())[::4]


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(QUICK, id="some"),
        pytest.param([name for name in BROKEN if name not in QUICK], id="the others", marks=pytest.mark.slow),
    ],
)
def test_each_broken_ingester_is_noticed(tmp_path, names):
    broken = {name: BROKEN[name] for name in names}
    chosen = [(f"Test{plugin}", test) for plugin, tests in broken.items() for test in tests]
    check_noticed(outcomes_of(tmp_path, TESTS, chosen), broken)


@pytest.mark.slow  # ours pass them, too
def test_good_ingesters_pass(tmp_path):
    found = outcomes_of(tmp_path, TESTS, [(f"Test{plugin}", "test") for plugin in GOOD])
    assert {outcome for outcome, _ in found.values()} == {"passed", "skipped"}, found
