"""How nets compute: threads, memory, precision, and layers that are folded together."""
