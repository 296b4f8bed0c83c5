"""Recordings of suffix ``.mrec`` in LOTDB."""
