"""The application on Ray Serve: plain classes wrapped into deployments. The only package that imports ray.

`serve run deploy/serve.yaml` builds the application from here; numbers of replicas stand in that file.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ray.serve import Application


def build_app(args: dict[str, Any]) -> "Application":
    """The application of deploy/serve.yaml; `args` are those of `AppArgs`. Raise `ValueError` if they cannot be."""
    # Where the parts are used without Ray, Ray shall not be loaded.
    from serve.app.application import application  # noqa: PLC0415
    from serve.app.arguments import AppArgs  # noqa: PLC0415

    return application(AppArgs.model_validate(args))
