"""What find finds, and in which order; against comprehensions in plain Python."""

import fnmatch
import operator
import re
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.services.disturbed import disturbed_parser

import lotdb
from lotdb import LOTDB, BaseNode, attr, payload
from lotdb.database.session import ConnectedTree


def paths(found):
    return [node.path for node in found]


@pytest.fixture
def root():
    root = BaseNode("root")
    for sensor in range(3):
        for capture in range(3):
            node = root.get_node_path(f"sensor_{sensor}/capture_{capture}")
            node.attrs.update(
                {
                    "label": "walk" if capture else "run",
                    "take": capture,
                    "subject": {"height_m": 1.5 + sensor},
                }
            )
    node = root.get_data_node("sensor_0/capture_0")
    node.write_data(
        np.zeros((10, 3), "f4"), data_attribute="imu", samplerate_hz=5, metadata={"unit": {"name": "g"}}
    )
    return root


# -- patterns ---------------------------------------------------------------------------------------

KEYS = ["a", "b", "ab", "b1", "[x]", ".h"]
LEVELS = [*KEYS[:4], "*", "**", "?", "a*", "*b", "[ab]", "[!a]", "[[]x]", "b[0-9]"]


def fits(keys, levels):
    """As pathlib's glob has it, by trying all ways."""
    if not levels:
        return not keys
    if levels[0] == "**":
        return any(fits(keys[at:], levels[1:]) for at in range(len(keys) + 1))
    return bool(keys) and fnmatch.fnmatchcase(keys[0], levels[0]) and fits(keys[1:], levels[1:])


@settings(max_examples=2 * settings().max_examples)
@given(
    st.sets(st.lists(st.sampled_from(KEYS), max_size=4).map(tuple), max_size=25),
    st.lists(st.sampled_from(LEVELS), max_size=4),
)
def test_patterns_find_what_globs_do_in_the_order_of_a_walk(places, levels):
    root = BaseNode("root")
    for place in places:
        root.get_node_path(place)
    expected = [n.path for n in root.iterate_tree() if fits(n.path.split("/") if n.path else [], levels)]
    assert paths(root.find(levels)) == expected
    assert root.find(levels).count() == len(expected)


def test_a_pattern_is_relative_to_the_node(root):
    assert paths(root["sensor_1"].find("c*_[02]")) == ["sensor_1/capture_0", "sensor_1/capture_2"]
    assert paths(root["sensor_1/capture_0"].find()) == ["sensor_1/capture_0"]


def test_keys_are_compared_in_their_normal_form():
    root = BaseNode("root")
    root.get_node("caf\u00e9_1")
    assert root.find("cafe\u0301_*").count() == 1


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("a**b", "whole levels"),
        ("/a", "empty"),
        ("a//b", "empty"),
        ("", "empty"),
        ("a/..", "places"),
        (3, "text such as"),
        (["a/*"], "by itself"),
        ([None], "use text"),
    ],
)
def test_a_pattern_that_cannot_be_is_refused_at_the_call(root, pattern, message):
    with pytest.raises(lotdb.InvalidConditionError, match=message) as caught:
        root.find(pattern)
    assert "\n" not in str(caught.value)


# -- conditions against a model -----------------------------------------------------------------------

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.5, 1.0, float("nan")]),
    st.sampled_from(["", "a", "ab"]),
    st.lists(st.integers(0, 2), max_size=2),
    st.just(np.float64(1.0)),
    st.just((1, "a")),
)
NAMES = ["x", "y", "d.k", "d"]
COMPARE = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
ABSENT = object()


def value_of(attributes, name):
    if name in attributes:
        return attributes[name]
    head, _, tail = name.rpartition(".")
    inside = attributes.get(head, ABSENT)
    return inside.get(tail, ABSENT) if isinstance(inside, dict) else ABSENT


def known(function):
    try:
        answer = function()
    except TypeError:
        return None
    return bool(answer) if isinstance(answer, bool | np.bool_) else None


def comparison(name, sign, value):
    def truth(attributes):
        found = value_of(attributes, name)
        return None if found is ABSENT else known(lambda: COMPARE[sign](found, value))

    return COMPARE[sign](attr(name), value), truth


def both(one, other):
    def truth(attributes):
        answers = [one[1](attributes), other[1](attributes)]
        return False if False in answers else None if None in answers else True

    return one[0] & other[0], truth


