"""Places in a tree, finding them, and changing the tree; copy-on-write."""
