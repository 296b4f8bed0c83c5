"""Children that are stored as columns come back as the rows that they were."""

from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ZODB.ConflictResolution import PersistentReference

from lotdb import LOTDB, BaseNode
from lotdb.database.session import FORMATS_KEY
from lotdb.errors import DamagedError
from lotdb.records import Children
from lotdb.records.merge import merge_buckets
from lotdb.storage.folding import Columns, columns_in, folded, is_folded, things_in, unfolded

# Values of one type, which lie in one column, and of any.
texts = st.text(max_size=3) | st.sampled_from(["a", "b", "\0", "a\0b", "", "/", "\ud800"])
kinds = (
    st.integers(-200, 200),
    st.integers(-(1 << 33), 1 << 33),
    st.integers(-(1 << 70), 1 << 70),
    st.sampled_from(
        [-128, 127, 128, -129, 1 << 15, (1 << 31) - 1, 1 << 31, -(1 << 63), (1 << 63) - 1, 1 << 63]
    ),
    st.floats(),
    st.sampled_from([0.0, -0.0, float("inf"), struct.unpack("<d", b"\1\0\0\0\0\0\xf8\x7f")[0]]),
    texts,
    st.sampled_from(["walk", "run"]),
    st.booleans(),
    st.none(),
    st.binary(max_size=3),
    st.lists(texts | st.integers(0, 1) | st.booleans(), max_size=2).map(tuple),
)
values = st.sampled_from(kinds) | st.just(st.one_of(*kinds))


@st.composite
def rows(draw: Any) -> tuple[Any, ...]:
    """Keys and entries, one after the other, mostly of one form."""
    keys = sorted(
        draw(st.sets(st.text(st.characters(exclude_characters="/"), min_size=1, max_size=3), max_size=30))
    )
    columns = [draw(values) for _ in range(draw(st.integers(0, 4)))]
    names = tuple(map(str, range(len(columns))))
    entries = [("", names, *map(draw, columns)) for _ in keys]
    if entries and draw(st.integers(0, 9)) == 0:  # as tags are
        entries = draw(st.sampled_from([["a text of its own"] * len(keys), [*entries[:-1], "a text"]]))
    elif entries and draw(st.integers(0, 4)) == 0:
        entries[-1] = draw(st.sampled_from([("", ()), ("x", names, *entries[-1][2:]), (*entries[-1], 1)]))
    own = ("", (("label",), 1)) if draw(st.booleans()) else ()
    return (*own, *[part for pair in zip(keys, entries, strict=True) for part in pair])


def exact(state: Any) -> Any:
    """*state* with types, and the bits of numbers."""
    if type(state) is tuple:
        return tuple(map(exact, state))
    return (type(state), struct.pack("<d", state)) if type(state) is float else (type(state), state)


NEXT = object()


@given(rows())
@settings(max_examples=3 * settings().max_examples)
@example(tuple(part for at in range(128) for part in (f"{at:03}", ("", ("x", "y"), at / 2, "walk"))))
@example(
    tuple(
        part
        for at in range(128)
        for part in (f"{at:03}", ("", ("x",), ("list", True) if at else ("list", 1)))
    )
)
def test_all_comes_back(flat: tuple[Any, ...]) -> None:
    for state in ((flat,), (flat, NEXT), (((flat,),),)):
        stored = folded(state)
        assert exact(unfolded(stored)) == exact(state)
        assert is_folded(stored) == (stored != state)
        if is_folded(stored):
            start = 2 if flat[0] == "" else 0
            columns = looked_into(stored)
            pairs = list(zip(flat[start::2], flat[start + 1 :: 2], strict=True))
            assert (columns.first_key, columns.last_key, len(columns)) == (
                pairs[0][0],
                pairs[-1][0],
                len(pairs),
            )
            assert exact(columns.own) == exact(flat[:start])
            for key, entry in pairs:
                assert exact(columns.entry(key)) == exact(entry)
            for places in ([], [0], [len(pairs) - 1], [*range(1, len(pairs))]):
                assert exact(tuple(columns.some(places))) == exact(tuple(pairs[at] for at in places))
            for at in range(len(pairs[0][1])):
                values = tuple(entry[at] for _, entry in pairs)
                plain = columns.plain(at)
                assert plain is None or exact(tuple(plain)) == exact(values)
                assert plain is None or {*map(type, values)} <= {str, int, float}
                same = columns.same(at)
                assert same is None or {*map(repr, map(exact, values))} == {repr(exact(same))}
            assert things_in(stored) > len(flat) // 2