def either(one, other):
    def truth(attributes):
        answers = [one[1](attributes), other[1](attributes)]
        return True if True in answers else None if None in answers else False

    return one[0] | other[0], truth


def negated(one):
    def truth(attributes):
        answer = one[1](attributes)
        return None if answer is None else not answer

    return ~one[0], truth


SIMPLE = st.one_of(
    st.builds(comparison, st.sampled_from(NAMES), st.sampled_from(list(COMPARE)), VALUES),
    st.sampled_from(NAMES).map(
        lambda name: (attr(name).exists(), lambda attributes: value_of(attributes, name) is not ABSENT)
    ),
)
CONDITIONS = st.recursive(
    SIMPLE,
    lambda inner: st.one_of(
        st.builds(both, inner, inner), st.builds(either, inner, inner), st.builds(negated, inner)
    ),
    max_leaves=5,
)
ATTRIBUTES = st.dictionaries(st.sampled_from(["x", "y", "d.k"]), VALUES, max_size=3).flatmap(
    lambda plain: st.one_of(st.just(plain), VALUES.map(lambda value: {**plain, "d": {"k": value}}))
)


@settings(max_examples=2 * settings().max_examples)
@given(st.lists(ATTRIBUTES, max_size=6), CONDITIONS)
def test_conditions_find_what_a_comprehension_finds(nodes, condition):
    where, truth = condition
    root = BaseNode("root")
    for number, attributes in enumerate(nodes):
        root.get_node(number).attrs.update(attributes)
    expected = [str(number) for number, attributes in enumerate(nodes) if truth(attributes) is True]
    assert paths(root.find("*", where=where)) == expected


# -- conditions one by one ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "text", "expected"),
    [
        (
            (attr("label") == "walk") & (attr("subject.height_m") > 2.4),
            "label == 'walk' and subject.height_m > 2.4",
            4,
        ),
        (attr("label").is_in(["run", "sit"]), "label in ('run', 'sit')", 3),
        (~attr("label").is_in(["run", "sit"]), "label not in ['run', 'sit']", 6),
        (attr("label").matches("^w.l"), "label.matches('^w.l')", 6),
        (attr("label").contains("al"), "'al' in label", 6),
        (attr("subject").contains("height_m"), "'height_m' in subject", 9),
        (attr("take") >= 1, "1 <= take", 6),
        ((attr("take") > 0) & (attr("take") < 2), "0 < take < 2", 3),
        (~attr("label").exists(), "not label.exists()", 4),
        (~attr("label").exists(), "~exists(label)", 4),
        (attr("label") != "walk", 'attr("label") != "walk"', 3),
        (attr("nothing") != 1, "nothing != 1", 0),
        (~(attr("nothing") == 1), "not nothing == 1", 0),
        (attr("label") > 3, "label > 3", 0),
        (attr("imu") == 1, "imu == 1", 0),
        (attr("_samplerate_hz").exists(), "_samplerate_hz.exists()", 0),
        (payload("imu").exists(), "payload('imu').exists()", 1),
        (payload("label").exists(), "payload('label').exists()", 0),
        (payload("imu").dtype == "float32", "payload('imu').dtype == 'float32'", 1),
        (payload("imu").shape == (10, 3), "payload('imu').shape == (10, 3)", 1),
        (payload("imu").rows == 10, "len(payload('imu')) == 10", 1),
        (payload("imu").ndim == 2, "payload('imu').ndim == 2", 1),
        (payload("imu").size == 30, "payload('imu').size == 30", 1),
        (payload("imu").nbytes == 120, "payload('imu').nbytes == 120", 1),
        (payload("imu").samplerate_hz == 5, "payload('imu').samplerate_hz == 5", 1),
        (payload("imu").duration_s == 2, "payload('imu').duration_s == 2", 1),
        (payload("imu").kind == "array", "payload('imu').kind == 'array'", 1),
        (payload("imu").backend == "memory", "payload('imu').backend == 'memory'", 1),
        (payload("imu").content_type.exists(), "payload('imu').content_type.exists()", 1),
        (payload("imu").metadata["unit"]["name"] == "g", "payload('imu').metadata['unit']['name'] == 'g'", 1),
        (payload("imu").metadata["none"].exists(), "payload('imu').metadata['none'].exists()", 0),
    ],
)
def test_conditions_and_their_texts(root, where, text, expected):
    assert root.find(where=where).count() == expected
    assert root.find(where=text).count() == expected
    assert root.find(where=repr(where).replace("dtype('float32')", "'float32'")).count() == expected


