"""The styles that the style net knows, without loading the net."""

from pathlib import Path

from deploy.errors import DeployError
from serve.settings import ServeSettings

_NET = "style"


def style_names(settings: ServeSettings) -> frozenset[str]:
    """The names in the manifest beside the weights that serving would use; `DeployError` where there is none."""
    # It imports torch, which takes seconds; only those who check recipes pay for it.
    from models.manifest import WeightsError, bundled_folder, read_manifest  # noqa: PLC0415

    source = settings.style_weights
    folder = bundled_folder() if source is None else Path(source)
    file = folder.name if folder.suffix == ".safetensors" else None
    try:
        entries = read_manifest(folder.parent if file else folder)
    except WeightsError as error:
        raise DeployError(str(error)) from error
    found = [entry for name, entry in entries.items() if (entry.file == file if file else name == _NET)]
    return frozenset(str(style) for entry in found for style in entry.config.get("styles", ()))
