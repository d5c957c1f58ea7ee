"""Starts and measures things: local services, command line, demo, manifests, contracts. Knows every room; none knows it."""
