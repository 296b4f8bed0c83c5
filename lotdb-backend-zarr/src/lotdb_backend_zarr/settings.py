"""What ``LOTDB(backends={"zarr": {...}})`` may have; here, so that the plugin can say it without zarr."""

__all__ = ["SETTINGS"]

SETTINGS = ("store", "cache_bytes", "record_bytes")
