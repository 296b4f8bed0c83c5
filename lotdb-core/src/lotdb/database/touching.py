"""Which commits changed a node, or anything below it."""
def changes_at(*a): raise NotImplementedError
