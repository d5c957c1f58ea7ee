"""What a garment is made of: pieces of cloth, bands, seams and buttons, in the order in which they lie."""

from collections.abc import Sequence
from dataclasses import dataclass

from deploy.demo.render.curves import Knot, mirrored


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A piece of cloth inside a closed outline."""

    outline: tuple[Knot, ...]
    #: Which cloth: `main`, `second` (colour blocks), `trim` (ribs, bands), `lining` (the inside).
    cloth: str = "main"
    #: Degrees by which the weave is turned.
    grain: float = 0.0
    #: How thick its edge rolls, relative to a t-shirt.
    thickness: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A strip of cloth along an open path: collars, straps, handles."""

    path: tuple[Knot, ...]
    #: Width in garment units.
    width: float
    cloth: str = "trim"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seam:
    """A line in the cloth; `stitched` ones show their thread."""

    path: tuple[Knot, ...]
    stitched: bool = True
    #: How deep the seam pulls the cloth in.
    depth: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """A button or rivet."""

    x: float
    y: float
    radius: float = 0.009
    metal: bool = False


Layer = Piece | Band | Seam | Button


@dataclass(frozen=True, slots=True, kw_only=True)
class Garment:
    """A cut: its layers from back to front, its extent, and where a print may go."""

    kind: str
    layers: tuple[Layer, ...]
    #: Half width and top and bottom of the cut in garment units.
    half_width: float
    top: float = -0.03
    bottom: float = 1.02
    #: Centre and size of the print, if the cut can carry one.
    print_at: tuple[float, float, float] | None = None
    #: Main direction of the folds in degrees from the x axis, and how many lie there.
    drape: float = 80.0
    folds: int = 12
    #: May hang on a hanger.
    hangs: bool = False


def both(*layers: Layer) -> tuple[Layer, ...]:
    """The layers and their mirror images."""
    return (*layers, *(_mirror(layer) for layer in layers))


def _mirror(layer: Layer) -> Layer:
    if isinstance(layer, Piece):
        return Piece(outline=mirrored(layer.outline), cloth=layer.cloth, grain=-layer.grain, thickness=layer.thickness)
    if isinstance(layer, Band):
        return Band(path=mirrored(layer.path), width=layer.width, cloth=layer.cloth)
    if isinstance(layer, Seam):
        return Seam(path=mirrored(layer.path), stitched=layer.stitched, depth=layer.depth)
    return Button(x=-layer.x, y=layer.y, radius=layer.radius, metal=layer.metal)


def buttons(x: float, rows: Sequence[float], radius: float = 0.009) -> tuple[Button, ...]:
    """A row of buttons down the front."""
    return tuple(Button(x=x, y=y, radius=radius) for y in rows)
