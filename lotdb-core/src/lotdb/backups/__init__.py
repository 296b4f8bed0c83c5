"""Backups: a consistent copy of a database while it is written, kept up to date, and brought back."""
