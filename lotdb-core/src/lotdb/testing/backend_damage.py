"""Files that are missing, cut off, altered or exchanged: an error that says so, and never wrong data."""

from __future__ import annotations

import io
import pickle
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lotdb import DamagedError
from lotdb.testing.arrays import filled
from lotdb.testing.backend_fixtures import BackendFixtures, Change, Damage
from lotdb.testing.bench import Bench
from lotdb.testing.promises import CLASS, promise
from lotdb.testing.seen import bytes_of, check_same

__all__ = ["DamageTests"]

ARRAYS = {
    "large": filled("float64", (100_000, 2), 1),  # in a file of its own
    "small": filled("float64", (50, 2), 2),  # together with "packed"
    "packed": filled("float64", (70, 2), 3),
    "other": filled("int32", (400, 2), 4),
    "twin": filled("float64", (100_000, 2), 5),
}


def _flip(place: float, bit: int) -> Change:
    """Inverts one bit, *place* of the way into the bytes."""

    def flip(content: bytes) -> bytes:
        data = bytearray(content)
        data[min(int(place * len(data)), len(data) - 1)] ^= 1 << bit
        return bytes(data)

    return flip


def _cut(place: float) -> Change:
    """Leaves *place* of the bytes."""
    return lambda content: content[: int(place * len(content))]


class _Program:
    """What is done when a pickle of it is loaded: nothing but counting."""

    runs = 0

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return _run, ()


def _run() -> None:
    _Program.runs += 1


def _programs() -> Iterator[bytes]:
    """A program as a pickle, and as the only element of an array in a file of NumPy."""
    yield pickle.dumps(_Program())
    array = np.empty(1, object)
    array[0] = _Program()
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    yield file.getvalue()


KINDS: dict[str, list[Change]] = {
    "missing": [lambda content: None],
    "empty": [_cut(0)],
    "cut off": [_cut(0.02), _cut(0.5), _cut(0.999), lambda content: content[:-1]],
    "longer": [lambda content: content + b"\0" * 100],
    "zeroed": [lambda content: b"\0" * len(content)],
    "altered": [_flip(place, bit) for bit, place in enumerate(np.linspace(0, 1, 8))],
    "altered at its beginning": [
        _flip(place / 1000, int(place) % 8) for place in np.geomspace(0.01, 100, 16)
    ],
}


