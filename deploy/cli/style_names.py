"""The styles that the style net knows, without loading the net."""

from deploy.errors import DeployError
from models.registry.manifest import WeightsError
from serve.equipment import style_facts
from serve.settings import ServeSettings


def style_names(settings: ServeSettings) -> frozenset[str]:
    """The names in the manifest beside the weights that serving would use; `DeployError` where there is none."""
    try:
        return frozenset(style_facts(settings).styles)
    except WeightsError as error:
        raise DeployError(str(error)) from error
