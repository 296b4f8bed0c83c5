"""Blocks of rows: what is stored is what was in them when they were given, and as many rows as they said."""

from threading import Thread
from typing import Any

import numpy as np
import pytest

from lotdb import (
    LOTDB,
    Blocks,
    DatabaseBusyError,
    DataMismatchError,
    InvalidDataError,
    InvalidOptionError,
    Plugins,
    hookimpl,
)

ROWS = 1000


def reused(*values):
    """A block of each of *values*, all in the same memory, which holds something else in the end."""
    memory = np.empty(ROWS)
    for value in values:
        memory[:] = value
        yield memory
    memory[:] = -1


@pytest.mark.parametrize("values", [(1,), (1, 2), (1, 2, 3, 4)])
@pytest.mark.parametrize("rows", ["known", "unknown"])
@pytest.mark.parametrize("backend", ["blob", "zarr"])
def test_memory_of_a_block_that_is_used_again(tmp_path, values, rows, backend):
    with LOTDB(tmp_path) as db:
        with db.connection() as root:
            count = ROWS * len(values) if rows == "known" else None
            blocks = Blocks(reused(*values), np.dtype(float), rows=count)
            root.get_data_node("a").write_data(blocks, backend=backend)
        with db.connection() as root:
            assert root["a"].read_data().tolist() == np.repeat(np.array(values, float), ROWS).tolist()


@pytest.mark.sampled(16)
@pytest.mark.parametrize("unit", [1, ROWS * 30])
@pytest.mark.parametrize("given", [(), (4,), (6,), (5, 1), (2, 4), (2, 2)])
@pytest.mark.parametrize("if_exists", ["replace", "append"])
@pytest.mark.parametrize("backend", ["blob", "zarr"])
def test_another_number_of_rows_than_was_said(tmp_path, unit, given, if_exists, backend):
    with LOTDB(tmp_path, default_backend=backend) as db, db.connection() as root:
        node = root.get_data_node("a")
        node.write_data(np.arange(3.0))
        db.commit(root)
        blocks = (np.zeros(rows * unit) for rows in given)
        with pytest.raises(InvalidDataError, match=f"'a'.*{5 * unit}"):
            node.write_data(Blocks(blocks, np.dtype(float), rows=5 * unit), if_exists=if_exists)
        db.commit(root)
        assert node.read_data().tolist() == [0, 1, 2]
        assert db.verify() == []


@pytest.mark.parametrize("given", [(5,), (0, 5), (5, 0), (2, 3), (1, 1, 1, 1, 1)])
@pytest.mark.parametrize("unit", [1, ROWS * 30])
def test_the_number_of_rows_that_was_said(tmp_path, given, unit):
    with LOTDB(tmp_path) as db, db.connection() as root:
        blocks = (np.full(rows * unit, rows) for rows in given)
        data = root.get_data_node("a").write_data(Blocks(blocks, np.dtype(int), rows=5 * unit)).read()
        assert data.tolist() == [rows for rows in given for _ in range(rows * unit)]


class Quantity(np.ndarray):
    """An array with a unit, as other libraries have them."""


OTHERS = {
    "other numbers": lambda rows: np.zeros(rows, "f4"),
    "numbers of the same size": lambda rows: np.zeros(rows, "i8"),
    "another byte order": lambda rows: np.zeros(rows, ">f8"),
    "another shape": lambda rows: np.zeros((rows, 2)),
    "one axis more": lambda rows: np.zeros((rows, 1)),
    "no axis": lambda rows: np.array(1.0),
    "objects": lambda rows: np.zeros(rows, object),
    "a mask": lambda rows: np.ma.zeros(rows),
    "a unit": lambda rows: np.zeros(rows).view(Quantity),
    "a list": lambda rows: [0.0] * rows,
    "None": lambda rows: None,
}


@pytest.mark.crossed
@pytest.mark.parametrize("what", OTHERS)
@pytest.mark.parametrize("unit", [1, ROWS * 300])
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("backend", ["blob", "zarr"])
def test_a_block_of_another_kind_than_was_announced(tmp_path, what, unit, known, backend):
    with LOTDB(tmp_path, default_backend=backend) as db, db.connection() as root:
        node = root.get_data_node("a")
        node.write_data(np.arange(3.0))
        db.commit(root)
        blocks = iter([np.zeros(unit), OTHERS[what](unit)])
        with pytest.raises(InvalidDataError, match=r"'data' of node 'a': its Blocks announced .*float64"):
            node.write_data(Blocks(blocks, np.dtype(float), rows=2 * unit if known else None))
        db.commit(root)
        assert node.read_data().tolist() == [0, 1, 2]
        assert db.verify() == []


blocks_of: Any = Blocks  # of what type checkers refuse


def once():
    yield np.zeros(3)


