"""deploy/serve.yaml in a private Ray, with small changes."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from deploy.services.ray_serve import CONFIG, RayServe
from deploy.settings import DeploySettings

#: Changes the Serve config, as read from YAML.
Change = Callable[[dict[str, Any]], None]


@contextmanager
def serving(folder: Path, change: Change, env: Mapping[str, str]) -> Iterator[str]:
    """Its address, once it is ready; it is stopped after the block."""
    document = yaml.safe_load(CONFIG.read_text())
    change(document)
    config = folder / "serve-bench.yaml"
    config.write_text(yaml.safe_dump(document, sort_keys=False))
    serve = RayServe(folder, {"VITRINE_SERVE_LOG_LEVEL": "WARNING", **env}, DeploySettings(), config=config)
    try:
        serve.start()
        yield serve.url
    finally:
        serve.stop()
