"""Cuts worn above the waist. Lengths are shares of the garment's height; the centre line is x = 0."""

from deploy.demo.render.curves import knots, symmetric
from deploy.demo.render.garment import Band, Button, Garment, Piece, Seam, both, buttons

_NECK_FRONT = knots((-0.125, 0.0), (-0.075, 0.082), (0, 0.112), (0.075, 0.082), (0.125, 0.0))
_NECK_BACK = knots((-0.125, 0.0), (-0.06, 0.016), (0, 0.02), (0.06, 0.016), (0.125, 0.0))
_NECK_INSIDE = symmetric(knots((0, 0.118), (0.075, 0.088), (0.122, 0.0, 1), (0.06, 0.002), (0, 0.006)))
_BODY = symmetric(
    knots(
        (0, 0.112), (0.075, 0.082), (0.125, 0.0, 1), (0.24, 0.032), (0.335, 0.078, 1), (0.312, 0.165),
        (0.318, 0.27, 1), (0.304, 0.45), (0.303, 0.7), (0.318, 1.0, 1), (0.16, 1.012), (0, 1.014),
    )
)  # fmt: skip
_ARMHOLE = Seam(path=knots((0.335, 0.078), (0.312, 0.165), (0.318, 0.27)), stitched=False)
_LONG_SLEEVE = knots(
    (0.24, 0.04, 1), (0.335, 0.072), (0.43, 0.175), (0.515, 0.42), (0.60, 0.77, 1), (0.49, 0.797, 1), (0.40, 0.53),
    (0.325, 0.31), (0.25, 0.29, 1),
)  # fmt: skip
_CUFF = Piece(
    outline=knots((0.597, 0.765, 1), (0.603, 0.828, 1), (0.502, 0.85, 1), (0.492, 0.79, 1)), cloth="trim", grain=-14
)
_HEM = Seam(path=knots((-0.316, 0.965), (0, 0.978), (0.316, 0.965)))


def t_shirt() -> Garment:
    """A t-shirt, laid flat, with a ribbed collar."""
    sleeve = knots(
        (0.24, 0.04, 1), (0.335, 0.072), (0.425, 0.155), (0.535, 0.295, 1), (0.475, 0.345), (0.40, 0.378, 1),
        (0.335, 0.275), (0.25, 0.26, 1),
    )  # fmt: skip
    return Garment(
        kind="t-shirt",
        half_width=0.54,
        print_at=(0.0, 0.37, 0.36),
        hangs=True,
        layers=(
            Piece(outline=_NECK_INSIDE, cloth="lining"),
            Band(path=_NECK_BACK, width=0.026),
            *both(
                Piece(outline=sleeve, grain=-32),
                Seam(path=knots((0.520, 0.275), (0.46, 0.325), (0.388, 0.356))),
            ),
            Piece(outline=_BODY),
            *both(_ARMHOLE),
            _HEM,
            Band(path=_NECK_FRONT, width=0.03),
            Seam(path=knots((-0.142, 0.006), (-0.085, 0.098), (0, 0.130), (0.085, 0.098), (0.142, 0.006))),
        ),
    )


def long_sleeve() -> Garment:
    """A pullover with ribbed cuffs, hem and collar."""
    hem = symmetric(knots((0, 0.945), (0.312, 0.935, 1), (0.300, 1.0, 1), (0, 1.01)))
    return Garment(
        kind="long sleeve",
        half_width=0.61,
        print_at=(0.0, 0.40, 0.34),
        folds=18,
        layers=(
            Piece(outline=_NECK_INSIDE, cloth="lining"),
            Band(path=_NECK_BACK, width=0.034),
            *both(Piece(outline=_LONG_SLEEVE, grain=-20, thickness=1.4), _CUFF),
            Piece(outline=_BODY, thickness=1.4),
            *both(_ARMHOLE),
            Piece(outline=hem, cloth="trim"),
            Band(path=_NECK_FRONT, width=0.04),
        ),
    )


