"""Dresses, cuts worn below the waist, and bags. Lengths are shares of the garment's height."""

from deploy.demo.render.curves import knots, symmetric
from deploy.demo.render.garment import Band, Button, Garment, Piece, Seam, both


def dress() -> Garment:
    """A sleeveless dress with a fitted waist and a flared skirt."""
    top = symmetric(
        knots(
            (0, 0.115), (0.05, 0.10), (0.088, 0.0, 1), (0.15, 0.006, 1), (0.148, 0.1), (0.195, 0.185, 1), (0.178, 0.3),
            (0.152, 0.405, 1), (0, 0.415),
        )
    )  # fmt: skip
    skirt = symmetric(
        knots(
            (0, 0.405), (0.152, 0.395, 1), (0.195, 0.52), (0.262, 0.72), (0.335, 0.945, 1), (0.27, 0.985),
            (0.20, 0.978), (0.13, 1.005), (0.06, 0.992), (0, 1.01),
        )
    )  # fmt: skip
    inside = symmetric(knots((0, 0.12), (0.05, 0.105), (0.088, 0.0, 1), (0.05, 0.045), (0, 0.055)))
    pleats = [(x, x * 1.75) for x in (-0.125, -0.07, -0.015, 0.045, 0.105)]
    return Garment(
        kind="dress",
        half_width=0.34,
        folds=10,
        drape=88,
        hangs=True,
        layers=(
            Piece(outline=inside, cloth="lining"),
            Piece(outline=skirt),
            *(
                Seam(path=knots((top_x, 0.41), (top_x * 1.15, 0.62), (low_x, 0.93)), stitched=False, depth=2.6)
                for top_x, low_x in pleats
            ),
            Piece(outline=top),
            *both(Seam(path=knots((0.088, 0.40), (0.098, 0.30), (0.09, 0.23)), stitched=False)),
            Band(path=knots((-0.155, 0.40), (0, 0.41), (0.155, 0.40)), width=0.03, cloth="trim"),
            Band(path=knots((-0.088, 0.0), (-0.05, 0.10), (0, 0.115), (0.05, 0.10), (0.088, 0.0)), width=0.013),
        ),
    )


def skirt() -> Garment:
    """A pleated skirt with a waistband."""
    body = symmetric(
        knots(
            (0, 0.06), (0.30, 0.05, 1), (0.36, 0.3), (0.47, 0.7), (0.545, 0.965, 1), (0.44, 1.0), (0.33, 0.985),
            (0.22, 1.015), (0.11, 1.0), (0, 1.02),
        )
    )  # fmt: skip
    band = symmetric(knots((0, 0.0), (0.295, -0.008, 1), (0.303, 0.08, 1), (0, 0.09)))
    pleats = [-0.24, -0.165, -0.09, -0.01, 0.07, 0.15, 0.225]
    return Garment(
        kind="skirt",
        half_width=0.56,
        folds=9,
        drape=88,
        layers=(
            Piece(outline=body),
            *(
                Seam(path=knots((x, 0.09), (x * 1.25, 0.45), (x * 1.85, 0.95)), stitched=False, depth=3.0)
                for x in pleats
            ),
            Seam(path=knots((-0.525, 0.925), (-0.26, 0.965), (0, 0.975), (0.26, 0.965), (0.525, 0.925))),
            Piece(outline=band, cloth="trim", thickness=1.2),
        ),
    )


_WAIST_BACK = symmetric(knots((0, -0.012), (0.19, -0.022, 1), (0.196, 0.02, 1), (0, 0.05)))
_WAISTBAND = symmetric(
    knots((0, 0.016), (0.12, 0.008), (0.198, -0.02, 1), (0.207, 0.034, 1), (0.12, 0.062), (0, 0.068))
)
_FRONT_DETAILS = (
    *both(
        Seam(path=knots((0.098, 0.068), (0.115, 0.125), (0.165, 0.15), (0.222, 0.15)), depth=1.5),
        Band(path=knots((0.115, 0.0), (0.118, 0.078)), width=0.016, cloth="main"),
    ),
    Seam(path=knots((0.0, 0.07), (-0.002, 0.2), (-0.004, 0.30)), stitched=False, depth=1.6),
    Seam(path=knots((0.042, 0.07), (0.042, 0.17), (0.02, 0.225), (0.0, 0.24))),
    Button(x=0.0, y=0.041, radius=0.014, metal=True),
)


