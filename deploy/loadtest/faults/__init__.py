"""Faults as values, when they strike, and the real processes that they act on."""