def looked_into(state: Any) -> Columns:
    columns = columns_in(state)
    assert columns is not None
    return columns


def captures(count: int = 100) -> tuple[Any, ...]:
    names = ("label", "length", "number", "id")
    return tuple(
        part for at in range(count) for part in (f"clip {at:03}", ("", names, "walk", at / 4, at, f"id {at}"))
    )


def test_one_entry_is_found_by_its_whole_key_alone() -> None:
    state = folded((captures(),))
    columns = looked_into(state)
    assert columns.entry("clip 007") == captures()[15]
    for key in ("clip", "clip 00", "lip 007", "clip 007/clip 008", "clip 100", "7"):
        assert columns.entry(key) is None
    assert columns_in((captures(),)) is None


def test_a_few_children_stay_as_they_are() -> None:
    assert folded((captures(7),)) == (captures(7),)
    assert is_folded(folded((captures(8),)))


@pytest.mark.parametrize(
    "state", [None, (), ((),), (((),),), (((1,), "k", (2,)), 3, b"\0"), {"tree": 1}, b"rows"]
)
def test_what_is_no_bucket_is_left_alone(state: Any) -> None:
    assert folded(state) == state
    assert not is_folded(state)


def test_texts_that_come_again_are_one_object() -> None:
    names = ("label",)
    flat = tuple(part for at in range(20) for part in (f"{at:02}", ("", names, "".join(["wa", "lk"]))))
    back = unfolded(folded((flat,)))[0]
    assert len({id(entry[2]) for entry in back[1::2]}) == 1
    assert len({id(entry[1]) for entry in back[1::2]}) == 1


def broken() -> dict[str, Any]:
    version, own, keys, (kind, names, label, length, number, name) = folded((captures(),))[0]
    columns = (kind, names, label, length, number, name)
    return {
        "another version": (2, own, keys, columns),
        "a column too few bytes": (version, own, keys, (kind, names, label, (length[0], length[1][:-8]))),
        "a text too few": (version, own, keys, (kind, names, (name[0], name[1].rpartition("\0")[0]))),
        "keys too few": (version, own, keys.rpartition("/")[0], columns),
        "an unknown form": (version, own, keys, (kind, names, (99, label[1]))),
        "no columns": (version, own, keys, 7),
        "keys of another kind": (version, own, 7, columns),
        "own of another kind": (version, (1,), keys, columns),
        "a plain column too long": (version, own, keys, (kind, names, (1, (1,) * 101))),
        "a plain column of another kind": (version, own, keys, (kind, names, (1, "x" * 100))),
        "a choice that is none": (version, own, keys, (kind, names, (3, (("a",), b"\1" * 100)))),
        "parts missing": (version, own, keys),
        "no column": (version, own, keys, ()),
        "one column": (version, own, keys, (kind,)),
        "own under another key": (version, ("a", (("x",), 1)), keys, columns),
        "a choice of what is no text": (version, own, keys, (kind, names, (3, ((("d",),), bytes(100))))),
        "choices of another kind": (version, own, keys, (kind, names, (3, (("a",), (0,) * 100)))),
    }


@pytest.mark.parametrize("name", broken())
def test_columns_that_do_not_fit_are_damage(name: str) -> None:
    with pytest.raises(DamagedError, match="a record of children makes no sense"):
        unfolded((broken()[name],))


@pytest.mark.parametrize("column", [(2, "x"), (3, (("a",), b"\1" * 100)), (3, (("a",), b"\0")), (99, 1), 7])
def test_texts_that_do_not_fit_are_damage_where_they_are_looked_at(column: Any) -> None:
    version, own, keys, columns = folded((captures(),))[0]
    with pytest.raises(DamagedError, match="a record of children makes no sense"):
        looked_into(((version, own, keys, (*columns[:2], column)),)).plain(2)


