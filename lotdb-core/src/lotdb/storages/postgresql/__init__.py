"""The storage ``postgresql``: a tree in tables of a PostgreSQL database, which many machines write at once."""
