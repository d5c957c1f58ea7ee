"""The settings of the policy: `policy_kwargs` in deploy/serve.yaml. Bounds and delays are Serve's own, beside it."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AnyHttpUrl,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

_HTTP_URL: TypeAdapter[AnyHttpUrl] = TypeAdapter(AnyHttpUrl)


def _http(value: str) -> str:
    _HTTP_URL.validate_python(value)
    return value


Url = Annotated[str, AfterValidator(_http)]


class WrongSettings(ValueError):
    """The settings do not make sense; the message names each that does not."""


class ScalingSettings(BaseModel):
    """Times are seconds, rates events per second."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    metrics_urls: tuple[Url, ...] = Field(
        default=(), description="The workers' /metrics; a name with several addresses stands for a worker at each."
    )
    prometheus_url: Url | None = Field(default=None, description="A Prometheus that scrapes them, to be asked instead.")
    prometheus_selector: str = Field(
        default="", max_length=500, description='Which of its series are meant, such as job="vitrine-consumers".'
    )
    token_env: str | None = Field(
        default=None, description="Environment variable of the head node that holds a bearer token for the above."
    )
    look_every_s: float = Field(default=5.0, ge=0.2, le=300, description="Time between looks.")
    timeout_s: float = Field(default=3.0, gt=0, le=60, description="Time that one look at one worker may take.")
    stale_s: float = Field(default=30.0, gt=0, description="Older figures do not count: the number of replicas stays.")
    forget_s: float = Field(
        default=300.0,
        gt=0,
        description="A backlog that nobody has told of for this time is gone. Until then it counts, "
        "and no replica is taken away.",
    )

    events_per_s: float = Field(gt=0, description="Events that one replica is thought to answer; then it is measured.")
    trust: float = Field(
        default=4.0, ge=1, description="How many times more or less than thought a measured rate may be."
    )
    rate_window_s: float = Field(
        default=60.0, gt=0, description="Rates are taken over this time; with Prometheus some of its scrape intervals."
    )
    rate_memory_s: float = Field(
        default=600.0, gt=0, description="Time at full load after which two thirds of the measured rate are new."
    )
    drain_s: float = Field(default=300.0, gt=0, description="Time in which a backlog should be worked off.")
    oldest_s: float = Field(
        default=900.0, gt=0, description="Age of the oldest event above which the backlog is worked off faster."
    )
    hold_s: float = Field(default=300.0, ge=0, description="Replicas are taken away when none was needed for so long.")
    slack: float = Field(
        default=0.85, gt=0, le=1, description="Fewer replicas are enough only if they are this busy at most."
    )
    idle_s: float = Field(default=300.0, ge=0, description="Time without any work before the last replica goes.")
    replica_needs: dict[str, Annotated[float, Field(gt=0)]] = Field(
        default={},
        description="What a replica takes of the cluster, such as {GPU: 1}: never more replicas than fit. "
        "Leave it out where nodes come by themselves.",
    )

    @model_validator(mode="after")
    def _one_source(self) -> "ScalingSettings":
        if bool(self.metrics_urls) == bool(self.prometheus_url):
            raise ValueError("either metrics_urls or prometheus_url is needed, not both")
        if self.stale_s <= self.look_every_s + self.timeout_s:
            raise ValueError("stale_s must be longer than look_every_s and timeout_s together")
        if self.forget_s < self.stale_s:
            raise ValueError("forget_s must not be shorter than stale_s")
        return self

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> "ScalingSettings":
        """The checked settings. Raise `WrongSettings`."""
        try:
            return cls.model_validate(dict(given))
        except ValidationError as error:
            found = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'all'}: {one['msg']}" for one in error.errors())
            raise WrongSettings(f"policy_kwargs of the scaling policy: {found}") from error
