"""How many replicas Serve should have, from what the consumers tell of their backlog."""
