"""The command ``lotdb``: databases from the shell, by what every program can call (``lotdb-core[cli]``)."""
