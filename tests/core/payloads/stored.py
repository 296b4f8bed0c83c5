"""What was written, as it is to be read: in memory, staged and committed."""

from collections.abc import Callable

import numpy as np

COMMIT: dict[tuple[str, int], Callable[[], None]] = {}


def settle(node):
    COMMIT.get((node.path, id(node._tree)), lambda: None)()


def blobs(folder):
    return sorted(folder.rglob("*.blob"))


def assert_same(got, expected):
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    assert np.ascontiguousarray(got).tobytes() == np.ascontiguousarray(expected).tobytes()


ARRAYS = {
    "bool": np.array([True, False, True]),
    **{
        f"{kind}{size * 8}": np.arange(-3, 4).astype(f"{kind}{size}")
        for kind in "iu"
        for size in (1, 2, 4, 8)
    },
    **{f"float{size * 8}": np.array([0.5, -0.0, np.nan, np.inf], f"f{size}") for size in (2, 4, 8)},
    "longdouble": np.arange(3, dtype=np.longdouble) / 3,
    "complex64": np.array([1 + 2j, np.nan * 1j], "c8"),
    "complex128": np.array([1 + 2j, -3j], "c16"),
    "datetime64": np.array(["2020-01-01T00:00:01", "NaT"], "M8[ns]"),
    "timedelta64": np.array([1, -5], "m8[us]"),
    "bytes": np.array([b"ab", b"", b"c"]),
    "text": np.array(["æ", "", "long text", "🎧"]),
    "void": np.frombuffer(b"abcdef", "V3"),
    "structured": np.array([(1, 2.5, "x"), (3, 4.5, "yz")], [("a", "i2"), ("b", ">f8"), ("c", "U2")]),
    "nested": np.array([((1, 2), [3, 4])], [("a", [("x", "i1"), ("y", "i4")]), ("b", "f4", (2,))]),
    "field of another alphabet": np.array([(1,)], [("größe", "i4")]),
    "big-endian": np.arange(5, dtype=">i4"),
    "big-endian float": np.arange(5, dtype=">f8"),
    "no axis": np.array(3.5),
    "empty": np.zeros(0),
    "empty with columns": np.zeros((0, 6), "f4"),
    "rows of no width": np.zeros((4, 0)),
    "rows of no width, in depth": np.zeros((4, 0, 3), "i2"),
    "Fortran order": np.asfortranarray(np.arange(12).reshape(3, 4)),
    "not contiguous": np.arange(40).reshape(8, 5)[::2, ::-1],
    "transposed": np.arange(12).reshape(3, 4).T,
    "broadcast": np.broadcast_to(np.arange(3), (4, 3)),
    "three axes": np.arange(24, dtype="f4").reshape(2, 3, 4),
    "five axes": np.arange(32, dtype="u1").reshape(2, 2, 2, 2, 2),
    "large": np.arange(400_000),
}
