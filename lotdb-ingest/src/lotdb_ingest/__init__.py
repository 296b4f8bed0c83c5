"""File formats that LOTDB can take in."""
