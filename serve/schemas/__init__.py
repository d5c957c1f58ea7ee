"""The data contracts of Vitrine: what an event says, what a result says, how the two travel over HTTP.

Pydantic models without I/O, and `redaction`, which keeps secrets out of all that is said; this is all that the
consumers may know of the serving room.
"""
