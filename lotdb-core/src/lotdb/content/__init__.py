"""What a node holds: attributes and payloads."""
