"""What LOTDB survives: ``make torture`` runs it, and ``docs/reliability.md`` holds a table that it has written."""
