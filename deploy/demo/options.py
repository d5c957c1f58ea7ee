"""What a run of the demo was asked for."""

from dataclasses import dataclass
from pathlib import Path

from deploy.services.stack import KafkaKind, StoreKind


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """The options of `vitrine demo`."""

    #: Folder of real photos; None draws some.
    photos: Path | None = None
    #: Listings; the troublesome extras come on top.
    limit: int = 24
    #: What all listings ask for; None for a mix (`deploy.demo.recipes`).
    recipe: str | None = None
    out: Path = Path("out/demo")
    kafka: KafkaKind = KafkaKind.EMBEDDED
    brokers: int = 1
    store: StoreKind = StoreKind.EMBEDDED
    bootstrap: str | None = None
    endpoint: str | None = None
    #: A Ray cluster that runs already; None starts one.
    ray_address: str | None = None
    seed: int = 1
    #: Leave the services running.
    keep: bool = False
    #: Give up when so long no event was answered.
    patience_s: float = 180.0
