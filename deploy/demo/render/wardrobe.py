"""Which garment, in which cloth and colours, on which floor: the choices behind a photo."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from deploy.demo.render import lower, tops
from deploy.demo.render.cloth import ClothPlan, colour
from deploy.demo.render.garment import Garment


@dataclass(frozen=True, slots=True)
class _Colourway:
    name: str
    base: str
    accent: str
    third: str


_COLOURS = (
    _Colourway("navy", "#27324f", "#e9e3d4", "#c8553d"),
    _Colourway("white", "#e2ded6", "#2d4a6e", "#d0674b"),
    _Colourway("mustard", "#d09a2c", "#f4ead2", "#5a3d28"),
    _Colourway("forest green", "#31523f", "#e8ddc0", "#d99a3c"),
    _Colourway("brick red", "#a83a32", "#f1e4cf", "#2b2f3c"),
    _Colourway("sky blue", "#86aecb", "#f5f1e8", "#28435f"),
    _Colourway("charcoal", "#3b3c41", "#d8d4cc", "#c9a23f"),
    _Colourway("dusty rose", "#c98d8f", "#f6ece6", "#6d3b4a"),
    _Colourway("teal", "#1f6a72", "#efe6d2", "#e0884a"),
    _Colourway("sand", "#cdb491", "#6a4c38", "#f5eee0"),
    _Colourway("lilac", "#a596c4", "#f4f0f7", "#4a3d68"),
    _Colourway("coral", "#df7457", "#fbf0e3", "#39506b"),
)
_DENIMS = (
    _Colourway("indigo", "#334663", "#8fa3bd", "#c58a45"),
    _Colourway("light blue", "#7f9ab8", "#c3d0dd", "#c58a45"),
    _Colourway("black", "#2c2d31", "#6d6e72", "#8b8c90"),
)


@dataclass(frozen=True, slots=True)
class _Model:
    cut: Callable[[], Garment]
    patterns: tuple[str, ...]
    weaves: tuple[str, ...]


_MODELS = (
    _Model(tops.t_shirt, ("plain", "stripes", "blocks"), ("jersey",)),
    _Model(lower.dress, ("floral", "dots", "plain"), ("linen", "jersey")),
    _Model(tops.hoodie, ("plain",), ("jersey",)),
    _Model(lower.trousers, ("plain",), ("denim", "denim", "linen")),
    _Model(tops.shirt, ("checks", "stripes", "plain"), ("linen",)),
    _Model(lower.skirt, ("dots", "checks", "floral", "plain"), ("linen",)),
    _Model(tops.long_sleeve, ("stripes", "plain", "blocks"), ("knit", "jersey")),
    _Model(lower.shorts, ("plain", "checks"), ("denim", "linen")),
    _Model(lower.tote, ("plain", "stripes"), ("linen",)),
)
KINDS = len(_MODELS)
_FLOORS = ("wood", "sheet", "concrete", "carpet", "sheet", "tiles", "wood")


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Everything chosen for one photo."""

    garment: Garment
    plan: ClothPlan
    colour_name: str
    floor: str
    printed: bool

    @property
    def title(self) -> str:
        """What a seller would call it."""
        pattern = {"stripes": "striped", "checks": "checked", "dots": "dotted", "blocks": "colour block"}
        name = pattern.get(self.plan.pattern, "" if self.plan.pattern == "plain" else self.plan.pattern)
        cloth = self.plan.weave if self.plan.weave in {"denim", "linen"} else ""
        extra = "printed" if self.printed else name
        words = [self.colour_name, extra, cloth, self.garment.kind]
        return " ".join(word for word in words if word).capitalize()


def look(index: int, rng: np.random.Generator) -> Look:
    """The look of the photo with this number: kinds take turns, the rest is chance."""
    model = _MODELS[index % KINDS]
    garment = model.cut()
    pattern = model.patterns[(index // KINDS + int(rng.integers(2))) % len(model.patterns)]
    weave = model.weaves[int(rng.integers(len(model.weaves)))]
    choice = _DENIMS if weave == "denim" and pattern == "plain" else _COLOURS
    way = choice[int(rng.integers(len(choice)))]
    if weave == "denim" and pattern != "plain":
        weave = "linen"
    floor = "wall" if garment.hangs and rng.random() < 0.4 else _FLOORS[int(rng.integers(len(_FLOORS)))]
    return Look(
        garment=garment,
        plan=ClothPlan(
            base=colour(way.base), accent=colour(way.accent), third=colour(way.third), pattern=pattern, weave=weave
        ),
        colour_name=way.name,
        floor=floor,
        printed=garment.print_at is not None and pattern == "plain" and rng.random() < 0.75,
    )
