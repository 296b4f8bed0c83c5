"""Each node type, value type and listener that breaks a promise fails its test, and the good ones none."""

import pytest
from tests.kit.noticed import check_noticed, outcomes_of

NODE_TYPES = {
    "ForgetsItsName": ["the_class_knows_its_registered_name"],
    "CarriesState": ["nodes_carry_no_state_of_their_own"],
    "int": ["the_class_adds_to_base_node"],
    "AnswersToEveryName": ["other_names_are_left_to_others"],
    "LosesArguments": ["a_class_takes_the_arguments_of_a_node"],
    "LosesDefaults": ["a_node_takes_what_any_node_takes"],
    "LosesArgumentsOfDataNodes": ["a_node_takes_what_any_node_takes"],
    "SwallowsAttributes": ["a_node_takes_what_any_node_takes"],
    "MakesChildrenOfItsType": ["a_node_takes_what_any_node_takes"],
    "HidesChildren": ["a_node_takes_what_any_node_takes"],
    "EqualsNodesOfItsKey": ["nodes_carry_no_state_of_their_own"],
    "LosesMetadata": ["data_are_written_and_read_as_by_any_data_node"],
    "WritesWhileItChecks": ["a_node_takes_what_any_node_takes"],
    "AsksForItsOwnNames": ["a_node_takes_what_any_node_takes"],
    "ForgetsToReturn": ["data_are_written_and_read_as_by_any_data_node"],
    "GivesItsAttributesAsADict": ["a_node_takes_what_any_node_takes"],
    "ShowsAnAttribute": ["a_node_is_shown_when_its_connection_is_closed"],
    "CountsSomethingElse": ["a_node_takes_what_any_node_takes"],
    "HasAnyMember": ["a_node_takes_what_any_node_takes"],
    "HasAMemberOfAnotherKind": ["what_any_node_has_is_called_as_of_any_node"],
    "TakesFewerArguments": ["what_any_node_has_is_called_as_of_any_node"],
    "ChecksOneWay": ["what_it_refuses_is_refused_whichever_way_it_comes"],
    "LetsTheOwnerGo": ["what_its_nodes_must_have_is_always_there"],
    "TakesNodesWithoutAnOwner": ["what_its_nodes_must_have_is_always_there"],
}
VALUES = {
    "Rounds": ["every_value_comes_back"],
    "LosesTheUnit": ["every_value_comes_back"],
    "ChangesTheValue": ["every_value_comes_back"],
    "SharesWhatItDecodes": ["each_reading_gives_a_value_of_its_own"],
    "DecodesAnything": ["what_is_altered_is_an_error"],
    "CountsEncodings": ["encoding_is_repeatable"],
    "NamesItsClass": ["classes_are_not_in_the_file"],
    "HasAShortName": ["names_are_permanent_and_ones_own"],
    "GivesWhatAttributesHold": ["the_plugin_gives_value_types"],
    "GivesTypesUnmarked": ["the_plugin_gives_value_types"],
    "ForgetsTheFirstVersion": ["earlier_versions_are_read"],
    "LosesTheHash": ["every_value_comes_back"],
    "GivesASubclass": ["every_value_comes_back"],
    "Pickles": ["classes_are_not_in_the_file"],
    "Evaluates": ["decoding_runs_nothing_that_is_stored"],
    "SharesItsParts": ["threads_may_encode_and_decode_at_once"],
}
LISTENERS = {
    "RaisesAtMoves": ["it_hears_every_change_of_a_tree_in_memory"],
    "RaisesAfterCommits": ["it_hears_every_change_of_a_database"],
    "ChangesTheTree": ["it_hears_every_change_of_a_tree_in_memory"],
    "NeverComesBack": ["it_hears_every_change_of_a_tree_in_memory"],
    "ListensUnmarked": ["the_plugin_listens"],
    "KeepsWhatIsUndone": ["what_is_undone_is_undone"],
    "SeesTheTopOnly": ["it_keeps_up_with_every_change"],
    "MixesDatabases": ["databases_are_told_apart"],
    "StopsAfterTheFirstCommit": ["it_keeps_up_with_every_change"],
    "KeepsTheFirstLabel": ["it_keeps_up_with_every_change"],
    "MissesCommits": ["missed_commits_are_noticed"],
    "MovesOneAfterTheOther": ["it_keeps_up_with_every_change"],
    "KeepsWhatWasRemoved": ["it_keeps_up_with_every_change"],
    "HearsNoLabelsOfWhatIsAdded": ["it_keeps_up_with_every_change"],
    "KeepsEachTwice": ["it_keeps_up_with_every_change"],
    "KeepsRemovedPayloads": ["it_keeps_up_with_every_change"],
    "KeepsTheFirstShape": ["it_keeps_up_with_every_change"],
    "KeepsTheFirstType": ["it_keeps_up_with_every_change"],
}
GOOD_NODES = ["GoodNode", "GoodDataNode", "NeedsAnOwner"]
GOOD = ["GoodValues", "GoodListener", "GoodLabels", "GoodPayloads", "GoodTypes"]

