"""Which Kafka and Serve a command talks to.

The option goes first, then the environment, then what `vitrine up` left running, then the default.
"""

from pathlib import Path

from consumers.settings import ConsumerSettings
from deploy.services.connection import told
from deploy.services.processes import alive
from deploy.services.state import StateFile
from deploy.settings import DeploySettings


def consumer_settings(bootstrap: str | None, state: Path | None) -> ConsumerSettings:
    """The settings of the consumers, with the address of the Kafka that was meant."""
    if bootstrap is not None:
        return ConsumerSettings(bootstrap=bootstrap)
    settings = ConsumerSettings()
    known = StateFile(state or DeploySettings().state_dir).read()
    if known is None or not any(map(alive, known.processes)):
        return settings
    found = told(known.endpoints)
    own = set(settings.model_fields_set)
    if "bootstrap" in own:
        # The version belongs to the broker that `vitrine up` started.
        own.add("api_version")
    return settings.model_copy(update={name: value for name, value in found.items() if name not in own})


def connection(bootstrap: str | None, state: Path | None) -> tuple[str, tuple[int, int] | None]:
    """Address and protocol version of the Kafka that was meant."""
    settings = consumer_settings(bootstrap, state)
    version = settings.client().get("api_version")
    return settings.bootstrap, None if version is None else (version[0], version[1])
