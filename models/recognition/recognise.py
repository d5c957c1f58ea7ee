"""Recognises products: category, colours, pattern, text, and an embedding to find alike ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.pictures import Mask, Picture
from models.product import ProductModel
from models.recognition.attributes import AttributeModel, Told
from models.recognition.facts import ColourFact, Evidence, Facts
from models.recognition.palette import main_colours
from models.recognition.reader import NoReader, Reader, Reading, legible, share_inside
from models.registry.sources import Place, Source

#: Raise it when colours or their names may change.
PALETTE = "palette 1.0"
#: Text of which less lies on the product was not printed on it.
_ON_PRODUCT = 0.7


class Sight(Protocol):
    """What is seen in one picture, such as `models.product.Sight`."""

    @property
    def mask(self) -> Mask:
        """The product: `float32 [h, w]`, 0..1, of any size."""
        ...

    @property
    def classes(self) -> NDArray[np.float32]:
        """Probability of each class."""
        ...

    @property
    def features(self) -> NDArray[np.float32]:
        """What the attribute heads read."""
        ...


class Eye(Protocol):
    """What sees products, such as `models.product.ProductModel`."""

    @property
    def name(self) -> str:
        """Of the model."""
        ...

    @property
    def version(self) -> str:
        """Changes whenever its results may."""
        ...

    @property
    def classes(self) -> Sequence[str]:
        """Names of the classes."""
        ...

    def see(self, pictures: Sequence[Picture]) -> Sequence[Sight]:
        """One sight per picture."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recognition:
    """What was recognised in one photo."""

    facts: Facts
    #: Every line of the photo, on the product or beside it.
    reading: Reading
    #: Lines beside the product, such as a date or a shop's mark: marketplaces refuse most of them.
    beside: tuple[str, ...]
    #: `float32 [E]`, of length 1.
    embedding: NDArray[np.float32]


class Recogniser:
    """Joins the models of recognition. Holds no state between calls."""

    def __init__(self, eye: Eye, attributes: AttributeModel, reader: Reader) -> None:
        self._eye, self._attributes, self._reader = eye, attributes, reader

    @classmethod
    def load(
        cls,
        device: str = "cpu",
        product: Source | Place | None = None,
        attributes: Source | Place | None = None,
        reader: Reader | None = None,
    ) -> "Recogniser":
        """The bundled weights where none are named; without a reader no text is read. Raise `WeightsError`."""
        eye = ProductModel.load(device, product)
        return cls(eye, AttributeModel.load(attributes, product=eye.version), reader or NoReader())

    @property
    def embedding(self) -> str:
        """What made the embeddings: only those of one name and version can be compared."""
        return f"{self._attributes.name} {self._attributes.version}"

    def recognise(self, pictures: Sequence[Picture], sights: Sequence[Sight] | None = None) -> list[Recognition]:
        """One recognition per picture, in order. `sights` spares a second look where the eye has seen them already."""
        seen = self._eye.see(pictures) if sights is None else sights
        told = self._attributes.tell(seen)
        return [self._one(*each) for each in zip(pictures, seen, told, strict=True)]

    def _one(self, picture: Picture, sight: Sight, told: Told) -> Recognition:
        reading = self._reader.read(picture)
        inside = {line: share_inside(line, sight.mask) for line in reading.lines}
        reader = f"{self._reader.name} {self._reader.version}"
        text = [
            Evidence(fact="text", value=line.text, confidence=line.confidence, source=reader)
            for line, share in inside.items()
            if share >= _ON_PRODUCT
        ]
        facts = Facts(
            category=_likeliest("category", self._eye.classes, sight.classes, f"{self._eye.name} {self._eye.version}"),
            pattern=_likeliest("pattern", self._attributes.patterns, told.patterns, self.embedding),
            colours=colour_facts(picture, sight.mask),
            text=tuple(text),
        )
        beside = [line for line, share in inside.items() if share < _ON_PRODUCT and legible(line)]
        return Recognition(
            facts=facts, reading=reading, beside=tuple(line.text for line in beside), embedding=told.embedding
        )


def colour_facts(picture: Picture, mask: Mask) -> tuple[ColourFact, ...]:
    """The main colours, each with its evidence."""
    return tuple(
        ColourFact(
            colour=colour,
            evidence=Evidence(fact="colour", value=colour.name.en, confidence=colour.confidence, source=PALETTE),
        )
        for colour in main_colours(picture, mask)
    )


def _likeliest(fact: str, names: Sequence[str], probabilities: NDArray[np.float32], source: str) -> Evidence:
    best = int(probabilities.argmax())
    return Evidence(fact=fact, value=names[best], confidence=round(float(probabilities[best]), 4), source=source)
