"""Taking in files and folders, and writing subtrees out as such."""
