"""A process that writes to a database until it is killed, and says which commits it made."""

import os
import sys
import time

import numpy as np

from lotdb import LOTDB, ConflictError


def rows_of(number):
    """The rows of a commit."""
    return np.arange(100, dtype="f8") + number


def main(folder, name, backend, commits):
    with LOTDB(folder, default_backend=backend) as db:
        for number in range(int(commits)):

            def change(root, number=number):
                for key in (f"n{number}", f"replaced{number % 3}"):
                    node = root.get_data_node(f"{name}/{os.getpid()}/{key}")
                    node.replace_data(rows_of(number))
                    node.attrs["number"] = number
                db.savepoint(root)  # they are written
                time.sleep(0.02)  # a sweep may come

            try:
                db.run(change, attempts=50)
            except ConflictError:
                continue  # the sweep was quicker each time
            print(number, flush=True)
        time.sleep(600)


if __name__ == "__main__":
    main(*sys.argv[1:])
