"""Taking in files and folders."""
