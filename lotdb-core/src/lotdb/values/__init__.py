"""Attribute values, and the plain data that stands for them in a record."""
