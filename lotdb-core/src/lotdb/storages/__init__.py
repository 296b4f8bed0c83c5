"""The storages that come with LOTDB, each loaded when a database of it is opened."""
