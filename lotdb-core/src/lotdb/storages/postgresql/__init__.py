"""The storage ``postgresql``: tables of a PostgreSQL database, written by many machines at once."""
