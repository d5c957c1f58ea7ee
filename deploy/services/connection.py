"""Clients for the services of a stack."""

from consumers.settings import ConsumerSettings
from deploy.services.environment import consumers_env
from deploy.services.interface import Endpoints

_PREFIX = "VITRINE_CONSUMERS_"


def told(endpoints: Endpoints) -> dict[str, str]:
    """What the services say of themselves, by field of the consumers' settings."""
    return {name.removeprefix(_PREFIX).lower(): value for name, value in consumers_env(endpoints).items()}


def settings_for(endpoints: Endpoints) -> ConsumerSettings:
    """The settings of the consumers for these services; what they leave open comes from the environment."""
    return ConsumerSettings().model_copy(update=told(endpoints))
