"""What ``LOTDB(backends={"blob": {...}})`` may have; here, so that the plugin can say it without ZODB."""

__all__ = ["SETTINGS"]

SETTINGS = ("store", "cache_bytes", "record_bytes")
