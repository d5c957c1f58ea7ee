"""What every local service offers, and what clients need to know to use them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from deploy.services.processes import ProcessRecord

#: Told what happens to which service: `report("kafka", "starting")`; the last words are `ready` and `stopped`.
Report = Callable[[str, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Where the services of a stack answer; None where it has no such service."""

    #: `host:port,host:port`
    bootstrap: str | None = None
    #: What kafka-python must be told; None lets it ask the broker.
    kafka_api_version: tuple[int, int] | None = None
    #: Changes when the broker's offsets start anew: what was remembered per offset is void then.
    kafka_incarnation: str = ""
    s3_endpoint: str | None = None
    access_key: str = ""
    secret_key: str = ""
    region: str = "us-east-1"
    bucket: str = ""
    serve_url: str | None = None


class Service(Protocol):
    """A server that runs beside us."""

    name: str

    def start(self) -> None:
        """Start and wait until it is ready; raise `ServiceFailed` or `ToolMissing` with the reason."""
        ...

    def stop(self) -> None:
        """Stop it, politely first; no error if it is not running."""
        ...

    def healthy(self) -> bool:
        """Whether it answers now."""
        ...

    def processes(self) -> Sequence[ProcessRecord]:
        """Its processes, so that another command can stop them."""
        ...

    def describe(self, endpoints: Endpoints) -> Endpoints:
        """Add what clients of this service need."""
        ...
