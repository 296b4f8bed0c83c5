#!/usr/bin/env bash
# rosbags writes the bits of integers into a message of floats, and those of unsigned counts into one of signed ones.
#
# Version:     rosbags 0.11.9, numpy 2.4.6
# Expectation: an array of another type than the message has is converted or refused, as one of another size is:
#              float32 for a message of float64 raises ValueError.
# Behaviour:   only the size of an item is looked at. int64, which numpy makes of [1, 2, 3] on its own, is written into
#              Float64MultiArray as it is, and read as numbers next to zero. 40000 counts in Int16MultiArray are
#              -25536. Big-endian arrays are written with their bytes reversed. Nothing is said.
# Seen:        int64 1, 2, 3 -> 4.9e-324, 9.9e-324, 1.5e-323; uint16 40000 -> -25536; big-endian int16 1, 2, 3 -> 256,
#              512, 768
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet rosbags==0.11.9 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W error - <<'PY'
import shutil

import numpy as np
from rosbags.rosbag2 import Reader, Writer
from rosbags.typesys import Stores, get_typestore

store = get_typestore(Stores.ROS2_HUMBLE)
layout = store.types["std_msgs/msg/MultiArrayLayout"](dim=[], data_offset=0)


def copied(kind, data):
    name = f"std_msgs/msg/{kind}MultiArray"
    content = store.serialize_cdr(store.types[name](layout=layout, data=data), name)
    shutil.rmtree("bag", ignore_errors=True)
    with Writer("bag", version=9) as bag:
        bag.write(bag.add_connection("/sensor", name, typestore=store), 0, content)
    with Reader("bag") as bag:
        [(connection, _, read)] = bag.messages()
    found = store.deserialize_cdr(read, connection.msgtype).data
    print(kind, data.dtype, data, "->", found)
    return found


floats = np.array([1.0, 2.0, 3.0])
assert np.array_equal(copied("Float64", floats), floats)
integers = np.array([1, 2, 3], np.int64)
assert np.array_equal(copied("Float64", integers), integers.view(float))
assert np.array_equal(copied("Int64", floats), floats.view(np.int64))
assert copied("Int16", np.array([40000], np.uint16)).tolist() == [-25536]
assert copied("Int16", np.array([1, 2, 3], ">i2")).tolist() == [256, 512, 768]
try:
    copied("Float64", floats.astype(np.float32))
except ValueError as error:
    print("float32:", error)
else:
    raise AssertionError("float32 is taken now")
PY
