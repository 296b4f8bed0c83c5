"""LOTDB payloads in ZODB blobs."""
