"""What the heads of attributes learn: patterns from drawn cloth, and to know a product again in a changed copy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.nets.attributes import ATTRIBUTE_NET, AttributeNet, AttributeNetConfig
from models.nets.product import PRODUCT_NET
from models.pictures import Picture
from models.product import restored
from models.registry.checkpoint import load_weights
from models.training.attribute_examples import KINDS, Maker, Seen, labels_of, own_kinds, planned
from models.training.loop import Group, Plan
from models.training.photos import Disturbance, load_photos


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributesRecipe:
    """A run of the attribute heads."""

    version: str = "1.0"
    #: Folder or file of the product net's weights; None: the bundled ones.
    product: str | None = None
    stored: int = 400
    #: Changed copies of each photo, and garments in drawn cloth, to learn from and to validate on.
    copies: int = 2
    drawn: int = 5400
    drawn_validation: int = 450
    change: Disturbance = field(
        default_factory=lambda: Disturbance(zoom=(0.85, 1.5), background=0.4, cast=0.15, exposure=0.4, jpeg=0.4)
    )
    embedding: int = 128
    dropout: float = 0.3
    #: Per step: photos of which two copies are held together, and garments whose pattern is learnt.
    pairs: int = 192
    patterns: int = 256
    #: Share of plain cloth among them, and how much more often a pattern told by a person is shown.
    plain: float = 0.25
    labelled: int = 4
    temperature: float = 0.07
    smoothing: float = 0.05
    plan: Plan = field(
        default_factory=lambda: Plan(
            steps=600,
            learning_rate=1e-3,
            warmup_steps=50,
            weight_decay=0.1,
            average=0.99,
            save_every=100,
            validate_every=200,
        )
    )

    @property
    def name(self) -> str:
        """Of the recipe and of the weights it makes."""
        return "attributes"

    @property
    def architecture(self) -> str:
        """Which net the weights belong to."""
        return ATTRIBUTE_NET

    def task(self, data: Path | None, cache: Path) -> "AttributesTask":
        """Needs the weights of the product net: these heads read what it sees."""
        weights = load_weights("product", PRODUCT_NET, self.product)
        net, side = restored(weights).eval(), int(weights.entry.config["side"])
        train, validation = (load_photos(data, split, self.stored, cache) for split in ("train", "validation"))
        seen, makers = [], []
        told = labels_of(data, "train") if data else np.empty(0, np.int64)
        nothing = np.full(len(validation.classes), -1)
        for photos, labels, drawn, seed in (
            (train, told, self.drawn, 0),
            (validation, nothing, self.drawn_validation, 1),
        ):
            maker = Maker(
                photos=photos,
                net=net,
                side=side,
                change=self.change,
                seed=self.plan.seed + seed,
                cache=cache,
                version=weights.entry.version,
            )
            own, ground = own_kinds(photos, labels)
            seen.append(maker.seen(planned(ground, self.copies, drawn, maker.seed), own, labels))
            makers.append(maker)
        return AttributesTask(self, seen[0], seen[1], makers[1], weights.entry.version)

    def card(self) -> Mapping[str, str]:
        """Sections of the model card."""
        return {
            "what": "Small heads on what the trunk of the product net saw, pooled over the product: the pattern of the "
            f"cloth ({', '.join(KINDS)}) and an embedding of {self.embedding} values that knows a product again. "
            "They belong to one version of the product net, which their configuration names.",
            "data": "CC0 photos of clothes (Alexey Grigorev and contributors), without labels of patterns. These are "
            "drawn by code (`models/training/patterns.py`) and laid on photographed garments whose cloth is quiet, "
            "with their shading; plain photos are those whose cloth measures as quiet. 352 training photos, 227 of "
            "them plain, were labelled by eye (`models/training/patterns.json`): without these, restless plain cloth "
            "such as washed denim was taken for patterns. The embedding learns from changed copies: crop, light, "
            "colour cast, noise, JPEG, another background.",
            "licence": "Apache-2.0, as the code.",
            "limits": "Patterns finer than about two pixels at a side of 320 px are not seen. What the generator does "
            "not draw (lace, embroidery, tie-dye, sequins) is called plain or print. Dots occur in drawn cloth only: "
            "no validation photo has them. An embedding of one photo cannot tell two plain garments of one cut and "
            "colour apart.",
            "use": "Facts for catalog texts, with a confidence below which nothing is said; near-duplicates and alike "
            "products for a person to look at.",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributesBatch:
    """Pooled features [P, D] of garments and their patterns int64 [P]; two copies [B, D] each of the same photos."""

    cloth: Tensor
    patterns: Tensor
    first: Tensor
    second: Tensor


class AttributesTask:
    """Trains the heads on what the trunk saw."""

    def __init__(self, recipe: AttributesRecipe, train: Seen, validation: Seen, maker: Maker, product: str) -> None:
        self.recipe, self.train, self.validation, self._maker, self._product = recipe, train, validation, maker, product
        torch.manual_seed(recipe.plan.seed)
        self._config = AttributeNetConfig(
            pooled=train.pooled.shape[1],
            patterns=len(KINDS),
            embedding=recipe.embedding,
            dropout=recipe.dropout,
        )
        self.net: AttributeNet = AttributeNet(self._config)
        self.net.standardise(torch.from_numpy(train.pooled.astype(np.float32)))
        self._cloth = [_places(train, kind, recipe.labelled) for kind in range(len(KINDS))]
        self._copies = _by_photo(train)

    def config(self) -> Mapping[str, Any]:
        """The net's configuration, the names of the patterns, and the product net that the heads belong to."""
        config = self._config
        return {
            "patterns": list(KINDS),
            "pooled": config.pooled,
            "embedding": config.embedding,
            "product": self._product,
        }

    def groups(self) -> Sequence[Group]:
        """Biases do not decay."""
        parameters = list(self.net.parameters())
        return [
            Group(parameters=[p for p in parameters if p.ndim > 1]),
            Group(parameters=[p for p in parameters if p.ndim <= 1], decay=False),
        ]

    def batch(self, step: int) -> AttributesBatch:
        """Plain cloth in its share, all other patterns in equal ones; pairs of copies."""
        draw = np.random.default_rng((self.recipe.plan.seed, 6, step))
        known = [place for place, rows in enumerate(self._cloth) if rows.size]
        plain = draw.random(self.recipe.patterns) < self.recipe.plain
        kinds = np.where(plain & (known[0] == 0), 0, draw.choice(known[1:] or known, self.recipe.patterns))
        cloth = np.array([draw.choice(self._cloth[kind]) for kind in kinds])
        chosen = draw.permutation(len(self._copies))[: self.recipe.pairs]
        pairs = np.array([draw.permutation(self._copies[place])[:2] for place in chosen])
        return AttributesBatch(
            cloth=self._tensor(cloth),
            patterns=torch.from_numpy(kinds.astype(np.int64)),
            first=self._tensor(pairs[:, 0]),
            second=self._tensor(pairs[:, 1]),
        )

    def _tensor(self, rows: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(self.train.pooled[rows].astype(np.float32))

    def loss(self, batch: AttributesBatch, device: torch.device) -> Mapping[str, Tensor]:
        """Cross entropy of patterns; of pairs, each must find its other half among all (van den Oord et al., 2018)."""
        found = self.net(batch.cloth.to(device)).patterns
        first, second = (self.net(part.to(device)).embedding for part in (batch.first, batch.second))
        alike = first @ second.T / self.recipe.temperature
        own = torch.arange(len(alike), device=device)
        return {
            "pattern": functional.cross_entropy(
                found, batch.patterns.to(device), label_smoothing=self.recipe.smoothing
            ),
            "pairs": 0.5 * (functional.cross_entropy(alike, own) + functional.cross_entropy(alike.T, own)),
        }

    @torch.inference_mode()
    def validate(self, net: nn.Module, device: torch.device) -> Mapping[str, float]:
        """Accuracy on drawn cloth, and how often a changed copy finds its photo first among all."""
        seen = self.validation
        told = net(torch.from_numpy(seen.pooled.astype(np.float32)).to(device))
        right = told.patterns.argmax(1).cpu().numpy() == seen.kinds
        embedding = told.embedding.cpu().numpy()
        copies = np.array(_by_photo(seen))
        gallery = embedding[copies[:, 0]]
        nearest = (embedding[copies[:, 1:]] @ gallery.T).argmax(-1)
        return {
            "pattern_accuracy": float(right[seen.drawn].mean()),
            "recall_at_1": float((nearest == np.arange(len(copies))[:, None]).mean()),
            "n": float(seen.drawn.sum()),
        }

    @torch.inference_mode()
    def samples(self, net: nn.Module, device: torch.device) -> Picture:
        """Validation photos with the pattern that is found in them."""
        pictures = self._maker.photos.pictures
        rows = np.linspace(0, len(pictures) - 1, 24).astype(int)
        chosen = [np.asarray(pictures[row]) for row in rows]
        found = net(self._maker.look(chosen).to(device)).patterns.argmax(1).cpu().tolist()
        tiles = [_captioned(picture, KINDS[kind]) for picture, kind in zip(chosen, found, strict=True)]
        return np.vstack([np.hstack(tiles[first : first + 8]) for first in range(0, 24, 8)])


def _captioned(picture: Picture, text: str) -> Picture:
    small = np.asarray(cv2.resize(picture, (160, 200), interpolation=cv2.INTER_AREA), np.uint8)
    cv2.rectangle(small, (0, 0), (160, 16), (255, 255, 255), -1)
    cv2.putText(small, text, (3, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    return small


def _places(seen: Seen, kind: int, often: int) -> NDArray[np.int64]:
    """Examples of a kind; those told by a person so many times."""
    places = np.flatnonzero(seen.kinds == kind)
    return np.concatenate([places, np.repeat(places[seen.labelled[places]], often - 1)])


def _by_photo(seen: Seen) -> list[NDArray[np.int64]]:
    """Places of each photo and its copies that keep their own cloth, the unchanged one first."""
    own = np.flatnonzero(~seen.drawn)
    order = own[np.argsort(seen.rows[own], kind="stable")]
    return np.split(order, np.flatnonzero(np.diff(seen.rows[order])) + 1)
