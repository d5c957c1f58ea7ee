"""Photos on a block list, found by their perceptual hashes."""

from collections.abc import Iterable

import numpy as np


class HashList:
    """Hashes of one rule."""

    def __init__(self, hashes: Iterable[str], within: int) -> None:
        """`hashes` are 16 hex digits each; `within` is how many of the 64 bits may differ."""
        self._known = np.array([int(one, 16) for one in hashes], dtype=np.uint64)
        self._within = within

    def holds(self, phash: str) -> bool:
        """Whether the list knows the photo."""
        differing = np.bitwise_xor(self._known, np.uint64(int(phash, 16)))
        return bool((np.unpackbits(differing.view(np.uint8).reshape(-1, 8), axis=1).sum(axis=1) <= self._within).any())
