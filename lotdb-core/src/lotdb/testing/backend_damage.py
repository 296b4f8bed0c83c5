"""Files that are missing, cut off, altered or exchanged: an error that says so, and never wrong data."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lotdb import DamagedError
from lotdb.testing.arrays import filled
from lotdb.testing.backend_fixtures import BackendFixtures
from lotdb.testing.bench import Bench
from lotdb.testing.seen import bytes_of, check_same

__all__ = ["DamageTests"]

ARRAYS = {
    "large": filled("float64", (100_000, 2), 1),  # in a file of its own
    "small": filled("float64", (50, 2), 2),  # together with "packed"
    "packed": filled("float64", (70, 2), 3),
    "other": filled("int32", (400, 2), 4),
    "twin": filled("float64", (100_000, 2), 5),
}

Damage = Callable[[Path], Any]


def _flip(place: float, bit: int) -> Damage:
    """Damage that inverts one bit, *place* of the way into the file."""

    def flip(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[min(int(place * len(data)), len(data) - 1)] ^= 1 << bit
        path.write_bytes(data)

    return flip


def _cut(place: float) -> Damage:
    """Damage that leaves *place* of the file."""
    return lambda path: path.write_bytes(path.read_bytes()[: int(place * path.stat().st_size)])


KINDS: dict[str, list[Damage]] = {
    "missing": [Path.unlink],
    "empty": [_cut(0)],
    "cut off": [_cut(0.02), _cut(0.5), _cut(0.999), lambda path: path.write_bytes(path.read_bytes()[:-1])],
    "longer": [lambda path: path.write_bytes(path.read_bytes() + b"\0" * 100)],
    "zeroed": [lambda path: path.write_bytes(b"\0" * path.stat().st_size)],
    "altered": [_flip(place, bit) for bit, place in enumerate(np.linspace(0, 1, 8))],
    "altered at its beginning": [
        _flip(place / 1000, int(place) % 8) for place in np.geomspace(0.01, 100, 16)
    ],
}


class DamageTests(BackendFixtures):
    """Each file of a payload is damaged in every way while the database is closed."""

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("key", ["large", "small"])
    def test_damage_is_told_and_never_read_as_data(self, bench: Bench, key: str, kind: str) -> None:
        bench.needs_a_database()
        files = _written(bench)
        for file in files[key]:
            whole = file.read_bytes()
            for damage in KINDS[kind] if whole else ():
                damage(file)
                self._check_damaged(bench, files, file)
                bench.close()
                file.write_bytes(whole)
        assert bench.db.verify() == [], "with its files back, the database is whole again"

    def test_exchanged_files_are_told_and_never_read_as_data(self, bench: Bench) -> None:
        bench.needs_a_database()
        files = _written(bench)
        large, twin = files["large"], files["twin"]
        if len(large) != len(twin):
            pytest.skip("equal arrays have unequal files")
        whole = [file.read_bytes() for file in (*large, *twin)]
        for file, content in zip((*twin, *large), whole, strict=True):
            file.write_bytes(content)
        for key in ("large", "twin"):
            with pytest.raises(DamagedError):
                bench.node(key).read_data()
                pytest.fail("an array that lies under another's locator is not its data")
        check_same(bench.node("other").read_data(), ARRAYS["other"], "what is not damaged is read as ever")
        assert {found.path for found in bench.db.verify()} == {"large", "twin"}

    def test_a_lost_folder_is_told(self, bench: Bench) -> None:
        bench.needs_a_database()
        files = _written(bench)
        for file in {file for found in files.values() for file in found}:
            file.unlink()
        for key in ARRAYS:
            with pytest.raises(DamagedError, match=key):
                bench.node(key).read_data()
                pytest.fail("Backend.read_into: what is missing is a DamagedError, not data")
        assert {found.path for found in bench.db.verify()} == set(ARRAYS)
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
            self._check_windows(bench, key, array)
            _check_message(str(error), key, file, bench)
            with pytest.raises(DamagedError):
                bench.node(key).read_data()
                pytest.fail("what could not be read is read the second time")
        found = bench.db.verify()
        assert {each.path for each in found} == damaged, f"verify() lists what is damaged, it said {found}"
        for each in found:
            assert each.name == "data"
            _check_reason(each.reason, file, bench)


def _written(bench: Bench) -> dict[str, list[Path]]:
    """Write the arrays and close the database; the files of each."""
    for key, array in ARRAYS.items():
        bench.node(key).write_data(array)
    bench.commit()
    files = {key: bench.files_of(bench.node(key).get_data()) for key in ARRAYS}
    bench.close()
    return files


def _read(bench: Bench, key: str, array: np.ndarray[Any, Any]) -> DamagedError | None:
    """The error that reading an array gives, or None if it is right."""
    try:
        got = bench.node(key).read_data()
    except DamagedError as error:
        return error
    assert got.shape == array.shape
    assert bytes_of(got) == bytes_of(array), (
        f"{key!r} was read wrongly from a damaged file, and nothing said so"
    )
    return None


def _check_message(message: str, key: str, file: Path, bench: Bench) -> None:
    assert repr(key) in message, f"a DamagedError names the node: {message}"
    assert "'data'" in message, f"a DamagedError names the payload: {message}"
    _check_reason(message, file, bench)


def _check_reason(reason: str, file: Path, bench: Bench) -> None:
    """The file is named, or a folder around it that has a name of its own, such as a locator."""
    found = re.findall("seg-[0-9a-f]{32}", str(file))
    if any(locator in reason for locator in found):
        return
    names = {path.name for path in (file, *file.parents) if bench.folder in path.parents}
    assert any(name in reason for name in {str(file), *(name for name in names if len(name) > 20)}), (
        f"Backend.describe: a DamagedError names the file, here {file}: {reason}"
    )