def trousers() -> Garment:
    """Five-pocket trousers."""
    legs = symmetric(
        knots(
            (0, 0.03), (0.205, 0.0, 1), (0.225, 0.07), (0.246, 0.2), (0.245, 0.4), (0.225, 0.7), (0.218, 1.0, 1),
            (0.15, 1.012), (0.075, 1.004, 1), (0.068, 0.7), (0.05, 0.45), (0.018, 0.335), (0, 0.315, 1),
        )
    )  # fmt: skip
    return Garment(
        kind="trousers",
        half_width=0.26,
        folds=16,
        drape=65,
        layers=(
            Piece(outline=_WAIST_BACK, cloth="lining"),
            Piece(outline=legs, thickness=1.4),
            *both(
                Seam(path=knots((0.219, 0.08), (0.237, 0.25), (0.232, 0.5), (0.216, 0.75), (0.208, 0.985)), depth=0.8),
                Seam(path=knots((0.214, 0.972), (0.15, 0.983), (0.077, 0.974))),
            ),
            Piece(outline=_WAISTBAND, thickness=0.8),
            Seam(path=knots((-0.206, 0.026), (-0.12, 0.056), (0, 0.062), (0.12, 0.056), (0.206, 0.026))),
            *_FRONT_DETAILS,
        ),
    )


def shorts() -> Garment:
    """Shorts: the front of trousers, cut above the knee, drawn larger."""
    legs = symmetric(
        knots(
            (0, 0.05), (0.31, 0.02, 1), (0.345, 0.2), (0.395, 0.6), (0.425, 0.97, 1), (0.24, 1.01), (0.07, 0.985, 1),
            (0.052, 0.75), (0.02, 0.60), (0, 0.575, 1),
        )
    )  # fmt: skip
    back = symmetric(knots((0, -0.015), (0.295, -0.03, 1), (0.30, 0.03, 1), (0, 0.07)))
    band = symmetric(knots((0, 0.025), (0.18, 0.012), (0.305, -0.028, 1), (0.318, 0.06, 1), (0.18, 0.10), (0, 0.11)))
    return Garment(
        kind="shorts",
        half_width=0.43,
        folds=12,
        drape=70,
        layers=(
            Piece(outline=back, cloth="lining"),
            Piece(outline=legs, thickness=1.3),
            *both(
                Seam(path=knots((0.42, 0.93), (0.24, 0.968), (0.072, 0.945))),
                Seam(path=knots((0.15, 0.10), (0.175, 0.2), (0.25, 0.245), (0.345, 0.25)), depth=1.5),
            ),
            Seam(path=knots((0.0, 0.11), (-0.003, 0.35), (-0.006, 0.56)), stitched=False, depth=1.6),
            Seam(path=knots((0.065, 0.11), (0.065, 0.28), (0.03, 0.38), (0.0, 0.4))),
            Piece(outline=band, thickness=0.8),
            Button(x=0.0, y=0.067, radius=0.02, metal=True),
        ),
    )


def tote() -> Garment:
    """A cloth bag with two handles."""
    body = symmetric(
        knots((0, 0.36), (0.33, 0.35, 1), (0.345, 0.6), (0.35, 0.95), (0.325, 1.0), (0.15, 1.012), (0, 1.014))
    )
    back_handle = knots(
        (-0.17, 0.37), (-0.165, 0.18), (-0.10, 0.03), (0.02, 0.0), (0.12, 0.05), (0.17, 0.2), (0.18, 0.37)
    )
    handle = knots((-0.17, 0.44), (-0.19, 0.28), (-0.15, 0.13), (-0.02, 0.07), (0.11, 0.12), (0.16, 0.27), (0.17, 0.44))
    return Garment(
        kind="tote bag",
        half_width=0.36,
        print_at=(0.0, 0.70, 0.40),
        folds=10,
        layers=(
            Band(path=back_handle, width=0.045),
            Piece(outline=body),
            Seam(path=knots((-0.333, 0.395), (0, 0.405), (0.333, 0.395))),
            Band(path=handle, width=0.045),
        ),
    )
