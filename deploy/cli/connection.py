"""Which Kafka a command talks to: the option, else what `vitrine up` left running, else the settings."""

from pathlib import Path

from consumers.settings import ConsumerSettings
from deploy.services.connection import settings_for
from deploy.services.processes import alive
from deploy.services.state import StateFile
from deploy.settings import DeploySettings


def consumer_settings(bootstrap: str | None, state: Path | None) -> ConsumerSettings:
    """The settings of the consumers, with the address of the Kafka that was meant."""
    if bootstrap is not None:
        return ConsumerSettings(bootstrap=bootstrap)
    known = StateFile(state or DeploySettings().state_dir).read()
    if known is None or not any(map(alive, known.processes)):
        return ConsumerSettings()
    return settings_for(known.endpoints)


def connection(bootstrap: str | None, state: Path | None) -> tuple[str, tuple[int, int] | None]:
    """Address and protocol version of the Kafka that was meant."""
    settings = consumer_settings(bootstrap, state)
    version = settings.client().get("api_version")
    return settings.bootstrap, None if version is None else (version[0], version[1])
