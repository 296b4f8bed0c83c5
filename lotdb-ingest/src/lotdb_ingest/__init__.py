"""The file formats that LOTDB reads and writes."""
