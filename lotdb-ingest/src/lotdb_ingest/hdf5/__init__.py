"""HDF5: files of other programs, and whole subtrees."""