def test_an_attribute_with_a_dot_in_its_name_comes_first():
    root = BaseNode("root")
    root.attrs.update({"a.b": 1, "a": {"b": 2, "c": 3, "d.e": 4}})
    for name, value in {"a.b": 1, "a.c": 3, "a.d.e": 4}.items():
        assert root.find(where=attr(name) == value).count() == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("label ==", "cannot be read"),
        ("label = 'x'", "at column"),
        ("label", "column 1, 'label': by itself"),
        ("take > 1 and f(1)", "column 14, 'f"),
        ("label == walk", "stands in quotes"),
        ("label == 'a' & take == 1", "'a' & take.*write and, or"),
        ("label.matches('(')", "no regular expression"),
        ("payload('imu') == 1", "say what of it"),
        ("payload('imu').colour == 1", "there are exists"),
        ("payload('imu').dtype == 'flat32'", "no dtype"),
        ("payload(imu).dtype == 'f4'", "stands in quotes"),
        ("__import__('os').system('true')", "no '__import__' to call|is neither|to call"),
        ("[x for x in y]", "no condition"),
        ("1 < 2", "column 1, '1 < 2': neither side is an attribute"),
        ("'x' in ('x', 'y')", "column 1, .*: neither side is an attribute"),
        (
            "take > 0 and height + 1 == 2",
            "column 14, .*: nothing is computed in a condition; compare",
        ),
        ("height*2 > 3", "column 1, 'height.2': nothing is computed"),
        ("-height == 2", "column 1, '-height': nothing is computed"),
        ("2 == height + 1", "column 6, 'height . 1': nothing is computed"),
        ("height + 1 in (1, 2)", "column 1, 'height . 1': nothing is computed"),
        ("matches(label + 'x', 'y')", "column 9, .*: nothing is computed"),
        (
            "height == other + 1",
            "column 11, .*: nothing is computed in a condition; write the value",
        ),
        ("[height] == 3", "column 1, '.height.': it is neither an attribute"),
        ("x" * 5000, "at most 4096"),
        ("~" * 4000 + "x", "cannot be read|deep"),
        ("(" * 300 + "x", "cannot be read"),
        ("x == 1\0", "cannot be read"),
    ],
)
def test_a_text_that_says_no_condition_is_refused_with_its_place(root, text, message):
    with pytest.raises(lotdb.InvalidConditionError, match=message) as caught:
        root.find(where=text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (lambda: attr("a") == 1 and attr("b") == 2, "use|combine"),
        (lambda: bool(attr("a") == 1), "combine"),
        (lambda: 1 < attr("a") < 2, "combine"),
        (lambda: attr("a") == 1 & attr("b") == 2, "parentheses"),
        (lambda: (attr("a") == 1) & True, "both are to be conditions"),
        (lambda: (attr("a") == 1).exists(), "has no 'exists'"),
        (lambda: attr("a").startswith("x"), "has no 'startswith'"),
        (lambda: attr("a")["b"], "with a dot"),
        (lambda: ~attr("a"), "no condition"),
        (lambda: "x" in attr("a"), "contains"),
        (lambda: attr("a") == attr("b"), "not with another"),
        (lambda: attr("a").is_in("abc"), "as a list"),
        (lambda: attr("a").matches("("), "no regular expression"),
        (lambda: payload("a") == 1, "no condition"),
        (lambda: payload("a").length, "there are exists"),
        (lambda: len(payload("a")), "rows"),
        (lambda: payload("a").dtype == "flat", "numpy"),
        (lambda: BaseNode("r").find(where=attr("a")), "exists"),  # type: ignore[arg-type]
        (lambda: BaseNode("r").find("*").distinct(payload("a")), "names of attributes"),  # type: ignore[arg-type]
        (lambda: BaseNode("r").find(where=lambda node: True), "for node in|of your own"),  # type: ignore[arg-type]
        (lambda: BaseNode("r").find(where=3), "use a condition"),  # type: ignore[arg-type]
    ],
)
def test_mistakes_with_conditions_say_what_to_write(mistake, message):
    with pytest.raises(lotdb.InvalidConditionError, match=message) as caught:
        mistake()
    assert isinstance(caught.value, TypeError)
    assert "\n" not in str(caught.value)


