"""The styles that the style net knows, without loading the net."""

from deploy.errors import DeployError
from models.registry.manifest import WeightsError
from serve.nets import Nets
from serve.settings import ServeSettings


def style_names(settings: ServeSettings) -> frozenset[str]:
    """The names in the manifest beside the weights that serving would use; `DeployError` where there is none."""
    try:
        return frozenset(Nets(settings).style_facts.styles)
    except WeightsError as error:
        raise DeployError(str(error)) from error
