"""What the quality net learns: which of two pictures of one photo was made worse, how, and by how much.

Ranking after Liu, van de Weijer and Bagdanov, "RankIQA" (ICCV 2017): the order of pictures that were made from one
photo is known without anybody's opinion. Beside it the score is held to 1 less the strength of the damage, so that
the scores of two photos can be compared. Every group of three is an untouched photo and two damaged ones, one worse
than the other; in some the worse one has a second kind of damage upon the first. Realism learns from further pictures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.nets.quality import QUALITY_NET, Felt, QualityNet, QualityNetConfig
from models.pictures import Mask, Picture
from models.quality.crops import crop_places
from models.quality.judge import View, Viewed, batch_of
from models.quality.ranks import auc, order, spearman
from models.training.composites import Composites, load_composites
from models.training.distortions import LEVELS, TRAINED
from models.training.ladders import NAMELESS, NONE, Rung, as_stored, ladder, ranking, retold
from models.training.loop import Group, Plan
from models.training.native import NativePhotos, load_native


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityRecipe:
    """A run of the quality net."""

    version: str = "1.0"
    widths: tuple[int, ...] = (32, 64, 96, 128)
    view: View = field(default_factory=View)
    #: Groups of three per step, and further pictures for realism: a half of them photos, a quarter badly cut.
    groups: int = 12
    further: int = 8
    #: Share of groups whose worst picture has two kinds of damage; share that start from a composite.
    double: float = 0.3
    composed: float = 0.12
    #: Pairs of composites that are made, for training and for validation.
    composites: int = 400
    validation_composites: int = 60
    validation_photos: int = 96
    #: Logits of score that lie between no damage and the worst.
    margin: float = 5.0
    plan: Plan = field(
        default_factory=lambda: Plan(
            steps=6_500,
            learning_rate=2e-3,
            warmup_steps=100,
            weight_decay=0.02,
            average=0.997,
            save_every=100,
            validate_every=1_300,
            clip=2.0,
        )
    )

    @property
    def name(self) -> str:
        """Of the recipe and of the weights it makes."""
        return "quality"

    @property
    def architecture(self) -> str:
        """Which net the weights belong to."""
        return QUALITY_NET

    def task(self, data: Path | None, cache: Path) -> "QualityTask":
        """Photos are decoded once into the cache, composites made once."""
        train, validation = (load_native(data, split, cache) for split in ("train", "validation"))
        return QualityTask(
            self,
            train,
            validation,
            load_composites(train, self.composites, self.plan.seed, cache),
            load_composites(validation, self.validation_composites, self.plan.seed, cache),
        )

    def card(self) -> Mapping[str, str]:
        """Sections of the model card."""
        return {
            "what": "Three crops of a photo at its own size and a sketch of the whole -> a score (0..1, higher is "
            "better, 1 less the strength of the damage), the kind of damage out of "
            f"{', '.join(TRAINED)}, its severity, and whether it is a photo or a composite.",
            "data": "Photos of clothes, made worse by code in twelve ways at any strength "
            "(models/training/distortions.py); composites of the studio, cut by good and by spoilt masks.",
            "licence": "Apache-2.0; trained from scratch.",
            "limits": "Its order was learnt from damage made by code, not from people. Photos of about 400 x 533 px "
            "count as undamaged: a larger photo that is soft pixel by pixel counts as blurred or upscaled, however "
            "good it looks when it is shown small. What a photo should look like is unknown to it: a dark room may be "
            "meant, a coloured lamp too. Three crops may miss damage that lies in one place. Realism says whether a "
            "picture looks like those that this studio composes and no more.",
            "use": "Photos as they come, before they are placed; the quality filter sends poor ones to a person.",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityBatch:
    """Crops float32 [B, K, 3, S, S], sketches [B, 3, G, G]; the first 3 * groups pictures are groups of three from best
    to worst, whose damage is float32 [groups * 3], type int64 and whether severity counts bool of the same length; the
    others have a wanted realism, float32 [further].
    """

    crops: Tensor
    sketches: Tensor
    damage: Tensor
    types: Tensor
    realism: Tensor


class QualityTask:
    """Trains score, severity, type and realism together."""

    def __init__(
        self,
        recipe: QualityRecipe,
        train: NativePhotos,
        validation: NativePhotos,
        composites: Composites,
        validation_composites: Composites,
    ) -> None:
        self.recipe, self.train, self.validation = recipe, train, validation
        self.composites, self.validation_composites = composites, validation_composites
        torch.manual_seed(recipe.plan.seed)
        self.net: QualityNet = QualityNet(QualityNetConfig(types=1 + len(TRAINED), widths=recipe.widths))

    def config(self) -> Mapping[str, Any]:
        """The net's configuration, the names of its types, and how it looks at pictures."""
        view = self.recipe.view
        return {
            "types": [NONE, *TRAINED],
            "widths": list(self.recipe.widths),
            "view": {"side": view.side, "crops": view.crops, "sketch": view.sketch},
        }

    def groups(self) -> Sequence[Group]:
        """Norms and biases do not decay."""
        parameters = list(self.net.parameters())
        return [
            Group(parameters=[p for p in parameters if p.ndim > 1]),
            Group(parameters=[p for p in parameters if p.ndim <= 1], decay=False),
        ]

    def batch(self, step: int) -> QualityBatch:
        """Each photo once per epoch, in an order and with damage that depend on seed and step alone."""
        recipe, count = self.recipe, len(self.train)
        made: list[Rung] = []
        for number in range(step * recipe.groups, (step + 1) * recipe.groups):
            epoch, turn = divmod(number, count)
            order_of_epoch = np.random.default_rng((recipe.plan.seed, 1, epoch)).permutation(count)
            draw = np.random.default_rng((recipe.plan.seed, 2, number))
            picture, mask = self._start(int(order_of_epoch[turn]), draw)
            made += ladder(*as_stored(picture, mask, draw), recipe.view, recipe.double, draw)
        draw = np.random.default_rng((recipe.plan.seed, 3, step))
        further = [self._further(place, draw) for place in range(recipe.further)]
        crops, sketches = batch_of([*(one.view for one in made), *(view for view, _ in further)])
        return QualityBatch(
            crops=crops,
            sketches=sketches,
            damage=torch.tensor([one.damage for one in made], dtype=torch.float32),
            types=torch.tensor([one.type for one in made]),
            realism=torch.tensor([wanted for _, wanted in further], dtype=torch.float32),
        )

    def _start(self, row: int, draw: np.random.Generator) -> tuple[Picture, Mask | None]:
        """An undamaged picture: a photo, or now and then a composite, turned at random."""
        if len(self.composites) and draw.random() < self.recipe.composed:
            picture, mask = self.composites.picture(int(draw.integers(len(self.composites))), bad=False)
        else:
            picture = np.asarray(self.train.photo(row))
            mask = self.train.mask(row).astype(np.float32) / np.float32(255)
        if draw.random() < 0.5:
            picture, mask = picture[:, ::-1], mask[:, ::-1]
        if draw.random() < 0.25:
            picture, mask = picture.swapaxes(0, 1), mask.T
        # Sometimes without its mask, so that crops lie elsewhere too.
        return np.ascontiguousarray(picture), np.ascontiguousarray(mask) if draw.random() < 0.6 else None

    def _further(self, place: int, draw: np.random.Generator) -> tuple[Viewed, float]:
        """A picture for realism and what is wanted: 1 for a photo, 0.5 for a composite, 0 for a badly cut one."""
        if place % 2 or not len(self.composites):
            row = int(draw.integers(len(self.train)))
            mask = self.train.mask(row).astype(np.float32) / np.float32(255)
            return retold(np.ascontiguousarray(self.train.photo(row)), mask, self.recipe.view, draw, photo=True), 1.0
        bad = place % 4 == 0
        picture, mask = self.composites.picture(int(draw.integers(len(self.composites))), bad=bad)
        return retold(picture, mask, self.recipe.view, draw, photo=False), 0.0 if bad else 0.5

    def loss(self, batch: QualityBatch, device: torch.device) -> Mapping[str, Tensor]:
        """Order within groups, score, severity, type, and realism of the further pictures."""
        count = len(batch.damage)
        damage, types = batch.damage.to(device), batch.types.to(device)
        with torch.autocast(device.type, torch.bfloat16):
            felt: Felt = self.net(batch.crops.to(device), batch.sketches.to(device))
        score, severity, realism = felt.score.float(), felt.severity.float(), felt.realism.float()
        named = (types != NAMELESS).float()
        apart = functional.smooth_l1_loss(severity[:count].sigmoid(), damage, reduction="none", beta=0.1)
        return {
            "order": ranking(score[:count], damage, self.recipe.margin),
            "score": functional.binary_cross_entropy_with_logits(score[:count], 0.97 - 0.94 * damage),
            "severity": 2 * (apart * named).sum() / named.sum(),
            "type": 0.4 * functional.cross_entropy(felt.types[:count].float(), types, label_smoothing=0.05),
            "realism": 0.4 * functional.binary_cross_entropy_with_logits(realism[count:], batch.realism.to(device)),
        }

    @torch.inference_mode()
    def validate(self, net: nn.Module, device: torch.device) -> Mapping[str, float]:
        """Order and severity on photos that are not learnt from, each damaged in one of the trained ways; realism."""
        names, recipe = list(TRAINED), self.recipe
        rows = np.linspace(0, len(self.validation) - 1, min(recipe.validation_photos, len(self.validation))).astype(int)
        pairs, severities, hits, clean = [], [], [], []
        for turn, row in enumerate(rows):
            kind = turn % len(names)
            felt = _felt(net, [recipe.view.at(p, places) for p, places in self._levels(int(row), names[kind])], device)
            pairs.append(order(felt.score))
            severities.append(felt.severity[1:])
            hits.append(felt.types[1:].argmax(1) == 1 + kind)
            clean.append(float(felt.score[0].sigmoid()))
        return {
            "order": float(np.concatenate(pairs).mean()),
            "severity_srcc": spearman(torch.cat(severities), np.tile(LEVELS, len(rows))),
            "type_accuracy": float(torch.cat(hits).float().mean()),
            "clean_p5": float(np.quantile(clean, 0.05)),
            "clean_median": float(np.median(clean)),
            "n": len(rows),
            **self._realism(net, device),
        }

    def _levels(self, row: int, name: str) -> list[tuple[Picture, list[tuple[int, int]]]]:
        """A validation photo, then all five levels of a damage, with the places where each is looked at."""
        photo, view = np.ascontiguousarray(self.validation.photo(row)), self.recipe.view
        levels = [photo, *(TRAINED[name](photo, level, np.random.default_rng(row)) for level in LEVELS)]
        return [(level, crop_places(level, None, view.side, view.crops)) for level in levels]

    def _realism(self, net: nn.Module, device: torch.device) -> dict[str, float]:
        view, pairs = self.recipe.view, self.validation_composites
        if not len(pairs):
            return {}
        draw = np.random.default_rng(self.recipe.plan.seed)
        found: list[list[float]] = [[], [], []]
        for place in range(len(pairs)):
            row = int(draw.integers(len(self.validation)))
            mask = self.validation.mask(row).astype(np.float32) / np.float32(255)
            views = [retold(np.ascontiguousarray(self.validation.photo(row)), mask, view, draw, photo=True)]
            views += [retold(*pairs.picture(place, bad=bad), view, draw, photo=False) for bad in (False, True)]
            for kind, value in zip(found, _felt(net, views, device).realism.tolist(), strict=True):
                kind.append(value)
        photos, good, bad = found
        return {"realism_auc": auc(photos, good), "cut_auc": auc(good, bad)}

    @torch.inference_mode()
    def samples(self, net: nn.Module, device: torch.device) -> Picture:
        """One photo per kind of damage at all levels, each with its score."""
        side, lines = self.recipe.view.side, []
        rows = np.linspace(0, len(self.validation) - 1, len(TRAINED)).astype(int)
        for row, name in zip(rows, TRAINED, strict=True):
            levels = self._levels(int(row), name)
            felt = _felt(net, [self.recipe.view.at(*level) for level in levels], device)
            line = []
            for (level, _), score in zip(levels, felt.score.sigmoid().tolist(), strict=True):
                tile = self.recipe.view.at(level, levels[0][1]).crops[0].copy()
                cv2.putText(tile, f"{score:.2f}", (4, side - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 0, 0), 2)
                line.append(tile)
            lines.append(np.hstack(line))
        return np.vstack(lines)


def _felt(net: nn.Module, views: Sequence[Viewed], device: torch.device) -> Felt:
    crops, sketches = batch_of(views)
    with torch.autocast(device.type, torch.bfloat16):
        felt: Felt = net(crops.to(device), sketches.to(device))
    found = {name: getattr(felt, name).float().cpu() for name in ("score", "severity", "types", "realism")}
    return Felt(**found)
