"""LOTDB payloads in a folder of ``.npy`` files."""
