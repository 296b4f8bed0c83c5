"""What worker processes do in these tests; they import it by its name."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from lotdb import LotdbError
from lotdb.database import shared


def mean(node):
    return float(node.read_data().mean())


def mean_of_window(payload):
    return float(payload[10:20].mean())


def process_and_mean(node):
    return os.getpid(), mean(node)


def opened(node):
    """The process, and how many databases are open in it once *node* was read."""
    node.read_data()
    return os.getpid(), len(shared._open)


def in_threads(node):
    """What four threads read through one reference at a time."""
    meeting = threading.Barrier(4)

    def read(first):
        meeting.wait(60)
        child = node["child"]
        return node.read_data(first, first + 2).tolist(), child.attrs["name"], node.attrs["name"]

    with ThreadPoolExecutor(4) as threads:
        return list(threads.map(read, range(4)))


def error_of(node):
    """The error that reading *node* gives, as its class and text."""
    try:
        node.read_data()
    except LotdbError as error:
        return type(error).__name__, str(error)
    return None


class Recordings:
    """As a data set of PyTorch: a length, and an item for each number."""

    def __init__(self, nodes, rows):
        self.nodes = nodes
        self.rows = rows

    def __len__(self):
        return len(self.nodes)

    def __getitem__(self, number):
        node = self.nodes[number]
        return node.read_data(0, self.rows), node.attrs["label"]


def load(items, numbers, batches):
    """As a worker of a data loader: puts the items of *numbers* into a queue."""
    for number in numbers:
        data, label = items[number]
        batches.put((number, np.asarray(data).tolist(), label))