@pytest.mark.parametrize(
    "column",
    [
        (1, (1,) * 101),
        (1, "x" * 100),
        (2, "\0" * 100),
        (3, (("a",), bytes(101))),
        (3, ((1,), bytes(100))),
        (10, bytes(101)),
        (20, bytes(8 * 99)),
    ],
)
def test_one_entry_is_not_taken_out_of_columns_of_which_one_does_not_fit(column: Any) -> None:
    """All of them would be refused, and an answer must not depend on how much is asked for."""
    version, own, keys, columns = folded((captures(),))[0]
    stored = (version, own, keys, (*columns[:2], column))
    for look in (lambda: looked_into((stored,)).entry("clip 003"), lambda: unfolded((stored,))):
        with pytest.raises(DamagedError, match="a record of children makes no sense"):
            look()


def test_a_choice_of_what_is_no_text_is_not_searched() -> None:
    version, own, keys, columns = folded((captures(),))[0]
    column = (3, ((("list", 1), "a"), bytes(100)))
    with pytest.raises(DamagedError, match="a record of children makes no sense"):
        looked_into(((version, own, keys, (*columns[:2], column)),)).plain(2)


def test_a_short_record_does_not_become_rows_without_end() -> None:
    """Ten kilobytes of a stranger's would be rows of hundreds of megabytes."""
    stored = (1, (), "/" * 5000, ((0, None),) * 5000)
    with pytest.raises(DamagedError, match="too few or too many parts"):
        unfolded((stored,))
    flat = tuple(part for at in range(128) for part in (f"{at:03}", (None,) * 10_000))
    assert folded((flat,)) == (flat,), "what could not be read is not stored"


@pytest.mark.parametrize(
    "column", [(2, "x" * 50_000 + "\0"), (2, "\0" * 50_000), (3, (("a",), bytes(50_000)))]
)
def test_a_text_that_many_columns_have_is_not_copied_without_end(column: Any) -> None:
    """A pickle of a few hundred kilobytes may have the same text in a hundred thousand columns."""
    stored = (1, (), "a/b", ((0, ""), (0, ("x",)), *[column] * 100_000))
    tracemalloc.start()
    try:
        with pytest.raises(DamagedError, match="a record of children makes no sense"):
            unfolded((stored,))
        assert tracemalloc.get_traced_memory()[1] < 50 << 20
    finally:
        tracemalloc.stop()


def test_texts_that_could_not_be_read_are_not_stored_as_columns() -> None:
    for size, are_folded in ((500, True), (50_000, False)):
        entries = [("", tuple("abcdefghijklmnop"), *[f"{at}" + "x" * size] * 16) for at in range(8)]
        flat = tuple(part for at, entry in enumerate(entries) for part in (f"{at}", entry))
        assert is_folded(folded((flat,))) is are_folded
        assert unfolded(folded((flat,))) == (flat,)


def test_a_column_that_does_not_fit_is_damage_where_it_is_looked_into() -> None:
    columns = looked_into((broken()["a column too few bytes"],))
    for look in (lambda: columns.entry("clip 099"), lambda: list(columns.plain(3)), lambda: columns.same(4)):
        with pytest.raises(DamagedError, match="a record of children makes no sense"):
            look()


def test_changes_of_two_transactions_are_merged() -> None:
    def with_number(at: int, number: int) -> Any:
        flat = list(captures())
        flat[2 * at + 1] = (*flat[2 * at + 1][:4], number, flat[2 * at + 1][5])
        return (tuple(flat),)

    old, one, other = (captures(),), with_number(3, -3), with_number(70, 1 << 40)
    merged = merge_buckets(folded(old), folded(one), folded(other))
    assert is_folded(merged)
    found = unfolded(merged)[0]
    assert (found[7][4], found[141][4]) == (-3, 1 << 40)
    assert unfolded(merged) == merge_buckets(old, one, other), "as it is without columns"
    assert not is_folded(merge_buckets(old, one, other))


