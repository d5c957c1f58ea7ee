"""Faces, how long source photos are kept, and what people consented to."""
