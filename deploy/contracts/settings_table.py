"""The table of all settings, read off the settings classes of the rooms."""

from pydantic_settings import BaseSettings

from consumers.settings import ConsumerSettings
from deploy.settings import DeploySettings
from serve.settings import ServeSettings

_ROOMS: dict[str, type[BaseSettings]] = {
    "Consumers": ConsumerSettings,
    "Serve": ServeSettings,
    "Deploy": DeploySettings,
}


def _default(value: object) -> str:
    text = ",".join(map(str, value)) if isinstance(value, tuple) else str(getattr(value, "value", value))
    return "-" if value is None or not text else f"`{text}`"


def markdown() -> str:
    """One table per room: variable, default, meaning."""
    lines = ["# Settings", "", "Every setting is an environment variable. `models` has none: it takes arguments."]
    for room, settings in _ROOMS.items():
        prefix = settings.model_config.get("env_prefix", "")
        lines += ["", f"## {room}", "", "| variable | default | meaning |", "|---|---|---|"]
        for name, field in settings.model_fields.items():
            default = "required" if field.is_required() else _default(field.get_default(call_default_factory=True))
            meaning = (field.description or "").replace("|", "\\|")
            lines.append(f"| `{prefix.upper()}{name.upper()}` | {default} | {meaning} |")
    return "\n".join(lines) + "\n"