def test_leaves_and_branches_of_equally_many_parts_are_merged() -> None:
    """What stands for a record, where changes are merged, cannot be compared with anything else."""

    def rows(first: Any, number: int) -> Any:
        entries = [("", ("a", "b"), number, None) if at else first for at in range(10)]
        return (tuple(part for at, entry in enumerate(entries) for part in (f"{at}", entry)),)

    def record(number: int) -> PersistentReference:
        return PersistentReference((bytes(7) + bytes([number]), Children))

    branch = ("", record(1), False, record(2))
    leaf = ("", ("a", "b"), 1, None)
    for first in (branch, leaf):
        old = rows(first, 1)[0]
        last = ("", record(3), False, record(4))
        theirs, ours = (*old[:-1], last), (*old[:3], leaf, *old[4:])
        merged = merge_buckets(folded((old,)), folded((theirs,)), folded((ours,)))
        assert is_folded(merged)
        assert unfolded(merged)[0][-1] is last or unfolded(merged)[0][-1][1] is last[1]


def test_many_tags_come_back(tmp_path: Path) -> None:
    """They lie in the same kind of record as children, and are texts."""
    with LOTDB(tmp_path / "results", new=True) as db:
        root = db.open_connection()
        for at in range(40):
            root.set_attribute("number", at)
            db.commit()
            db.tags[f"tag {at}"] = str(next(iter(db.history())).id)
    with LOTDB(tmp_path / "results") as db:
        for at in range(40):
            with db.at(f"tag {at}") as root:
                assert root.get_attribute("number") == at


def stored_size(root: BaseNode) -> int:
    connection: Any = root._tree._session.connection  # type: ignore[attr-defined]
    children: Any = root["a"]._children()
    return len(connection._storage.load(children._p_oid)[0])


def grow(root: BaseNode) -> None:
    for at in range(100):
        root.get_node_path(("a", f"clip {at}")).attrs.update(label="walk", length=at / 4, number=at)


def test_a_database_that_began_without_columns_goes_on_without(tmp_path: Path) -> None:
    """An older release may read it."""
    sizes = []
    for name in ("new", "old"):
        with LOTDB(tmp_path / name, new=True) as db:
            root = db.open_connection()
            if name == "old":
                root._tree._session.connection.root()[FORMATS_KEY] = {}  # type: ignore[attr-defined]
                db.commit()
        with LOTDB(tmp_path / name) as db:
            root = db.open_connection()
            grow(root)
            db.commit()
            root["a/clip 7"].set_attribute("number", -7)
            db.commit()
            sizes.append(stored_size(root))
        with LOTDB(tmp_path / name) as db, db.connection() as root:
            numbers = [root[f"a/clip {at}"].get_attribute("number") for at in range(100)]
            assert numbers == [*range(7), -7, *range(8, 100)]
    assert 1.7 * sizes[0] < sizes[1]


def test_a_connection_of_zodb_alone_reads_it(tmp_path: Path) -> None:
    import ZODB
    from ZODB.FileStorage import FileStorage

    with LOTDB(tmp_path / "results", new=True) as db, db.connection() as root:
        grow(root)
    storage = FileStorage(str(tmp_path / "results" / "lotdb.fs"), read_only=True)
    zodb = ZODB.DB(storage)
    try:
        tree = zodb.open().root()["tree"]
        children = tree["root"][1]["a"][1]
        assert children["clip 42"] == ("", ("label", "length", "number"), "walk", 10.5, 42)
        assert len(children) == 101
    finally:
        zodb.close()


def test_columns_that_are_loaded_count_as_the_memory_that_they_take(tmp_path: Path) -> None:
    """They are shorter than rows, and the cache would keep twice as much."""
    sizes = []
    for name in ("columns", "rows"):
        with LOTDB(tmp_path / name, new=True) as db, db.connection() as root:
            if name == "rows":
                root._tree._session.connection.root()[FORMATS_KEY] = {}  # type: ignore[attr-defined]
        with LOTDB(tmp_path / name) as db, db.connection() as root:
            grow(root)
        with LOTDB(tmp_path / name) as db, db.connection() as root:
            children: Any = root["a"]._children()
            assert children["clip 7"]
            sizes.append(children._p_estimated_size)
    assert 0.8 * sizes[1] < sizes[0] < 1.5 * sizes[1]
