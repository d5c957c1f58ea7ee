"""Starts and measures things: local services, commands, demo, manifests, contracts. Knows every room; none knows it."""