TESTS = f"""
import broken_nodes
import pytest
from lotdb.testing import ListenerTests, NodeTypeTests, ValueTypeTests

def node_tests_of(name):
    class It(NodeTypeTests):
        @pytest.fixture
        def plugin(self):
            if name == "AnswersToEveryName":
                return broken_nodes.AnswersToEveryName(broken_nodes.GoodNode)
            return broken_nodes.NodePlugin(int if name == "int" else getattr(broken_nodes, name))

        @pytest.fixture
        def node_type(self):
            return "good.node"

        @pytest.fixture
        def refused(self):
            if name == "NeedsAnOwner":
                return {{"owner": 1}}
            return {{"label": 1}} if name in ("GoodDataNode", "ChecksOneWay") else {{}}

        @pytest.fixture
        def required(self):
            return {{"owner": "S01"}} if "Owner" in name else {{}}
    return It

def value_tests_of(name):
    class It(ValueTypeTests):
        @pytest.fixture
        def plugin(self):
            return getattr(broken_nodes, name)()

        @pytest.fixture
        def values(self):
            if name == "LosesTheHash":
                return [broken_nodes.Name("a"), broken_nodes.Name("b")]
            return [broken_nodes.Length(each.number, each.unit) for each in broken_nodes.LENGTHS]
    return It

def listener_tests_of(name):
    class It(ListenerTests):
        time_limit_s = 1.0 if name == "NeverComesBack" else 60.0

        @pytest.fixture
        def plugin(self):
            return getattr(broken_nodes, name)()

        @pytest.fixture
        def mirror(self, plugin):
            return getattr(plugin, "known", None)

        @pytest.fixture
        def known_of(self, plugin):
            if isinstance(plugin, broken_nodes.GoodPayloads):
                return lambda node: {{name: each.shape for name, each in node.payloads.items()}} or None
            if isinstance(plugin, broken_nodes.GoodTypes):
                return lambda node: node.node_type or None
            if isinstance(plugin, broken_nodes.GoodLabels):
                return lambda node: node.attrs.get("label")

        @pytest.fixture
        def watched(self, plugin):
            return {{"label": ["rest", "walk"]}} if isinstance(plugin, broken_nodes.GoodLabels) else {{}}
    return It

for names, made in (
    ({[*NODE_TYPES, *GOOD_NODES]!r}, node_tests_of),
    ({[*VALUES, GOOD[0]]!r}, value_tests_of),
    ({[*LISTENERS, *GOOD[1:]]!r}, listener_tests_of),
):
    for name in names:
        It = made(name)
        It.__name__ = It.__qualname__ = "Test" + name
        globals()["Test" + name] = It
del name, It
"""


BROKEN = NODE_TYPES | VALUES | LISTENERS
# One for each promise of some.
QUICK = list({test: name for name, (test, *_) in reversed(BROKEN.items())}.values())[::4]


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(QUICK, id="some"),
        pytest.param([name for name in BROKEN if name not in QUICK], id="the others", marks=pytest.mark.slow),
    ],
)
def test_each_broken_plugin_of_nodes_is_noticed(tmp_path, names):
    broken = {name: BROKEN[name] for name in names}
    chosen = [(f"Test{plugin}", test) for plugin, tests in broken.items() for test in tests]
    check_noticed(outcomes_of(tmp_path, TESTS, chosen), broken)


@pytest.mark.slow
def test_a_kit_says_how_to_name_what_nodes_must_have(tmp_path):
    source = TESTS.replace('if "Owner" in name', "if False")
    found = outcomes_of(tmp_path, source, [("TestNeedsAnOwner", "opened_again")])
    ((outcome, said),) = found.values()
    assert outcome == "failed"
    assert "fixture required returns them" in said


@pytest.mark.slow
def test_good_plugins_of_nodes_pass(tmp_path):
    found = outcomes_of(tmp_path, TESTS, [(f"Test{plugin}", "test") for plugin in GOOD_NODES + GOOD])
    assert {outcome for outcome, _ in found.values()} <= {"passed", "skipped"}, found
