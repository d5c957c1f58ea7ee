"""What the product net sees, as a value; needs no torch."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.pictures import Mask


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """What was seen in one picture."""

    #: Probability of the product: `float32 [s, s]`, 0..1. The whole frame, squeezed into the net's square.
    mask: Mask
    #: Probability of each class of the weights, in their order: `float32 [K]`, sums to 1.
    classes: NDArray[np.float32]
    #: What further heads read: `float32 [F]`.
    features: NDArray[np.float32]
