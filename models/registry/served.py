"""Which class serves which net, and whether a folder of weights is whole."""

import re
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from models.registry.checkpoint import read_weights
from models.registry.manifest import MANIFEST, Found, WeightsEntry, bundled_folder, read_versions
from models.registry.sources import Place, Source, WeightsError


@dataclass(frozen=True, slots=True)
class Served:
    """A class that serves a net: `load(device, source)`, or `load(source)` where it computes on the CPU alone."""

    module: str
    name: str
    on_device: bool = True


#: By architecture, as the manifest names it.
SERVED = {
    "attribute-heads": Served("models.recognition.attributes", "AttributeModel", on_device=False),
    "lite-product": Served("models.product", "ProductModel"),
    "pu2-inpainting": Served("models.repair.inpainting", "Inpainter"),
    "pu2-quality": Served("models.quality.judge", "QualityModel"),
    "pu2-restoration": Served("models.repair.restoration", "Restorer"),
    "pu2-stains": Served("models.repair.stains", "StainDetector"),
    "pu2-style": Served("models.styles.transfer", "StyleTransfer"),
}
#: All bundled files together, in bytes.
ROOM = 60_000_000
#: What a card must speak of: each is a heading or the bold start of a paragraph.
SECTIONS = {
    "what it is": "what",
    "data": "data",
    "training": "training",
    "figures": "figures",
    "intended use": "(intended )?use",
    "limits": "(limits|known failures)",
    "licence": "licence",
}
_COMMAND = "python -m models.training"


def serve(architecture: str, device: str, source: Source | Place | None) -> Any:
    """Load weights as they are served; raise `WeightsError` where no class serves the net, or they do not fit."""
    if architecture not in SERVED:
        raise WeightsError(f"no class here serves a net {architecture!r}, only: {', '.join(sorted(SERVED))}")
    served = SERVED[architecture]
    load = getattr(import_module(served.module), served.name).load
    return load(device, source) if served.on_device else load(source)


def faults(folder: Path) -> list[str]:
    """All that is wrong with a folder of weights, one sentence each; empty where everything is as it should be."""
    try:
        listed = read_versions(folder)
    except WeightsError as error:
        return [str(error)]
    found = [
        fault
        for name, versions in listed.items()
        for entry in versions
        for fault in (*_of_weights(Found(name=name, folder=folder, entry=entry)), *_of_card(folder, entry))
    ]
    known = {
        MANIFEST,
        *(file for versions in listed.values() for entry in versions for file in (entry.file, entry.card)),
    }
    found += [f"{path} is not listed in {MANIFEST}" for path in sorted(folder.iterdir()) if path.name not in known]
    total = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    if folder.resolve() == bundled_folder().resolve() and total > ROOM:
        found.append(f"the bundled files take {total:,} bytes together, more than {ROOM:,}")
    return found


def _of_weights(found: Found) -> list[str]:
    """Hash, format and values, then whether the class that serves the net takes them."""
    try:
        tensors = read_weights(found).tensors
        broken = [key for key, tensor in tensors.items() if not torch.isfinite(tensor).all()]
        if broken:
            return [f"{found.file} holds values that are not numbers: {', '.join(broken)}"]
        serve(found.entry.architecture, "cpu", found.file)
    except WeightsError as error:
        return [str(error)]
    return []


def _of_card(folder: Path, entry: WeightsEntry) -> list[str]:
    path = folder / entry.card
    try:
        text = path.read_text("utf-8")
    except (OSError, ValueError) as error:
        return [f"{path} cannot be read: {error}"]
    missing = [name for name, words in SECTIONS.items() if not re.search(rf"(?im)^(#+\s*|\*\*){words}\b", text)]
    found = [f"{path} says nothing of: {', '.join(missing)}"] if missing else []
    if _COMMAND not in text:
        found.append(f"{path} does not say how to train such weights: {_COMMAND} ...")
    if entry.version not in text:
        found.append(f"{path} does not name the version {entry.version}")
    return found
