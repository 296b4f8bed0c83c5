"""Records that are pickled by C code alone say the same as those that ZODB pickles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from persistent import Persistent
from ZODB.serialize import ObjectWriter, referencesf

from lotdb import LOTDB
from lotdb.records import Box, Bucket, Children, Guard, Rows
from lotdb.storage.dumping import Several, dump_record
from lotdb.storage.states import States, outline

JAR = object()

plain = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(), max_size=3),
    st.binary(max_size=3),
)
numbers = st.integers(min_value=0, max_value=400).map(lambda number: ("record", number))
states = st.recursive(plain | numbers, lambda parts: st.lists(parts, max_size=4).map(tuple), max_leaves=30)


def with_records(state: Any, records: dict[int, Any]) -> Any:
    """*state* with a record for each number of one."""
    if type(state) is not tuple:
        return state
    if len(state) == 2 and state[0] == "record" and type(state[1]) is int:
        return records.setdefault(state[1], (Guard if state[1] % 2 else Children)())
    return tuple(with_records(each, records) for each in state)


def as_plain(state: Any) -> Any:
    """*state* with the id of each record, and floats that can be compared."""
    if type(state) is tuple:
        return tuple(map(as_plain, state))
    if isinstance(state, Persistent):
        return type(state), state._p_oid
    return (float, state.hex()) if type(state) is float else (type(state), state)


@given(states, st.booleans())
@settings(max_examples=100)
def test_a_state_comes_back(state: Any, are_stored: bool) -> None:
    records: dict[int, Any] = {}
    state = with_records(state, records)
    for number, record in records.items():
        record._p_oid = number.to_bytes(8, "big")
        if are_stored:  # in the connection before; with them, ZODB has nothing to do
            record._p_jar = JAR
    data = dump_record(Box, state, lambda record: (record._p_oid, type(record)), JAR)
    assert data is not None
    kind, found, _ = States().read(data)  # of a class whose states are never columns
    assert kind is Box
    assert as_plain(found) == as_plain(state)
    assert set(referencesf(data)) == {record._p_oid for record in records.values()}


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 70_000])
def test_rows_come_back(size: int) -> None:
    rows = bytes(range(256)) * (size // 256 + 1)
    data = dump_record(Rows, rows[:size], lambda record: None, JAR)
    assert data is not None
    assert States().read(data) == (Rows, rows[:size], [])
    assert outline(data) == ("Rows", rows[:size], [])
    assert not referencesf(data)


def test_many_references_come_back() -> None:
    """More than the memo of a pickle has short numbers for, each several times."""
    records = [Guard() for _ in range(700)]
    for number, record in enumerate(records):
        record._p_oid = number.to_bytes(8, "big")
    state = tuple((f"key {number}", record, record) for number, record in enumerate(records))
    data = dump_record(Bucket, (state, state), lambda record: (record._p_oid, type(record)), JAR)
    assert data is not None
    assert as_plain(States().read(data)[1]) == as_plain((state, state))
    found = outline(data)
    assert found is not None
    _, named, oids = found
    assert named[0][699] == named[1][699] == ("key 699", *[(records[699]._p_oid, "Guard")] * 2)
    assert sorted(oids) == [record._p_oid for record in records]


@pytest.mark.parametrize("new", [[], [0], [299], range(300)])
def test_a_column_of_records_is_a_tuple_of_them(new: Any) -> None:
    """Some of them are known to the connection, others have no id yet."""
    records, ids = [Guard() for _ in range(300)], {}
    for number, record in enumerate(records):
        ids[record] = number.to_bytes(8, "big")
        if number not in new:
            record._p_oid = ids[record]
            record._p_jar = JAR
    asked = []

    def refer(record: Any) -> Any:
        asked.append(record)
        return record._p_oid or ids[record], type(record)

    box = Children()
    box._p_oid = b"children"
    dump_record(Bucket, (records[1], box), refer, JAR)  # which learns how those are referred to
    asked.clear()
    state = (box, "text", Several(tuple(records)), (records[0], "text"))
    data = dump_record(Bucket, state, refer, JAR)
    assert data is not None
    assert {*asked} - {box} == {records[number] for number in new}
    assert as_plain(States().read(data)[1]) == (
        (Children, b"children"),
        (str, "text"),
        tuple((Guard, ids[record]) for record in records),
        ((Guard, ids[records[0]]), (str, "text")),
    )
    assert {*referencesf(data)} == {b"children", *ids.values()}


@pytest.mark.parametrize("count", [1, 2, 250])
def test_texts_stand_between_records(count: int) -> None:
    """As the keys between the parts of a record of many children, of which one is new."""
    records = [Bucket() for _ in range(count)]
    for number, record in enumerate(records):
        record._p_oid = number.to_bytes(8, "big")
        record._p_jar = JAR
    records[count // 2] = new = Bucket()
    texts = ["", "é" * 200, "z" * 300, "h\0)R", *map(str, range(count))][: count - 1]
    state = (Several(tuple(records), tuple(texts)), records[0], b"marks")
    data = dump_record(Children, state, lambda record: (b"made now", Bucket), JAR)
    assert data is not None
    new._p_oid = b"made now"
    flat: list[Any] = [records[0]]
    for text, record in zip(texts, records[1:], strict=True):
        flat += [text, record]
    assert as_plain(States().read(data)[1]) == as_plain((tuple(flat), records[0], b"marks"))
    assert {*referencesf(data)} == {record._p_oid for record in records}


def test_a_text_without_a_form_in_utf_8_is_left_to_zodb() -> None:
    records = [Bucket(), Bucket()]
    for record in records:
        record._p_oid, record._p_jar = bytes(8), JAR
    state = (Several(tuple(records), ("\ud800",)), records[0])
    assert dump_record(Children, state, lambda record: (record._p_oid, Bucket), JAR) is None


def test_a_text_with_the_code_of_a_reference_comes_back(tmp_path: Path) -> None:
    text = "h\0)R"
    record = Guard()
    record._p_oid = bytes(8)
    assert dump_record(Bucket, (text, record), lambda record: (record._p_oid, type(record)), JAR) is None
    data = dump_record(Bucket, (text, text), lambda record: None, JAR)
    assert data is not None
    assert States().read(data)[1] == (text, text)
    with LOTDB(tmp_path / "results", new=True) as db, db.connection() as root:
        node = root.get_data_node("data", samplerate_hz=100)
        node.attrs["code"] = text
        node.get_node_path("below").attrs["code"] = text.encode()
    with LOTDB(tmp_path / "results") as db, db.connection() as root:
        assert dict(root["data"].attrs) == {"code": text}
        assert dict(root["data/below"].attrs) == {"code": text.encode()}


@pytest.mark.parametrize("value", [{1}, object(), np.float64(1), Path("x"), print, int, [range(3)]])
def test_what_is_not_plain_is_left_to_zodb(value: Any) -> None:
    dumped = dump_record(Box, ((), value), lambda record: None, JAR)
    assert dumped is None


def test_a_reference_of_another_form_is_left_to_zodb() -> None:
    class Unknown(Persistent):
        pass

    for reference in (None, b"12345678", ["w", (b"12345678",)], (b"12345678", Box), (b"1234", Unknown)):
        assert dump_record(Box, (Unknown(),), lambda record: reference, JAR) is None  # noqa: B023


def test_the_records_of_a_database_are_those_of_zodb(tmp_path: Path) -> None:
    with LOTDB(tmp_path / "results", new=True) as db:
        root = db.open_connection()
        node = root.get_data_node("data", samplerate_hz=100)
        for number in range(30):
            node.write_data(np.arange(number + 1.0), data_attribute=f"part {number}")
            db.commit()
        node.append_data(np.arange(100_000.0), data_attribute="large")
        for number in range(300):
            root.get_node_path(("wide", f"child {number:03d}", "below")).attrs["number"] = number
        root["wide"].branch("copy")
        db.commit()
        root["copy/child 150"].attrs["x"] = [1, {"y": (2.0, None)}]
        db.commit()
        tree: Any = root._tree
        connection = tree._session.connection
        seen: set[bytes] = set()
        todo = [connection.root()]
        while todo:
            record = todo.pop()
            if record._p_oid in seen:
                continue
            seen.add(record._p_oid)
            record._p_activate()
            stored = connection._storage.load(record._p_oid)[0]
            expected = ObjectWriter(record).serialize(record)
            states = States()
            kind, state, references = states.read(stored)
            kind_of_zodb, state_of_zodb, _ = states.read(expected)
            assert kind is kind_of_zodb
            assert repr(as_plain(state)) == repr(as_plain(state_of_zodb))
            assert set(referencesf(stored)) == set(referencesf(expected))
            todo += [connection.get(each._p_oid) for each in references]
        assert len(seen) > 300
