"""The version of the learned cut-out, for whoever must know it without loading a net."""

#: Raise it whenever the same net's mask is carried to the photo in another way.
_REFINEMENT = "2"


def learned_version(weights: str) -> str:
    """From the version of the product net's weights."""
    return f"{_REFINEMENT}-{weights}"
