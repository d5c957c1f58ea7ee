"""All scenes by name. A new one is a module with a painter and a line here."""

from collections.abc import Mapping

from models.scenes import room, terrace
from models.scenes.foliage import foliage
from models.scenes.gradient import gradient
from models.scenes.light import Light
from models.scenes.linen import linen
from models.scenes.marble import marble
from models.scenes.scene import Scene
from models.scenes.wood import wood

SCENES: Mapping[str, Scene] = {
    "wood": Scene(paint=wood, pose="lying", light=Light("left", 0.010)),
    "marble": Scene(paint=marble, pose="lying", light=Light("left", 0.0)),
    "linen": Scene(paint=linen, pose="lying", light=Light("left", 0.006)),
    "gradient": Scene(paint=gradient, pose="lying", light=Light("left", 0.008)),
    "foliage": Scene(paint=foliage, pose="lying", light=Light("left", 0.010)),
    "wall": Scene(paint=room.wall, pose="hanging", light=Light("left", 0.006), seam=room.wall_seam),
    "wall-and-floor": Scene(
        paint=room.wall_and_floor,
        pose="standing",
        light=Light("left", 0.006),
        seam=room.floor_seam,
        depth=0.20,
        wall=True,
    ),
    "terrace": Scene(
        paint=terrace.terrace, pose="standing", light=Light("left", 0.008), seam=terrace.edge_of, depth=0.185
    ),
}
