"""What is put under load, as a protocol, so that a run can be tried without a single service."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from consumers.settings import ConsumerSettings
from deploy.loadtest.faults.scene import Scene
from deploy.loadtest.workload.planned import PhotoSource
from deploy.services.processes import ProcessRecord


class System(Protocol):
    """Running services, for the length of a block."""

    #: For the drivers and the receiver: `VITRINE_CONSUMERS_*`, and with the in-process driver `VITRINE_SERVE_*`.
    env: Mapping[str, str]
    #: Where the photos of the events are.
    photos: PhotoSource
    #: Recipes that the events may name must be served there.
    recipes: Sequence[str]

    def settings(self) -> ConsumerSettings | None:
        """What its Kafka is read with; None without Kafka."""
        ...

    def processes(self) -> Mapping[str, Sequence[ProcessRecord]]:
        """The processes of the moment by role (`kafka`, `store`, `serve`, `consumers`, `photos`); {} where remote."""
        ...

    def scene(self) -> Scene:
        """What faults act on; raise `DeployError` where these services cannot be disturbed."""
        ...

    def release(self) -> None:
        """Start the consumers that were held back; nothing where none were."""
        ...

    def check(self) -> list[str]:
        """What died although nobody wanted it, since the last call; it is replaced."""
        ...
