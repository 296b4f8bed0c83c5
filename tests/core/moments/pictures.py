"""A tree as plain data, to be compared with what it was at another moment."""

from lotdb import DataNode


def picture(node):
    """All that *node* holds, with all below it: type, attributes, payloads, children."""
    payloads = {}
    defaults = None
    if isinstance(node, DataNode):
        payloads = {name: (each.read().tobytes(), each.metadata) for name, each in node.payloads.items()}
        defaults = node.samplerate_hz, node.backend, node.data_attribute
    attributes = {name: repr(value) for name, value in node.attrs.items()}
    return (
        node.node_type,
        attributes,
        payloads,
        defaults,
        {key: picture(child) for key, child in node.items()},
    )


def below(seen, path):
    """The picture of the node at *path* in that of the root; None if there is none."""
    for key in path.split("/") if path else ():
        seen = None if seen is None else seen[-1].get(key)
    return seen


def parts(seen, path=""):
    """Each thing that a picture shows, by where it is."""
    node_type, attributes, payloads, defaults, children = seen
    found = {(path, "type"): (node_type, defaults)}
    found |= {(path, "attribute", name): value for name, value in attributes.items()}
    found |= {(path, "payload", name): value for name, value in payloads.items()}
    for key, child in children.items():
        found |= parts(child, f"{path}/{key}")
    return found