def hoodie() -> Garment:
    """A hooded sweatshirt with a pouch pocket and drawstrings."""
    hood = symmetric(knots((0, 0.16), (0.12, 0.10), (0.205, 0.04), (0.215, -0.09), (0.145, -0.215), (0, -0.255)))
    opening = symmetric(knots((0, 0.145), (0.055, 0.10), (0.105, 0.0), (0.108, -0.09), (0.068, -0.165), (0, -0.185)))
    pouch = symmetric(
        knots((0, 0.60), (0.135, 0.60, 1), (0.165, 0.67), (0.225, 0.745, 1), (0.225, 0.885, 1), (0, 0.89))
    )
    hem = symmetric(knots((0, 0.93), (0.312, 0.92, 1), (0.295, 1.0, 1), (0, 1.012)))
    body = symmetric(
        knots(
            (0, 0.135), (0.08, 0.07), (0.15, 0.012, 1), (0.25, 0.036), (0.335, 0.078, 1), (0.312, 0.165),
            (0.318, 0.27, 1), (0.31, 0.6), (0.318, 0.95, 1), (0, 0.96),
        )
    )  # fmt: skip
    string = Band(path=knots((0.052, 0.122), (0.062, 0.2), (0.05, 0.27), (0.06, 0.335)), width=0.011, cloth="string")
    return Garment(
        kind="hoodie",
        half_width=0.61,
        top=-0.27,
        folds=20,
        layers=(
            *both(Piece(outline=_LONG_SLEEVE, grain=-20, thickness=1.7), _CUFF),
            Piece(outline=hood, thickness=2.2),
            Piece(outline=opening, cloth="lining", thickness=0.6),
            Piece(outline=body, thickness=1.7),
            Seam(path=knots((-0.15, 0.014), (-0.08, 0.075), (0, 0.142), (0.08, 0.075), (0.15, 0.014)), depth=2),
            *both(_ARMHOLE),
            Piece(outline=pouch, thickness=1.2),
            *both(Seam(path=knots((0.128, 0.615), (0.155, 0.675), (0.208, 0.745)))),
            Piece(outline=hem, cloth="trim"),
            *both(string),
        ),
    )


def shirt() -> Garment:
    """A buttoned shirt with collar, placket, chest pocket and cuffs."""
    body = symmetric(
        knots(
            (0, 0.10), (0.06, 0.06), (0.12, 0.0, 1), (0.24, 0.032), (0.335, 0.078, 1), (0.312, 0.165),
            (0.318, 0.27, 1), (0.302, 0.55), (0.312, 0.88), (0.285, 0.945), (0.17, 1.0), (0, 1.015),
        )
    )  # fmt: skip
    wing = knots((0.0, 0.098, 1), (0.10, -0.018), (0.135, 0.0, 1), (0.165, 0.085), (0.135, 0.15, 1), (0.06, 0.135))
    stand = symmetric(knots((0, 0.03), (0.08, 0.03), (0.128, 0.012, 1), (0.09, -0.045), (0, -0.055)))
    inside = symmetric(knots((0, 0.11), (0.06, 0.07), (0.10, 0.0, 1), (0, -0.012)))
    pocket = knots((0.075, 0.30, 1), (0.215, 0.295, 1), (0.215, 0.42, 1), (0.145, 0.455, 1), (0.077, 0.425, 1))
    return Garment(
        kind="shirt",
        half_width=0.61,
        top=-0.07,
        folds=20,
        hangs=True,
        layers=(
            Piece(outline=stand),
            Piece(outline=inside, cloth="lining"),
            *both(Piece(outline=_LONG_SLEEVE, grain=-20), Piece(outline=_CUFF.outline, grain=-14, thickness=1.5)),
            Piece(outline=body),
            *both(_ARMHOLE, Seam(path=knots((0.024, 0.13), (0.024, 0.6), (0.024, 1.005)))),
            Seam(path=knots((-0.302, 0.925), (-0.17, 0.98), (0, 0.995), (0.17, 0.98), (0.302, 0.925))),
            Piece(outline=pocket, thickness=0.6),
            Seam(path=knots((0.078, 0.325), (0.213, 0.320))),
            *both(Piece(outline=wing, thickness=1.5)),
            Button(x=0.0, y=0.118, radius=0.011),
            *buttons(0.0, [0.24, 0.37, 0.50, 0.63, 0.76, 0.88], radius=0.011),
        ),
    )
