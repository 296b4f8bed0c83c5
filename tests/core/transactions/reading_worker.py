"""A process that reads a database while another one writes and packs it; started by ``test_live_readers``.

Each commit of the writer has a number, which stands in all that it wrote. Two numbers, or a payload that is
not there, were at no moment in the database.
"""

import random
import sys
import time

import numpy as np

from lotdb import LOTDB


def check(root) -> int:
    """Read everything; gives the number of the commit."""
    number = root.attrs["number"]
    for node in root.values():
        assert node.attrs["number"] == number, (node.attrs["number"], number)
        for name, payload in node.payloads.items():
            values = payload.read()
            assert len(values) == int(name[1:]), (name, len(values))
            assert np.all(values == number), (values[:3], number)
    return number


def main(folder: str, seconds: float, seed: int) -> None:
    rng = random.Random(seed)
    until = time.monotonic() + seconds
    last = transactions = 0
    print("ready", flush=True)
    while time.monotonic() < until:
        with LOTDB(folder, read_only=True) as db:
            held = db.open_connection("held")
            for _ in range(rng.randrange(1, 60)):
                before = check(held)
                with db.connection() as root:
                    number = check(root)
                    time.sleep(rng.choice((0, 0, 0.001, 0.03)))
                    assert check(root) == number >= last
                    transactions += 1
                assert check(held) == before
                last = number
                if rng.random() < 0.5:
                    db.refresh()
                    assert check(held) >= number
    print(transactions, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))
