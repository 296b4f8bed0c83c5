"""Queries: finding nodes by paths and conditions, and telling how two trees differ."""