def test_a_condition_nested_without_end_is_refused():
    condition = attr("a") == 1
    with pytest.raises(lotdb.InvalidConditionError, match="nested"):
        for _ in range(200):
            condition = (condition & (attr("b") == 1)) | (attr("c") == 2)


def test_node_types_can_be_asked_for(root):
    assert paths(root.find(node_type="data")) == ["sensor_0/capture_0"]
    assert root.find(node_type="").count() == 12


# -- what comes of it ----------------------------------------------------------------------------------


def test_first_count_and_truth(root):
    assert root.find("*/x").first() is None
    assert root.find("*/*").first().path == "sensor_0/capture_0"
    assert root.find("*/*")
    assert not root.find("*/x")


def test_names_in_a_text_are_as_they_are_written():
    """Python's parser takes the sign for micro for the Greek letter, and a ligature for two letters."""
    root = BaseNode("root")
    micro, mu, ligature = "amp_\u00b5V", "amp_\u03bcV", "\ufb01t"
    root.get_node("a").attrs.update({micro: 2, ligature: 1, "d": {"\u00b5V": 7}})
    root.get_node("b").attrs[mu] = 3
    for text, found in (
        (f"{micro} > 1", ["a"]),
        (f"{mu} > 1", ["b"]),
        (f"{micro}.exists()", ["a"]),
        (f"not {micro} > 9", ["a"]),
        (f"1 < {micro} < 9 and d . \u00b5V == 7", ["a"]),
        (f"{ligature} == 1", ["a"]),
        ("(d).\u00b5V in (7, 8)", ["a"]),
        (f"attr('{micro}') > 1", ["a"]),
    ):
        assert paths(root.find(where=text)) == found, text


def test_keys_of_dicts_are_found_by_any_spelling():
    root = BaseNode("root")
    root.get_node("a").attrs["info"] = {"e\u0301": {"\u212b": 1}}
    root.get_node("b").attrs["info"] = {"\u00e9": {"\u00c5": 1}}
    for name in ("info.e\u0301.\u212b", "info.\u00e9.\u00c5"):
        assert paths(root.find(where=attr(name) == 1)) == ["a", "b"]


def test_columns_by_default_are_the_attributes_themselves():
    pytest.importorskip("pandas")
    root = BaseNode("root")
    root.get_node("x").attrs["a.b"] = 5
    root.get_node("y").attrs["a"] = {"b": 7}
    frame = root.find("*").to_frame()
    assert frame["a.b"].isna().tolist() == [False, True]
    assert root.find("*").to_frame(["a.b"])["a.b"].tolist() == [5, 7]


def test_distinct_takes_what_is_equal_for_one():
    root = BaseNode("root")
    nan = float("nan")
    values = {
        "float": [nan, -nan],
        "float32": [np.float32(nan), np.float32(nan)],
        "complex": [complex(nan, 0), complex(nan, 0)],
        "time": [np.datetime64("NaT", "s"), np.datetime64("NaT", "s")],
        "decimal": [Decimal("NaN"), Decimal("NaN")],
        "dict": [{"a": 1, "b": [nan]}, {"b": [nan], "a": 1}],
    }
    for number in (0, 1):
        root.get_node(str(number)).attrs.update({name: each[number] for name, each in values.items()})
    for name in values:
        assert list(root.find("*").distinct(name).values()) == [2], name
    assert list(root.find("*").distinct("dict")) == [(("a", 1), ("b", (pytest.approx(nan, nan_ok=True),)))]


def test_distinct_counts_values_of_nodes_that_have_them(root):
    root["sensor_0/capture_1"].set_attribute("label", ["walk", {"fast": 1}])
    assert root.find().distinct("label") == {"walk": 5, "run": 3, ("walk", (("fast", 1),)): 1}
    assert list(root.find().distinct("subject.height_m")) == [1.5, 2.5, 3.5]
    assert root.find().distinct(payload("imu").rows) == {10: 1}


def test_a_frame_has_a_row_for_each_node(root):
    pandas = pytest.importorskip("pandas")
    root["sensor_0/capture_1"].set_attribute("label", ["a", "list"])
    frame = root.find("sensor_0/*").to_frame(["label", "subject.height_m", payload("imu").rows])
    assert list(frame.index) == ["sensor_0/capture_0", "sensor_0/capture_1", "sensor_0/capture_2"]
    assert frame["label"].tolist() == ["run", ["a", "list"], "walk"]
    assert frame["subject.height_m"].tolist() == [1.5, 1.5, 1.5]
    assert frame["payload('imu').rows"].iloc[0] == 10
    assert pandas.isna(frame["payload('imu').rows"].iloc[1])
    assert list(root.find("sensor_1/*").to_frame().columns) == ["label", "take", "subject"]


