"""LOTDB payloads as ``.npy`` files: in ZODB blobs, in plain files, or in an object store."""
