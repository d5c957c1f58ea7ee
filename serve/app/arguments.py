"""The `args` of the application in deploy/serve.yaml."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from serve.app.placement import FUSED, Placement, parse_placement


def _parsed(given: object) -> Placement:
    if isinstance(given, Placement):
        return given
    if isinstance(given, str) or (isinstance(given, dict) and all(isinstance(name, str) for name in given.values())):
        return parse_placement(given)
    raise ValueError(f"placement must be a word or a mapping of stages to names of deployments, not {given!r}")


class AppArgs(BaseModel):
    """Checked before anything is deployed."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)
    events_per_replica: int = Field(default=8, ge=1, description="Events that a Studio replica takes at once.")
    queued_per_ingress: int = Field(default=64, ge=1, description="Events that wait in an ingress for a replica.")
    event_timeout_s: float = Field(default=840.0, gt=0, description="Seconds after which an event counts as lost.")
    placement: Annotated[Placement, BeforeValidator(_parsed)] = Field(
        default=parse_placement(FUSED), description="Where each stage computes: fused, staged or a mapping."
    )
