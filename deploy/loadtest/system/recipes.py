"""Which recipes the events of a run may name."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from deploy.errors import DeployError
from serve.catalog.loader import CatalogInvalid, load_catalog
from serve.settings import ServeSettings

#: The load test's own: `light`, which is quick to make.
CATALOG = Path(__file__).with_name("catalog")


def merged_catalog(folder: Path, settings: ServeSettings) -> Path:
    """A catalog with our own recipes and those of `VITRINE_SERVE_CATALOG_DIR`, in `folder`, which is made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    for source in (CATALOG, settings.catalog_dir):
        if source is not None:
            try:
                shutil.copytree(source, folder, dirs_exist_ok=True)
            except OSError as error:
                raise DeployError(f"the catalog {source} cannot be read: {error}") from error
    return folder


def recipe_names(catalog: Path | None, settings: ServeSettings) -> Sequence[str]:
    """What Serve has with this catalog beside the built-in one; `DeployError` where it would not start with it."""
    try:
        return sorted(load_catalog(catalog, default_recipe=settings.default_recipe).recipes)
    except CatalogInvalid as error:
        raise DeployError(str(error)) from error