SENSELESS = {
    r"whose dtype is 'f8'; use a numpy\.dtype": blocks_of([], "f8"),
    r"whose row_shape is 2; use a tuple of lengths, such as \(4,\)": blocks_of([], np.dtype("f8"), 2),
    r"whose row_shape is \(-1,\)": Blocks([], np.dtype("f8"), (-1,)),
    "whose rows are '3'; use a whole number from 0 on, or None": blocks_of([], np.dtype("f8"), rows="3"),
    "whose rows are -1": Blocks([], np.dtype("f8"), rows=-1),
    "whose kind is 'picture'": blocks_of([], np.dtype("f8"), kind="picture"),
    "for text; use uint8": Blocks([], np.dtype("f8"), kind="text"),
    "for bytes; use uint8": Blocks([], np.dtype("u1"), (2,), kind="bytes"),
    r"table with rows of shape \(2,\)": Blocks([], np.dtype([("x", "f8")]), (2,), kind="table"),
    "objects": Blocks([], np.dtype(object)),
    "no bytes": Blocks([], np.dtype("S0")),
    "whose blocks are of type int; use an iterable of arrays": blocks_of(5, np.dtype("f8")),
    "whose blocks are of type function; use an iterable of arrays": blocks_of(once, np.dtype("f8")),
}


@pytest.mark.parametrize("says", SENSELESS)
def test_blocks_that_say_nothing_sensible(tmp_path, says):
    with LOTDB(tmp_path) as db, db.connection() as root:
        with pytest.raises(InvalidDataError, match=rf"payload 'data' of node 'a'.*{says}"):
            root.get_data_node("a").write_data(SENSELESS[says])
        assert not root["a"].has_data()


def test_an_iterator_gives_its_blocks_once_and_a_list_again(tmp_path):
    with LOTDB(tmp_path) as db, db.connection() as root:
        node, generator = root.get_data_node("a"), once()
        used = [Blocks(generator, np.dtype(float)), Blocks(iter([np.zeros(3)]), np.dtype(float))]
        for blocks in used:
            node.write_data(blocks)
        for blocks in (*used, Blocks(generator, np.dtype(float))):
            with pytest.raises(InvalidDataError, match=r"'again' of node 'a'.* has given its blocks before"):
                node.write_data(blocks, data_attribute="again")
        assert list(node.payloads) == ["data"]
        several = Blocks([np.zeros(3)], np.dtype(float))
        for _ in range(2):
            assert node.write_data(several).shape == (3,)


def test_blocks_that_were_refused_before_the_first_one_can_be_given_again(tmp_path):
    with LOTDB(tmp_path) as db, db.connection() as root:
        node, blocks = root.get_data_node("a"), Blocks(once(), np.dtype(float))
        with pytest.raises(InvalidOptionError):
            node.write_data(blocks, chunks=2)
        assert node.write_data(blocks).shape == (3,)


def test_an_attempt_after_a_conflict_stores_no_part_of_what_an_iterator_gave(tmp_path):
    with LOTDB(tmp_path) as db:
        db.run(lambda root: root.get_data_node("a").attrs.update(x=0))
        blocks, others = Blocks(once(), np.dtype(float)), [lambda root: root["a"].attrs.update(x=1)]

        def work(root):
            root["a"].write_data(blocks)
            if others:
                other = Thread(target=db.run, args=(others.pop(),))
                other.start()
                other.join()

        with pytest.raises(InvalidDataError, match="has given its blocks before"):
            db.run(work)
        assert not db.run(lambda root: root["a"].has_data())


def test_a_text_in_blocks_is_utf_8(tmp_path):
    text = "größer " * 5
    pieces = [np.frombuffer(text.encode()[first : first + 3], np.uint8) for first in range(0, 45, 3)]
    with LOTDB(tmp_path) as db, db.connection() as root:
        node = root.get_data_node("a")
        node.write_data(Blocks(iter(pieces), np.dtype("u1"), kind="text"))
        assert node.read_data() == text
        with pytest.raises(InvalidDataError, match=r"'a'.*no UTF-8"):
            node.write_data(Blocks(iter(pieces[:1] * 2), np.dtype("u1"), kind="text"))
        assert node.read_data() == text


@pytest.mark.parametrize("rows", [None, 6 * ROWS * 300])
@pytest.mark.parametrize("backend", ["blob", "zarr"])
@pytest.mark.parametrize("storage", ["file", "sqlite"])
def test_an_error_of_the_generator_comes_out_as_it_is(tmp_path, rows, backend, storage):
    class TheirError(Exception):
        pass

    def failing():
        for _ in range(5):
            yield np.zeros(ROWS * 300)
        raise TheirError("no more")

    with LOTDB(tmp_path, default_backend=backend, storage=storage) as db, db.connection() as root:
        node = root.get_data_node("a")
        node.write_data(np.arange(3.0))
        db.commit(root)
        with pytest.raises(TheirError, match="no more"):
            node.write_data(Blocks(failing(), np.dtype(float), rows=rows))
        db.commit(root)
        assert node.read_data().tolist() == [0, 1, 2]
        assert db.verify() == []


class Refusing:
    """A listener that refuses payloads of the node that is written to."""

    def __init__(self):
        self.is_on = True

    @hookimpl
    def lotdb_payload_written(self, node, name):
        if node.key == "a" and self.is_on:
            raise ValueError("refused")


