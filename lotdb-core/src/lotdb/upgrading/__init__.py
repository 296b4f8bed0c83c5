"""Copying databases of lotdb 1.x into new ones."""
