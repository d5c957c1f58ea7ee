"""Cutting the product out of a seller's photo."""

from models.cutout.backend import REVIEW_CONFIDENCE, Cutout, MaskBackend
from models.cutout.grabcut import GrabCut

__all__ = ["REVIEW_CONFIDENCE", "Cutout", "GrabCut", "MaskBackend"]
