"""Small trees, and what can be seen of them."""


def grow(root, *paths):
    for path in paths:
        root.get_node_path(path).set_attribute("path", path)


def paths(nodes):
    return [node.path for node in nodes]


def below(node):
    """All paths below *node*, relative to it."""
    start = len(node.path) + 1 if node.path else 0
    found, stack = [], [node]
    while stack:
        for child in stack.pop().iterate_tree_level(1):
            found.append(child.path[start:])
            stack.append(child)
    return sorted(found)
