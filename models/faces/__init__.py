"""Faces in photos: found by CenterFace, made unrecognisable by us."""
