"""LOTDB payloads in a zarr v3 store."""