class DamageTests(BackendFixtures):
    """What is stored of a payload is damaged in every way while the database is closed."""

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("key", ["large", "small"])
    @promise(CLASS, "a_committed_payload_is_read_back", "reading_what_is_not_there_is_damage")
    def test_damage_is_told_and_never_read_as_data(
        self, bench: Bench, damage: Damage | None, key: str, kind: str
    ) -> None:
        """Whatever is missing, cut off or altered is a DamagedError that names the file, and never data."""
        bench.needs_a_database()
        changes = KINDS[kind][:: max(1, round(1 / self.effort))]
        if damage is not None:
            for change in changes:
                self._damage_what_is_stored(bench, damage, key, change)
            return
        files = _written(bench)
        if not files[key]:
            pytest.skip("files() names none: the fixture damage says how to damage what is stored")
        for file in files[key]:
            whole = file.read_bytes()
            for change in changes if whole else ():
                _put(file, change(whole))
                self._check_damaged(bench, files, file)
                bench.close()
                file.write_bytes(whole)
        assert bench.db.verify() == [], "with its files back, the database is whole again"

    def _damage_what_is_stored(self, bench: Bench, damage: Damage, key: str, change: Change) -> None:
        _write(bench)
        backend, damaged = bench.backend(), set()
        locators = {each: set(bench.locators_of(bench.node(each).get_data())) for each in ARRAYS}
        for locator in locators[key]:
            damage(backend, locator, change)
        bench.close()
        for each, array in ARRAYS.items():
            error = _read(bench, each, array)
            if error is not None:
                assert locators[each] & locators[key], (
                    f"{each!r} cannot be read since another's array is damaged: {error}"
                )
                damaged.add(each)
                _check_names(str(error), each)
        found = {each.path for each in bench.db.verify()}
        assert found == damaged, f"verify() lists {found}, what cannot be read is {damaged}"
        bench.root().delete_tree()
        bench.settle()

    @promise(CLASS, "a_committed_payload_is_read_back", "reading_what_is_not_there_is_damage")
    def test_exchanged_files_are_told_and_never_read_as_data(self, bench: Bench) -> None:
        """An array that lies under another's locator is not its data."""
        bench.needs_a_database()
        files = _written(bench)
        large, twin = files["large"], files["twin"]
        if not large or len(large) != len(twin) or {*large} & {*twin}:
            pytest.skip("there are no files of equal arrays to exchange")
        whole = [file.read_bytes() for file in (*large, *twin)]
        for file, content in zip((*twin, *large), whole, strict=True):
            file.write_bytes(content)
        for key in ("large", "twin"):
            with pytest.raises(DamagedError):
                bench.node(key).read_data()
                pytest.fail("an array that lies under another's locator is not its data")
        check_same(bench.node("other").read_data(), ARRAYS["other"], "what is not damaged is read as ever")
        assert {found.path for found in bench.db.verify()} == {"large", "twin"}, "verify() finds both"

    @promise(CLASS, "a_committed_payload_is_read_back", "reading_what_is_not_there_is_damage")
    def test_a_link_in_place_of_a_file_is_not_followed(self, bench: Bench, tmp_path: Path) -> None:
        """A link in place of a file is a DamagedError, since a database may come from a stranger: open files
        with lotdb.open_part.
        """
        bench.needs_a_database()
        files = _written(bench)["large"]
        if not files:
            pytest.skip("files() names none that could be a link")
        for file in files:
            real = tmp_path / "elsewhere"
            file.rename(real)
            file.symlink_to(real)
            with pytest.raises(DamagedError):
                bench.node("large").read_data()
                pytest.fail(f"{file} is a link, and was followed")
            bench.close()
            file.unlink()
            real.rename(file)

    @promise(CLASS, "a_committed_payload_is_read_back", "reading_what_is_not_there_is_damage")
    def test_what_is_stored_is_never_run(self, bench: Bench, damage: Damage | None) -> None:
        """Bytes that pickle would run are a DamagedError and are not run, since a database may come from a
        stranger: unpickle nothing, and pass allow_pickle=False to numpy.
        """
        bench.needs_a_database()
        _write(bench)
        files = bench.files_of(bench.node("large").get_data())
        if damage is None and not files:
            pytest.skip("files() names none: the fixture damage says how to damage what is stored")
        for content in _programs():
            if damage is None:
                bench.close()
                whole = [(file, file.read_bytes()) for file in files]
                for file in files:
                    file.write_bytes(content)
            else:
                for locator in bench.locators_of(bench.node("large").get_data()):
                    damage(bench.backend(), locator, partial(_replaced, content))
                bench.close()
                whole = []
            _Program.runs = 0
            with pytest.raises(DamagedError):
                bench.node("large").read_data()
                pytest.fail("a pickle in place of an array is a DamagedError, not data")
            assert not _Program.runs, "what is stored was unpickled, which runs any program that is in it"
            bench.close()
            for file, before in whole:
                file.write_bytes(before)

    @promise(CLASS, "a_committed_payload_is_read_back", "reading_what_is_not_there_is_damage")
    def test_a_lost_folder_is_told(self, bench: Bench, damage: Damage | None) -> None:
        """What is missing is a DamagedError, and the rest works on."""
        bench.needs_a_database()
        if damage is not None:
            _write(bench)
            backend = bench.backend()
            for locator in {each for key in ARRAYS for each in bench.locators_of(bench.node(key).get_data())}:
                damage(backend, locator, lambda content: None)
            bench.close()
        else:
            files = {file for found in _written(bench).values() for file in found}
            if not files:
                pytest.skip("files() names none: the fixture damage says how to damage what is stored")
            for file in files:
                file.unlink()
        for key in ARRAYS:
            with pytest.raises(DamagedError, match=key):
                bench.node(key).read_data()
                pytest.fail("what is missing is a DamagedError, not data")
        assert {found.path for found in bench.db.verify()} == set(ARRAYS), "verify() finds it all"
        bench.node("new").write_data(ARRAYS["large"])
        bench.settle()
        check_same(bench.node("new").read_data(), ARRAYS["large"], "the rest of the database works on")

    def _check_windows(self, bench: Bench, key: str, array: np.ndarray[Any, Any]) -> None:
        """Windows are right, or an error, wherever the damage is."""
        payload = bench.node(key).get_data()
        for first in range(0, len(array), max(1, len(array) // 7)):
            last = min(first + max(1, len(array) // 9), len(array))
            try:
                got = payload.read(first, last)
            except DamagedError:
                continue
            assert bytes_of(got) == bytes_of(array[first:last]), (
                f"rows {first} to {last} of {key!r} were read wrongly from a damaged file, and nothing said "
                "so; a backend that checks_windows notices it in any window"
            )

    def _check_damaged(self, bench: Bench, files: dict[str, list[Path]], file: Path) -> None:
        damaged = set()
        for key, array in ARRAYS.items():
            error = _read(bench, key, array)
            if error is None:
                continue
            assert file in files[key], f"{key!r} cannot be read since another's file is damaged: {error}"
            damaged.add(key)
            _check_names(str(error), key)
            _check_reason(str(error), file, bench)
            self._check_windows(bench, key, array)
            with pytest.raises(DamagedError):
                bench.node(key).read_data()
                pytest.fail("what could not be read is read the second time")
        found = bench.db.verify()
        told = {each.path for each in found}
        assert told == damaged, f"verify() lists {told}, what cannot be read is {damaged}"
        for each in found:
            assert each.name == "data", f"verify() names the payload, not {each.name!r}"
            _check_reason(each.reason, file, bench)


def _replaced(content: bytes, _: bytes) -> bytes:
    return content


def _put(file: Path, content: bytes | None) -> None:
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)


def _write(bench: Bench) -> None:
    for key, array in ARRAYS.items():
        bench.node(key).write_data(array)
    bench.commit()


def _written(bench: Bench) -> dict[str, list[Path]]:
    """Write the arrays and close the database; the files of each."""
    _write(bench)
    files = {key: bench.files_of(bench.node(key).get_data()) for key in ARRAYS}
    bench.close()
    return files


def _read(bench: Bench, key: str, array: np.ndarray[Any, Any]) -> DamagedError | None:
    """The error that reading an array gives, or None if it is right."""
    try:
        got = bench.node(key).read_data()
    except DamagedError as error:
        return error
    assert got.shape == array.shape, f"{key!r} has another shape: {got.shape}"
    assert bytes_of(got) == bytes_of(array), (
        f"{key!r} was read wrongly from what is damaged, and nothing said so"
    )
    return None


def _check_names(message: str, key: str) -> None:
    assert repr(key) in message, f"a DamagedError names the node: {message}"
    assert "'data'" in message, f"a DamagedError names the payload: {message}"


def _check_reason(reason: str, file: Path, bench: Bench) -> None:
    """The file is named, or a folder around it that has a name of its own, such as a locator."""
    inside = [path for path in (file, *file.parents) if bench.folder in path.parents and len(path.name) > 20]
    around = [path for path in file.parents if re.fullmatch("seg-[0-9a-f]{32}", path.name)]
    names = {str(file), *(path.name for path in (*inside, *around))}
    assert any(name in reason for name in names), f"it does not name the file {file}: {reason}"
