"""What a run leaves to look at: run.json, the loss curve, the model card."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.training.measure import Figures
from models.training.recipes import StyleRecipe

Picture = NDArray[np.uint8]


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write the file whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    partial.replace(path)


def write_picture(path: Path, picture: Picture) -> None:
    """Write uint8 [H, W, 3] sRGB as PNG."""
    if not cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)):
        raise OSError(f"{path} could not be written")


def loss_curve(losses: Sequence[float], smooth: int = 50) -> Picture:
    """The smoothed loss over the steps on a logarithmic scale: uint8 [480, 800, 3]."""
    window = max(1, min(smooth, len(losses)))
    values = np.log10(np.convolve(losses, np.full(window, 1 / window), mode="valid"))
    low, high = float(values.min()), max(float(values.max()), float(values.min()) + 1e-3)
    x = 70 + np.linspace(0, 700, len(values))
    y = 440 - 400 * (values - low) / (high - low)
    picture = np.full((480, 800, 3), 255, np.uint8)
    cv2.rectangle(picture, (70, 40), (770, 440), (200, 200, 200))
    cv2.polylines(picture, [np.stack([x, y], axis=1).astype(np.int32)], False, (30, 90, 180), 2, cv2.LINE_AA)
    labels = {
        (8, 48): f"{10**high:.4f}",
        (8, 444): f"{10**low:.4f}",
        (700, 466): f"{len(losses)} steps",
        (70, 28): "loss",
    }
    for place, text in labels.items():
        cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (60, 60, 60), 1, cv2.LINE_AA)
    return picture


def model_card(recipe: StyleRecipe, version: str, steps: int, parameters: int, figures: Figures) -> str:
    """The card of the style net, as Markdown."""
    rows = "\n".join(
        f"| {style} | {f['psnr_db']:.1f} | {f['ssim']:.3f} | {f['darkest_permille_on_white']:.0f} |"
        for style, f in figures.items()
    )
    return _CARD.format(
        version=version, parameters=parameters, steps=steps, rows=rows, recipe=recipe, styles=", ".join(recipe.styles)
    )


_CARD = """# Style net {version}

**What.** One convolutional net of {parameters:,} parameters (`models/nets/style.py`) that redraws a photo in one of its
styles: {styles}. It is fully local: a crop is redrawn as the whole picture is, whatever its size or share of white.

**Learned from.** Our own drawing filters (`models/filters.py`), written from the literature. No painting, no artist's
style and no pretrained weights went in.

**Data.** CC0 photos of clothes (Alexey Grigorev and contributors), only those with a trusted mask.
{recipe.windows} windows of {recipe.window} px at the served scale (long side 800 to 1,100 px): half raw photos, half
garments cut out on white or light seamless backgrounds, with and without a contact shadow.

**Training.** {steps} steps of Adam, one crop of {recipe.crop} px per style and step, learning rate
{recipe.learning_rate} with warm-up and cosine decay, seed {recipe.seed}. Loss: L1 + {recipe.structure_weight} structure
(SSIM on three scales) + {recipe.gradient_weight} gradient. Again: `python -m models.training style --data DIR`.

**Figures** against the teachers, on {recipe.validation_windows} windows from validation photos. White kept: where photo
and teacher are white, 99.9 % of the net's pixels are at least this bright (255 is white).

| style | PSNR dB | SSIM | white kept |
|---|---|---|---|
{rows}

**Limits.** Made for a long side of about 1,000 px: strokes keep their size in pixels, so a small picture looks coarser.
Fine print on a garment is simplified, in oil most of all: a styled picture is for mood and advertising, not for reading
labels. Hatching and paper grain lie still: the same pixel always meets the same grain.

**Licence.** Apache-2.0, as the code.
"""
