"""What every cut-out gives, and what the pipeline asks of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from models.pictures import Mask, Picture
from models.sight import Sight

#: A cut-out below this confidence should be seen by a person. Of 295 photos with known masks 79 % pass, 96 % of these
#: overlap the true mask by 0.9 or more, and two thirds of the poor cuts are held back; below 0.8 the share of visible
#: faults rises quickly (models/README.md).
REVIEW_CONFIDENCE = 0.8


@dataclass(frozen=True, slots=True, eq=False)
class Cutout:
    """What a backend found."""

    #: `float32 [H, W]` of the photo's own size, 0..1, 1 on the product.
    alpha: Mask
    #: 0..1; see the backend for its calibration.
    confidence: float
    #: What a backend that knows products has seen in the photo; further heads read it.
    sight: Sight | None = None
    #: Further measures of the photo, by name.
    figures: Mapping[str, float] = field(default_factory=dict)


class MaskBackend(Protocol):
    """Anything that cuts products out; it never raises for a valid picture, whatever it shows."""

    name: str
    version: str

    def cut(self, pictures: Sequence[Picture]) -> list[Cutout]:
        """One cut-out per picture, in order."""
        ...
