"""Pattern of the cloth, and an embedding by which a product is known again, from what the product net saw."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from models.compute.batches import in_batches
from models.nets.attributes import ATTRIBUTE_NET, AttributeNet, AttributeNetConfig
from models.registry.checkpoint import fitted, load_weights
from models.registry.manifest import WeightsError
from models.registry.sources import Place, Source


class HasFeatures(Protocol):
    """What these heads read, such as `models.product.Sight`."""

    @property
    def features(self) -> NDArray[np.float32]:
        """`float32 [D]`."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """What the heads tell of one picture."""

    #: Probability of each pattern of the weights, in their order: `float32 [K]`, sums to 1.
    patterns: NDArray[np.float32]
    #: `float32 [E]`, of length 1.
    embedding: NDArray[np.float32]


class AttributeModel:
    """The attribute heads with their weights, on the CPU: they take a millisecond. Holds no state between calls."""

    def __init__(self, net: AttributeNet, *, name: str, version: str, patterns: Sequence[str], product: str) -> None:
        self.name = name
        #: Changes whenever the weights do.
        self.version = version
        self.patterns = tuple(patterns)
        #: Version of the product net whose features these heads learnt to read.
        self.product = product
        self._net = net.eval()

    @classmethod
    def load(cls, weights: Source | Place | None = None, *, product: str | None = None) -> "AttributeModel":
        """The bundled weights where `weights` is None. Raise `WeightsError`, also where they belong to another version
        of the product net than `product`.
        """
        found = load_weights("attributes", ATTRIBUTE_NET, weights)
        model = cls(
            fitted(found, lambda: _made(found.entry.config)),
            name=found.name,
            version=found.entry.version,
            patterns=found.entry.config["patterns"],
            product=str(found.entry.config.get("product")),
        )
        if product is not None and product != model.product:
            raise WeightsError(
                f"{found.entry.file} reads what product net {model.product} sees, not what {product} does: train it "
                "again with `python -m models.training attributes`"
            )
        return model

    @torch.inference_mode()
    def tell(self, sights: Sequence[HasFeatures]) -> list[Told]:
        """One `Told` per sight, in order; it does not depend on the other sights."""
        return in_batches(sights, self._tell, device=torch.device("cpu"), most=1)

    def _tell(self, sights: Sequence[HasFeatures]) -> list[Told]:
        told = self._net(torch.from_numpy(np.stack([sight.features for sight in sights])))
        patterns, embeddings = told.patterns.softmax(1).numpy(), told.embedding.numpy()
        return [Told(pattern, embedding) for pattern, embedding in zip(patterns, embeddings, strict=True)]


def _made(config: Mapping[str, Any]) -> AttributeNet:
    sizes = {key: int(config[key]) for key in ("pooled", "embedding")}
    return AttributeNet(AttributeNetConfig(patterns=len(config["patterns"]), **sizes))
