"""What can be trained, by name. A recipe is a small function: what it gives says what is learnt, from what, and how."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from models.training.attributes import AttributesRecipe
from models.training.inpainting import InpaintingRecipe
from models.training.product import ProductRecipe
from models.training.quality import QualityRecipe
from models.training.recipe import Recipe
from models.training.restoration import RestorationRecipe
from models.training.stains import StainRecipe
from models.training.style import StyleRecipe


def product() -> Recipe:
    """Mask and class of the product: trunk and heads on clothing photos, from a pretrained trunk."""
    return ProductRecipe()


def attributes() -> Recipe:
    """Pattern and embedding: heads on the trunk of the product net."""
    return AttributesRecipe()


def quality() -> Recipe:
    """How good a picture is, and what is wrong with it: learnt by ranking damaged crops."""
    return QualityRecipe()


def restoration() -> Recipe:
    """Noise, blur, JPEG's blocks and poor light taken out of a photo."""
    return RestorationRecipe()


def inpainting() -> Recipe:
    """What lies under a mask, painted from what lies around it."""
    return InpaintingRecipe()


def stains() -> Recipe:
    """Where a garment has stains and scratches."""
    return StainRecipe()


def style() -> Recipe:
    """All drawing styles in one net, taught by our own filters."""
    return StyleRecipe()


#: Name -> function.
RECIPES: Mapping[str, Callable[[], Recipe]] = MappingProxyType(
    {function.__name__: function for function in (product, attributes, quality, restoration, inpainting, stains, style)}
)
