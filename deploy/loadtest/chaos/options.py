"""What a chaos run is asked for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Delivery = Literal["effectively_once", "transactional"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChaosOptions:
    """One run. The seed decides events, photos, faults and whom they hit; the threads of the system decide the rest."""

    events: int = 20_000
    #: A number, or names with commas between them.
    faults: str = "24"
    seed: int = 1
    delivery: Delivery = "effectively_once"
    consumers: int = 4
    photos: int = 16
    folder: Path = Path(".vitrine/chaos")
    #: Without a new outcome for so long the run is given up.
    patience_s: float = 150.0
    session_timeout_s: float = 6.0

    @property
    def transactional(self) -> bool:
        """Whether results and offsets travel in transactions."""
        return self.delivery == "transactional"
