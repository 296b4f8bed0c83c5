"""What a type checker must take as it is. It is never run."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from lotdb import LOTDB, BaseNode, DataNode, DataReader, DataWriter, Payload


def main(db: LOTDB) -> float:
    with db.connection() as root:
        node: DataNode = root.get_data_node(["a", 3], samplerate_hz=np.float64(5))
        payload: Payload = node.write_data(np.zeros((3, 2)), data_attribute="x", chunks=5)
        found: BaseNode = root["a/3"]
        found.write_data([1.0], samplerate_hz=2)
        for child in (*root.values(), *root.iterate_tree_leaves()):
            child.read_data(np.int64(1), -1)
            child.read_seconds(Fraction(1, 3), Decimal("0.5"))
        names: list[str] = [*root.keys(), *root["a"].payloads, *root["a"].attrs]
        maybe: BaseNode | None = root.get("a")
        other: BaseNode | int = root.get("a", 5)
        rows: np.ndarray[Any, Any] = payload[1:3]
        last = payload[-1, 0] + payload[..., 1].sum() + rows.mean()
        if payload.kind == "text":
            print(payload.read().upper(), maybe, other, names)
        if isinstance(found, DataNode):
            found.configure_data(unset=["backend", "samplerate_hz"])
        else:
            print(found.key.upper())
        DataWriter.append_array(root, rows, samplerate_hz=5, backend="zarr", chunks=3)
        for block in DataReader.iter_blocks(root, block_size=0.5, block_unit="seconds"):
            print(block.shape)
        db.commit(root)
    print(db.run(lambda root: len(root)), db.closed)
    return float(last)
