"""An ingester as somebody else would write it: files of suffix .rig, in which JSON says what they hold.

A file begins with RIG1. It holds the node, as an object of JSON:

- ``payloads``: by name, each with ``kind`` (array, text, bytes, table, list), ``values``, and if it has them
  ``rate``, ``backend``, ``metadata`` and ``attributes``; with ``blocks`` it comes in blocks of so many rows.
  With ``from``, its numbers are the bytes of the file that is called so beside it;
- ``attributes``, ``type`` and ``children``, as a node has them.
"""

import json

import numpy as np

from lotdb import Blocks, ExportError, Ingested, IngestedNode, IngestError, Plugins, hookimpl

MARK = b"RIG1"


def rig(**node):
    """The bytes of a file."""
    return MARK + json.dumps(node).encode()


def numbers(*values, **more):
    """A payload of numbers, as a file says it."""
    return {"values": list(values), **more}


class Rigs:
    """The plugin."""

    @hookimpl
    def lotdb_identify_file(self, source):
        return "rig" if source.head.startswith(MARK) else None

    @hookimpl
    def lotdb_ingest_file(self, source):
        if source.format != "rig":
            return None
        gain = source.options.get("gain", 1)
        if not source.head.startswith(MARK):
            raise IngestError("it does not begin with RIG1")
        node = json.loads(source.file.read()[len(MARK) :])
        if set(node) == {"payloads"}:
            return {name: self.payload(source, about, gain) for name, about in node["payloads"].items()}
        return self.node(source, node, gain)

    def node(self, source, node, gain):
        payloads = node.get("payloads", {})
        return IngestedNode(
            payloads={name: self.payload(source, about, gain) for name, about in payloads.items()},
            attributes=node.get("attributes", {}),
            node_type=node.get("type"),
            children={key: self.node(source, child, gain) for key, child in node.get("children", {}).items()},
        )

    def payload(self, source, about, gain):
        return Ingested(
            self.data(source, about, gain),
            format="rig",
            samplerate_hz=about.get("rate"),
            metadata=about.get("metadata", {}),
            attributes=about.get("attributes", {}),
            backend=about.get("backend"),
        )

    def data(self, source, about, gain):
        if "from" in about:
            return self.numbers_beside(source, about)
        kind, values = about.get("kind", "array"), about["values"]
        if kind in ("text", "bytes"):
            return str(values) if kind == "text" else values.encode()
        if kind == "table":
            rows = np.array([tuple(row) for row in values], [("onset_s", "f8"), ("label", "U8")])
            return Blocks([rows], rows.dtype, rows=len(rows), kind="table")
        if kind == "list":
            return values
        array = np.array(values, "f8") * gain
        if "blocks" in about:
            size = about["blocks"]
            pieces = (array[at : at + size] for at in range(0, len(array), size))
            return Blocks(pieces, array.dtype, row_shape=array.shape[1:], rows=about.get("rows", len(array)))
        return array

    def numbers_beside(self, source, about):
        def blocks():  # opened when it is needed, which may be long after
            other = source.beside(about["from"], required=about.get("required", True))
            content = b"" if other is None else other.file.read()
            yield np.frombuffer(content, "u1").astype("f8")

        return Blocks(blocks(), np.dtype("f8"))

    @hookimpl
    def lotdb_export_node(self, target, node):
        if target.format != "rig":
            return None
        target.file.write(rig(**self.said(node)))
        return True

    def said(self, node):
        payloads = {}
        for name, payload in node.payloads.items():
            if payload.kind != "array":
                raise ExportError("it holds numbers only")
            about = numbers(*payload.read().tolist(), rate=payload.samplerate_hz)
            payloads["" if name == "data" else name.removeprefix("data.")] = about
        own = {name: node.attrs[name] for name in node.attrs if not name.startswith("_")}
        return {
            "payloads": payloads,
            "attributes": {name: value for name, value in own.items() if name not in node.payloads},
            "type": node.node_type or None,
            "children": {key: self.said(child) for key, child in node.items()},
        }


class InstalledOnce(Plugins):
    """The installed plugins; looking for what is installed takes longer than most tests."""

    found = Plugins()

    def _entry_points(self, group, name=None):
        return self.found._entry_points(group, name)


def with_rigs(*plugins):
    """The installed plugins, and this one, and *plugins*."""
    found = InstalledOnce()
    found.register(Rigs(), name="rigs")
    for plugin in plugins:
        found.register(plugin)
    return found
