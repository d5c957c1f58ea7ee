"""Enhancement without invention: exposure, white balance, noise and sharpness of a seller's photo, behind a gate."""

from models.enhance.enhance import Applied, Enhanced, Parts, Restorer, enhance

__all__ = ["Applied", "Enhanced", "Parts", "Restorer", "enhance"]
