"""How good a photo is, seen without knowing how it should look. Pictures are `uint8 [H, W, 3]` sRGB of any size."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from models.compute.batches import in_batches
from models.nets.quality import QUALITY_NET, Felt, QualityNet, QualityNetConfig
from models.pictures import Mask, Picture
from models.quality.crops import crop, crop_places
from models.registry.checkpoint import Weights, load_weights
from models.registry.sources import Place, Source, WeightsError

#: Pictures that go through the net together on a GPU.
_AT_ONCE = 64
#: What is shorter or narrower, in px, or has less than so many levels of contrast in its crops, tells nothing.
_SHORTEST, _LEAST_CONTRAST = 32, 1.0
#: A longer photo is looked at as the pictures that are made of it: what is soft at 12 megapixels may be sharp there.
_LONGEST = 1_100
#: The type of what cannot be judged.
NOTHING = "nothing to see"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What the net makes of one picture. All figures lie in 0..1."""

    #: Higher is better: 1 less the strength of the damage that it looks like, of whatever kind.
    score: float
    #: How strong the damage of the named type is: 0.2 is just visible side by side, 1 unusable.
    severity: float
    #: The most probable kind of damage; the first type of the weights means none.
    type: str
    probability: float
    #: 1 for a photo, 0 for what was composed or drawn.
    realism: float
    #: False for a picture that is tiny or of one colour: it counts as the worst there is.
    judged: bool


_UNJUDGED = Judgement(score=0.0, severity=1.0, type=NOTHING, probability=1.0, realism=0.0, judged=False)


class QualityModel:
    """The quality net with its weights on a device. Holds no state between calls; safe to share between threads."""

    def __init__(
        self,
        net: QualityNet,
        *,
        name: str,
        version: str,
        types: Sequence[str],
        view: "View",
        device: torch.device,
        fixed_batch: int | None = None,
    ) -> None:
        self.name = name
        #: Changes whenever the weights do.
        self.version = version
        #: The first one means no damage.
        self.types = tuple(types)
        self._view = view
        self._device = device
        self._fixed_batch = fixed_batch
        self._net: QualityNet = net.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    @classmethod
    def load(
        cls, device: str = "cpu", source: Place | Source | None = None, fixed_batch: int | None = None
    ) -> "QualityModel":
        """Load weights onto a torch device; the bundled ones where `source` is None. Raise `WeightsError`.

        On the CPU a judgement does not depend on what it is computed with; on a GPU that takes `fixed_batch`, which
        fills every batch up to that many pictures.
        """
        found = load_weights("quality", QUALITY_NET, source)
        net, view = restored(found)
        return cls(
            net,
            name=found.name,
            version=found.entry.version,
            types=found.entry.config["types"],
            view=view,
            device=torch.device(device),
            fixed_batch=fixed_batch,
        )

    def judge(self, pictures: Sequence[Picture], masks: Sequence[Mask | None] | None = None) -> list[Judgement]:
        """One judgement per picture, in order.

        A mask `[H, W]` of the product draws the crops to it. Raise `ValueError` for anything that is not
        uint8 [H, W, 3], and for masks of another number or size.
        """
        given = [None] * len(pictures) if masks is None else list(masks)
        _check(pictures, given)
        views = [self._view.of(*each) for each in zip(pictures, given, strict=True)]
        seen = [view for view in views if view is not None]
        judged = in_batches(seen, self._judge, device=self._device, most=_AT_ONCE, fixed=self._fixed_batch)
        judgements = iter(judged)
        return [_UNJUDGED if view is None else next(judgements) for view in views]

    @torch.inference_mode()
    def _judge(self, views: Sequence["Viewed"]) -> list[Judgement]:
        crops, sketches = batch_of(views)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._device.type == "cuda"):
            felt: Felt = self._net(crops.to(self._device), sketches.to(self._device))
        score, severity, realism = (
            logits.float().sigmoid().cpu().numpy().round(4) for logits in (felt.score, felt.severity, felt.realism)
        )
        types = felt.types.float().softmax(1).cpu().numpy().round(4)
        return [
            Judgement(
                score=float(score[place]),
                severity=float(severity[place]),
                type=self.types[int(types[place].argmax())],
                probability=float(types[place].max()),
                realism=float(realism[place]),
                judged=True,
            )
            for place in range(len(views))
        ]


@dataclass(frozen=True, slots=True, eq=False)
class Viewed:
    """What the net gets of a picture: crops uint8 [K, S, S, 3], sketch uint8 [G, G, 3]."""

    crops: Picture
    sketch: Picture


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How a picture is looked at."""

    #: Side and number of the crops, in px of the picture; side of the sketch.
    side: int = 128
    crops: int = 3
    sketch: int = 64

    def of(self, picture: Picture, mask: Mask | None = None) -> Viewed | None:
        """None where there is nothing to see."""
        picture, mask = _reduced(picture, mask)
        if min(picture.shape[:2]) < _SHORTEST:
            return None
        viewed = self.at(picture, crop_places(picture, mask, self.side, self.crops))
        return viewed if viewed.crops.std((1, 2)).max() >= _LEAST_CONTRAST else None

    def at(self, picture: Picture, places: Sequence[tuple[int, int]]) -> Viewed:
        """With crops at these places."""
        crops = np.stack([crop(picture, place, self.side) for place in places])
        sketch = cv2.resize(picture, (self.sketch, self.sketch), interpolation=cv2.INTER_AREA)
        return Viewed(crops, np.asarray(sketch, np.uint8))


def _reduced(picture: Picture, mask: Mask | None) -> tuple[Picture, Mask | None]:
    height, width = picture.shape[:2]
    if max(height, width) <= _LONGEST:
        return picture, mask
    share = _LONGEST / max(height, width)
    size = (max(1, round(width * share)), max(1, round(height * share)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    smaller = None if mask is None else cv2.resize(mask, size, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), None if smaller is None else np.asarray(smaller, np.float32)


def batch_of(views: Sequence[Viewed]) -> tuple[torch.Tensor, torch.Tensor]:
    """The net's inputs: float32 [B, K, 3, S, S] and [B, 3, G, G] in 0..1, channels last in memory."""
    crops = torch.from_numpy(np.stack([view.crops for view in views]))
    sketches = torch.from_numpy(np.stack([view.sketch for view in views]))
    return crops.permute(0, 1, 4, 2, 3).float() / 255, sketches.permute(0, 3, 1, 2).float() / 255


def restored(weights: Weights) -> tuple[QualityNet, View]:
    """The net that the weights belong to, and how it looks at pictures; raise `WeightsError` where they do not fit."""
    config = dict(weights.entry.config)
    try:
        types, view = config.pop("types"), View(**config.pop("view"))
        net = QualityNet(QualityNetConfig(types=len(types), **config))
        net.load_state_dict(weights.tensors)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{weights.entry.file} does not fit its architecture: {error}") from error
    return net, view


def _check(pictures: Sequence[Picture], masks: Sequence[Mask | None]) -> None:
    if len(pictures) != len(masks):
        raise ValueError(f"{len(pictures)} pictures but {len(masks)} masks")
    for picture, mask in zip(pictures, masks, strict=True):
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or picture.size == 0:
            raise ValueError(f"a picture must be uint8 [H, W, 3], not {picture.dtype} {list(picture.shape)}")
        if mask is not None and mask.shape != picture.shape[:2]:
            raise ValueError(f"a mask {list(mask.shape)} does not fit a picture {list(picture.shape)}")
