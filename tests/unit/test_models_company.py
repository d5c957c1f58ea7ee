"""What a net gives for a picture does not depend on the pictures that it is computed with, to the last bit."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.compute.batches import in_batches
from models.cutout.learned import LearnedCutout
from models.nets.attributes import AttributeNet, AttributeNetConfig
from models.nets.inpainting import InpaintingNet, InpaintingNetConfig
from models.nets.product import ProductNet, ProductNetConfig
from models.nets.quality import QualityNet, QualityNetConfig
from models.nets.restoration import RestorationNet, RestorationNetConfig
from models.nets.stains import StainNet, StainNetConfig
from models.nets.style import StyleNet, StyleNetConfig
from models.pictures import Picture
from models.product import ProductModel
from models.quality.judge import QualityModel, View
from models.recognition.attributes import AttributeModel
from models.repair.inpainting import Inpainter
from models.repair.restoration import Restorer
from models.repair.stains import StainDetector
from models.styles.transfer import StyleTransfer
from tests.support.model_data import cloth

CPU = torch.device("cpu")
CUDA = torch.device("cuda")
SIDE = 96
ALL = np.ones((SIDE, SIDE), np.float32)
#: Whatever a net says of each picture.
Work = Callable[[Sequence[Picture]], Sequence[Sequence[object]]]


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.manual_seed(3)
    yield
    torch.set_num_threads(before)


def eye() -> ProductModel:
    net = ProductNet(ProductNetConfig(classes=3, trunk="lite0"))
    return ProductModel(net, name="net", version="1", classes=("cap", "shirt", "shoe"), side=SIDE, device=CPU)


def product() -> Work:
    model = eye()
    return lambda pictures: [(one.mask, one.classes, one.features) for one in model.see(pictures)]


def cutout() -> Work:
    backend = LearnedCutout(eye())
    return lambda pictures: [(one.alpha, one.confidence) for one in backend.cut(pictures)]


def attributes() -> Work:
    model = eye()
    net = AttributeNet(AttributeNetConfig(patterns=4, pooled=model.see([cloth(1, SIDE, SIDE)])[0].features.size))
    heads = AttributeModel(net, name="net", version="1", patterns=list("abcd"), product="1")
    return lambda pictures: [(one.patterns, one.embedding) for one in heads.tell(model.see(pictures))]


def quality() -> Work:
    net = QualityNet(QualityNetConfig(types=3))
    model = QualityModel(net, name="net", version="1", types=list("abc"), view=View(side=48), device=CPU)
    return lambda pictures: [(one,) for one in model.judge(pictures)]


def restoration() -> Work:
    net = RestorationNet(RestorationNetConfig())
    torch.nn.init.normal_(net.body.head.weight, std=0.3)
    net.innocent.fill_(-9)
    model = Restorer(net, name="net", version="1", device=CPU)
    return lambda pictures: [
        (one.pixels, one.strength, *one.severity.values()) for one in model.restore(pictures, strength=0.7)
    ]


def stains() -> Work:
    net = StainNet(StainNetConfig())
    torch.nn.init.normal_(net.body.head.weight, std=0.3)
    net.innocent.fill_(-9)
    model = StainDetector(net, name="net", version="1", device=CPU)
    return lambda pictures: [(one.mask, one.score) for one in model.find(pictures, [ALL] * len(pictures))]


def inpainting() -> Work:
    net = InpaintingNet(InpaintingNetConfig())
    torch.nn.init.normal_(net.body.head.weight, std=0.3)
    model = Inpainter(net, name="net", version="1", device=CPU)
    hole = np.zeros((SIDE, SIDE), np.float32)
    hole[40:60, 30:50] = 1
    return lambda pictures: [(one,) for one in model.fill(pictures, [hole] * len(pictures))]


def style() -> Work:
    net = StyleNet(StyleNetConfig(styles=1))
    torch.nn.init.normal_(net.head.weight, std=0.3)
    model = StyleTransfer(net, name="net", version="1", styles=["oil"], device=CPU)
    return lambda pictures: [(one,) for one in model.apply(pictures, ["oil"] * len(pictures))]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("make", [product, cutout, attributes, quality, restoration, stains, inpainting, style])
def test_company_and_place_change_nothing(make: Callable[[], Work], threads: int) -> None:
    torch.set_num_threads(threads)
    work = make()
    pictures = [cloth(seed, SIDE, SIDE) for seed in range(4)]
    alone = [work([picture])[0] for picture in pictures]
    for company in ([0, 1, 2, 3], [3, 1, 0]):
        together = work([pictures[one] for one in company])
        for one, found in zip(company, together, strict=True):
            assert all(map(_same, found, alone[one])), f"{one} of {company}"
    assert not all(map(_same, alone[0], alone[1]))


def _same(one: object, other: object) -> bool:
    if isinstance(one, np.ndarray):
        two: NDArray[np.generic] = np.asarray(other)
        return one.dtype == two.dtype and np.array_equal(one, two)
    return one == other


@given(
    items=st.lists(st.integers(), max_size=12),
    most=st.integers(0, 5),
    fixed=st.none() | st.integers(1, 5),
    device=st.sampled_from([CPU, CUDA]),
)
def test_results_are_in_order_and_batches_of_the_size_that_was_asked_for(
    items: list[int], most: int, fixed: int | None, device: torch.device
) -> None:
    sizes = []

    def negative(part: Sequence[int]) -> list[int]:
        sizes.append(len(part))
        return [-one for one in part]

    assert in_batches(items, negative, device=device, most=most, fixed=fixed) == [-one for one in items]
    room = max(1, most)
    if device == CPU:
        assert sizes == [1] * len(items)
    elif fixed:
        assert sizes == [min(room, fixed)] * -(-len(items) // min(room, fixed))
    else:
        assert sizes == [min(room, len(items) - first) for first in range(0, len(items), room)]
