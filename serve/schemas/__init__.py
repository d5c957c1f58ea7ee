"""The data contracts of Vitrine: what an event says, what a result says, how the two travel over HTTP.

Pydantic models only, without I/O; this is all that the consumers may know of the serving room.
"""
