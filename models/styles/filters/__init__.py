"""Drawing filters: the teachers of the style net, written from the literature of non-photorealistic rendering.

Every filter takes a picture `uint8 [H, W, 3]` sRGB and gives one of the same shape; the same input gives the same
output. Lengths are in pixels of a picture of about 1,000 px, the size that is served. White stays white: pigment is
laid down in proportion to darkness, so a seamless background keeps clean. `origin` places the picture on the textures.
"""

from collections.abc import Mapping
from types import MappingProxyType

from models.styles.filters.canvas import Filter, Origin
from models.styles.filters.crafted import cross_stitch, pointillism
from models.styles.filters.drawn import crayon, delft, ink, pastel, pencil
from models.styles.filters.engraved import engraving, stipple
from models.styles.filters.painted import oil, watercolour
from models.styles.filters.printed import comic, halftone, poster, riso

__all__ = ["FILTERS", "Filter", "Origin"]

#: Style name -> teacher, in the order of the net's style index.
FILTERS: Mapping[str, Filter] = MappingProxyType(
    {
        "oil": oil,
        "watercolour": watercolour,
        "pencil": pencil,
        "crayon": crayon,
        "poster": poster,
        "ink": ink,
        "pastel": pastel,
        "delft": delft,
        "engraving": engraving,
        "stipple": stipple,
        "halftone": halftone,
        "comic": comic,
        "riso": riso,
        "cross_stitch": cross_stitch,
        "pointillism": pointillism,
    }
)
