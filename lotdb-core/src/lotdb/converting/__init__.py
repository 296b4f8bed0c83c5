"""Copying a database into another storage, with its history. Loaded when it is called."""
