"""Array types of this room."""

import numpy as np
from numpy.typing import NDArray

#: `uint8 [H, W, 3]`, sRGB.
Picture = NDArray[np.uint8]
#: `float32 [H, W]` in 0..1; 1 on the product.
Mask = NDArray[np.float32]
#: `float32 [..., 3]`; meaning and range stand where it is used.
Floats = NDArray[np.float32]
