"""LOTDB: an open database, its connections and its upkeep."""
