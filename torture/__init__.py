"""What LOTDB survives: ``make torture`` tries it, and ``docs/reliability.md`` has a table that it wrote."""
