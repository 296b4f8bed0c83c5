"""A listener that keeps all nodes, attributes and payloads, and what a walk finds, to be compared."""

from lotdb import Payload, PayloadInfo, hookimpl


def seen(value):
    if isinstance(value, Payload | PayloadInfo):
        return ("payload", value.kind, value.shape, value.samplerate_hz, value.metadata)
    return value


def walked(root):
    """By path the type of each node, and what it holds."""
    return {
        node.path: [node.node_type, {name: seen(value) for name, value in node.attrs.items()}]
        for node in root.iterate_tree()
    }


class Mirror:
    """Keeps what ``walked`` gives, by the changes alone."""

    def __init__(self):
        self.nodes = {"": ["", {}]}
        self.last = None
        self.heard = 0

    @hookimpl
    def lotdb_committed(self, database, changes):
        assert self.last in (None, changes.previous_id)
        assert changes.previous_id < changes.commit_id == database.last_commit
        self.last = changes.commit_id
        self.heard += 1
        self.apply(changes, changes.each())

    def apply(self, changes, each):
        each = list(each)
        for change in each:
            old = change.old_path if change.kind == "moved" else change.path
            if change.kind in ("moved", "deleted"):
                assert old in self.nodes, f"{change} tells of a node that was never told of"
        self.nodes = {
            place: held for path, held in self.nodes.items() if (place := changes.new_path(path)) is not None
        }
        for change in each:
            if change.kind == "created":
                assert change.path not in self.nodes, f"{change} was there already"
                assert change.path.rpartition("/")[0] in self.nodes, f"{change} comes before its parent"
                self.nodes[change.path] = [change.value, {}]
            elif change.kind == "retyped":
                assert self.nodes[change.path][0] != change.value
                self.nodes[change.path][0] = change.value
            elif change.kind in ("attribute_set", "payload_written"):
                held = self.nodes[change.path][1]
                if change.kind == "attribute_set":
                    assert change.name not in held or held[change.name] != change.value, f"{change} is none"
                held[change.name] = seen(change.value)
            elif change.kind in ("attribute_removed", "payload_removed"):
                del self.nodes[change.path][1][change.name]
            else:
                assert change.kind in ("moved", "deleted")
        whole = [change.path for change in changes if change.kind == "added"]
        told = [change.path for change in changes if change.kind not in ("deleted", "moved", "added")]
        for top in whole:
            moved = [change.path for change in changes if change.kind == "moved"]
            assert not any(
                f"{path}/".startswith(f"{top}/") and not any(f"{path}/".startswith(f"{m}/") for m in moved)
                for path in told
            ), "what lies below an added node is told with it"