@pytest.mark.parametrize("others", [3, ROWS * 300], ids=["small", "large"])
@pytest.mark.parametrize("own", [3, ROWS * 300], ids=["small", "large"])
@pytest.mark.parametrize("backend", ["blob", "zarr"])
def test_what_a_generator_writes_elsewhere_stays_if_its_own_rows_are_refused(tmp_path, others, own, backend):
    plugins = Plugins()
    plugins.register(Refusing(), name="refusing")
    with LOTDB(tmp_path, default_backend=backend, plugins=plugins) as db:
        with db.connection() as root:
            node, other = root.get_data_node("a"), root.get_data_node("other")

            def writing():
                for number in range(4):
                    other.write_data(np.full(others, number, float), data_attribute=f"block {number}")
                    yield np.full(own, number, float)

            with pytest.raises(ValueError, match="refused"):
                node.write_data(Blocks(writing(), np.dtype(float)))
            assert not node.has_data()
        with db.connection() as root:
            for number in range(4):
                data = root["other"].read_data(data_attribute=f"block {number}")
                assert data.tolist() == [number] * others
        assert db.verify() == []


ENDS = {
    "commit": lambda db, root, point: db.commit(),
    "abort": lambda db, root, point: db.abort(),
    "savepoint": lambda db, root, point: db.savepoint(),
    "rollback": lambda db, root, point: point.rollback(),
    "close": lambda db, root, point: db.close(),
    "close_connection": lambda db, root, point: db.close_connection(root),
    "discard": lambda db, root, point: db.discard(),
}


@pytest.mark.crossed
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("unit", [1, ROWS * 300])
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("if_exists", ["replace", "append"])
@pytest.mark.parametrize("backend", ["blob", "zarr"])
def test_the_transaction_does_not_end_between_two_blocks(tmp_path, end, unit, known, if_exists, backend):
    with LOTDB(tmp_path, default_backend=backend) as db:
        root = db.open_connection()
        node = root.get_data_node("a")
        node.write_data(np.arange(3.0))
        db.commit()
        point = db.savepoint()

        def ending():
            yield np.zeros(unit)
            ENDS[end](db, root, point)
            yield np.zeros(unit)

        with pytest.raises(DatabaseBusyError, match="when write_data has returned"):
            node.write_data(
                Blocks(ending(), np.dtype(float), rows=2 * unit if known else None), if_exists=if_exists
            )
        assert node.read_data().tolist() == [0, 1, 2]
        node.set_attribute("after", 1)
        db.commit()
    with LOTDB(tmp_path) as db:
        with db.connection() as root:
            assert root["a"].read_data().tolist() == [0, 1, 2]
            assert root["a"].get_attribute("after") == 1
        assert db.verify() == []


def test_another_connection_may_be_used_between_two_blocks(tmp_path):
    with LOTDB(tmp_path) as db:
        with db.connection() as root:

            def committing():
                for number in range(3):
                    db.run(lambda other, number=number: other.set_attribute(f"block {number}", number))
                    yield np.zeros(ROWS * 300)

            root.get_data_node("a").write_data(Blocks(committing(), np.dtype(float)))
        with db.connection() as root:
            assert dict(root.attrs) == {"block 0": 0, "block 1": 1, "block 2": 2}
            assert len(root["a"].read_data()) == 3 * ROWS * 300


def test_rows_that_are_appended_between_two_blocks_are_not_lost(tmp_path):
    with LOTDB(tmp_path) as db, db.connection() as root:
        node = root.get_data_node("a")
        node.write_data(np.arange(3.0))

        def appending():
            yield np.zeros(2)
            node.append_data(np.array([3.0]))
            yield np.zeros(2)

        with pytest.raises(DataMismatchError, match="was changed while"):
            node.append_data(Blocks(appending(), np.dtype(float)))
        assert node.read_data().tolist() == [0, 1, 2, 3]
        db.commit(root)
        assert node.read_data().tolist() == [0, 1, 2, 3]
        assert db.verify() == []


@pytest.mark.crossed
@pytest.mark.parametrize("there", [3, ROWS * 300], ids=["small", "large"])
@pytest.mark.parametrize("new", [3, ROWS * 300], ids=["small", "large"])
@pytest.mark.parametrize("in_blocks", [True, False])
@pytest.mark.parametrize("backend", ["blob", "zarr"])
@pytest.mark.parametrize("storage", ["file", "sqlite"])
def test_rows_to_which_others_were_to_be_appended_stay(tmp_path, there, new, in_blocks, backend, storage):
    plugins, refusing = Plugins(), Refusing()
    plugins.register(refusing, name="refusing")
    with LOTDB(tmp_path, default_backend=backend, plugins=plugins, storage=storage) as db:
        with db.connection() as root:
            node = root.get_data_node("a")
            refusing.is_on = False
            node.write_data(np.arange(float(there)))  # not committed, when others follow
            refusing.is_on = True
            data = np.zeros(new)
            with pytest.raises(ValueError, match="refused"):
                node.append_data(Blocks(iter([data]), data.dtype) if in_blocks else data)
            assert node.read_data().tolist() == list(range(there))
        with db.connection() as root:
            assert root["a"].read_data().tolist() == list(range(there))
        assert db.verify() == []
