"""Rows of arrays in backends: writing, reading, and the record of a payload."""
