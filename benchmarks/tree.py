"""What a tree costs: building it, its bytes on disk, copying a branch, walking it.

Run it with ``make bench``, or ``python benchmarks/tree.py --leaves 100000``. Every figure is of this
machine and this run.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lotdb import LOTDB, BaseNode

OUTPUT = Path(__file__).parent / "output"


def build(root: BaseNode, leaves: int) -> None:
    """A branch of *leaves* leaves with three attributes each."""
    clips = root.get_node("clips")
    for number in range(leaves):
        clip = clips.get_node(f"clip_{number:06d}")
        clip.attrs.update({"label": "walking", "duration_s": number * 0.25, "take": number})


def walk(root: BaseNode) -> float:
    """Read one attribute of every leaf."""
    return sum(leaf.get_attribute("duration_s") for leaf in root["clips"].iterate_tree_leaves())


def branch(root: BaseNode) -> None:
    """Copy the whole branch."""
    root["clips"].branch("variant")


def change(root: BaseNode) -> None:
    """The first change in the copy, which clones the branch's own record."""
    root["variant/clip_000000"].set_attribute("take", -1)


@contextmanager
def database(folder: Path) -> Iterator[LOTDB]:
    """The database in *folder*, open."""
    with LOTDB(folder) as db:
        yield db


def timed(folder: Path, job: Callable[[BaseNode], object]) -> float:
    """Seconds for *job* and a durable commit, in a database that has just been opened."""
    with database(folder) as db:
        start = time.perf_counter()
        with db.connection() as root:
            job(root)
        return time.perf_counter() - start


def warm(folder: Path) -> float:
    """Seconds for a second walk through the same connection."""
    with database(folder) as db, db.connection() as root:
        walk(root)
        start = time.perf_counter()
        walk(root)
        return time.perf_counter() - start


def report(folder: Path, leaves: int) -> None:
    """Print one line a figure."""
    seconds = timed(folder, lambda root: build(root, leaves))
    size = (folder / "lotdb.fs").stat().st_size
    print(f"{leaves} leaves with 3 attributes each, fsync on")
    print(f"  build and commit        {seconds / leaves * 1e6:8.1f} µs a leaf")
    print(f"  on disk                 {size / leaves:8.1f} bytes a leaf")
    print(f"  cold walk, 1 attribute  {timed(folder, walk) / leaves * 1e6:8.1f} µs a leaf")
    print(f"  warm walk, 1 attribute  {warm(folder) / leaves * 1e6:8.1f} µs a leaf")
    print(f"  branch copy and commit  {timed(folder, branch) * 1e3:8.1f} ms for all of them")
    print(f"  first change in it      {timed(folder, change) * 1e3:8.1f} ms, fan-out {leaves}")


def main() -> None:
    """Run on a new database in ``benchmarks/output``, which is on the same disk as the sources."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--leaves", type=int, default=100_000)
    arguments = parser.parse_args()
    OUTPUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=OUTPUT) as folder:
        report(Path(folder), arguments.leaves)


if __name__ == "__main__":
    main()
