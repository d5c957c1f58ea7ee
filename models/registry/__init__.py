"""Weights by name and version: where they are read from, what they should be, and which class serves them."""
