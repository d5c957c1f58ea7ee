"""Backdrops drawn by code: tables, walls and foliage, the same for the same seed at every size."""
