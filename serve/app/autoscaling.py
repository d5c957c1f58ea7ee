"""The scaling policy as deploy/serve.yaml names it: `policy_function: serve.app.autoscaling:ByBacklog`."""

from typing import Any

import ray

from serve.scaling.policy import BacklogPolicy


class ByBacklog(BacklogPolicy):
    """Knows what the cluster has. Keyword arguments: `ScalingSettings`."""

    def __init__(self, **given: Any) -> None:
        super().__init__(cluster=ray.cluster_resources, **given)