def test_a_frame_without_pandas_says_what_to_install(root, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(lotdb.MissingPluginError, match=re.escape('pip install "lotdb-core[pandas]"')):
        root.find().to_frame()


# -- in databases ---------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    with LOTDB(tmp_path / "db") as db, db.connection() as root:
        for group in range(20):
            for leaf in range(200 if group == 3 else 20):
                root.get_node_path(f"group_{group:02}/leaf_{leaf:03}").attrs.update(
                    {"take": leaf, "group": group}
                )
        root.get_node("group_05").set_attribute("text", "x" * 2000)
        root.get_node("big").set_attribute("text", "x" * 2000)
    return tmp_path / "db"


def test_cold_warm_and_changed_trees_give_the_same(folder):
    with LOTDB(folder) as db:
        root = db.open_connection()
        where = (attr("take") == 7) | (attr("text").matches("^x"))
        cold = paths(root.find(where=where))
        expected = [
            n.path for n in root.iterate_tree() if n.get_attribute("take") == 7 or n.get_attribute("text")
        ]
        assert cold == expected == paths(root.find(where=where))
        root["group_03/leaf_007"].set_attribute("take", 8)
        db.savepoint()
        assert "group_03/leaf_007" not in paths(root.find(where=where))
        branch = root["group_04"].branch("group_04b")
        branch["leaf_007"].set_attribute("take", 9)
        assert [n.path for n in root.find("group_04*/*", where=attr("take").is_in([7, 9]))] == [
            "group_04/leaf_007", "group_04/leaf_009", "group_04b/leaf_007", "group_04b/leaf_009",
        ]  # fmt: skip


def test_a_tree_may_be_changed_and_committed_while_it_is_searched(folder):
    with LOTDB(folder) as db:
        root = db.open_connection()
        seen = []
        for node in root.find("group_*/leaf_*"):
            seen.append(node.path)
            node.set_attribute("seen", True)
            if node.key == "leaf_005":
                node.parent.delete_node("leaf_006")
                node.parent.get_node("leaf_005b")
                db.commit()
        assert len(seen) == len(set(seen)) == 20 * 20 + 180 - 20
        assert not any(path.endswith("leaf_006") for path in seen)
        assert root.find(where="seen == True").count() == len(seen)


def test_only_the_records_that_a_pattern_reaches_are_read(folder, monkeypatch):
    with LOTDB(folder, read_only=True) as db:
        root = db.open_connection()
        read = []
        peek = ConnectedTree.peek
        monkeypatch.setattr(
            ConnectedTree, "peek", lambda tree, record: read.append(record) or peek(tree, record)
        )
        for pattern in ("group_07/leaf_*", "group_07*/leaf_001"):
            read.clear()
            assert root.find(pattern).count() in (20, 1)
            assert len(read) <= 2
        connection = root._tree._session.connection
        before = connection.getTransferCounts()[0]
        assert root.find("*").count() == 21
        assert connection.getTransferCounts()[0] - before <= 1


def test_a_search_leaves_no_records_in_memory(folder):
    with LOTDB(folder, read_only=True) as db:
        root = db.open_connection()
        root.find("nothing").count()
        before = root._tree._session.connection._cache.cache_non_ghost_count
        assert root.find(where=attr("take") == 7).count() == 20
        assert root._tree._session.connection._cache.cache_non_ghost_count - before <= 8


@pytest.mark.slow
def test_a_deep_tree_can_be_searched():
    root = BaseNode("root")
    root.get_node_path(["x"] * 3000).set_attribute("end", 1)
    assert root.find(where=attr("end") == 1).count() == 1
    assert root.find("**/x").count() == 3000


def test_a_node_that_is_gone_is_told_at_the_call(root):
    node = root["sensor_0"]
    del root["sensor_0"]
    with pytest.raises(lotdb.StaleNodeError):
        node.find()


def test_a_condition_is_read_while_other_threads_parse(root):
    with disturbed_parser():
        found = root.find(where="label == 'walk' and (take in [1, (3), -5] or 0 <= take < 1)")
    assert [node.get_attribute("take") for node in found] == [1, 1, 1]
