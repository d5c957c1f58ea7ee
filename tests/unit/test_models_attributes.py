"""Attribute heads: pooling over the product, drawn cloth, and a run of the recipe's task on a few drawn garments."""

import hashlib
import json
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from models.nets.attributes import AttributeNet, AttributeNetConfig, pool, pooled_size
from models.nets.product import PRODUCT_NET, ProductNet, ProductNetConfig
from models.nets.trunk import Features
from models.pictures import Mask, Picture
from models.recognition.attributes import AttributeModel
from models.registry.manifest import WeightsEntry, write_manifest
from models.training.attribute_examples import KINDS, Example, Maker, Seen, labels_of, made, own_kinds, planned, unrest
from models.training.attributes import AttributesRecipe, AttributesTask
from models.training.loop import Plan, start, train
from models.training.patterns import PAINTERS, colours, laid
from models.training.photos import Disturbance, Photos

SIDE = 96


def garment(colour: tuple[int, int, int] = (120, 130, 150)) -> tuple[Picture, Mask]:
    """A plain folded cloth on a wooden floor."""
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    inside = (abs(x - SIDE / 2) < 30) & (abs(y - SIDE / 2) < 38)
    picture = np.full((SIDE, SIDE, 3), (150, 110, 70), np.float64)
    picture[inside] = ((1 + 0.1 * np.sin(x / 7))[..., None] * np.array(colour))[inside]
    return picture.clip(0, 255).astype(np.uint8), inside.astype(np.float32)


def features(maps: torch.Tensor) -> Features:
    """A trunk's features that are all the same map [B, C, H, W]."""
    return Features(maps=(maps, maps, maps), top=maps)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_pooling_does_not_see_the_background(seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    inside = torch.full((1, 1, 32, 32), -30.0)
    inside[..., 8:24, 8:24] = 30.0
    seen = torch.randn(1, 5, 8, 8, generator=draw)
    other = seen.clone()
    other[..., :2] += 7
    assert pool(features(seen), inside).shape == (1, pooled_size((5, 5, 5), 5))
    assert torch.allclose(pool(features(seen), inside), pool(features(other), inside), atol=1e-2)
    nowhere = torch.full_like(inside, -30.0)
    assert torch.allclose(pool(features(seen), nowhere)[:, :5], seen.mean((2, 3)), atol=1e-5)


def test_the_spread_tells_stripes_from_plain() -> None:
    everywhere = torch.full((2, 1, 8, 8), 30.0)
    maps = torch.zeros(2, 1, 8, 8)
    maps[1, ..., ::2], maps[1, ..., 1::2] = 1, -1
    mean, spread = pool(features(maps), everywhere)[:, :2].T
    assert mean.tolist() == pytest.approx([0, 0], abs=1e-3)
    assert spread.tolist() == pytest.approx([0, 1], abs=2e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_each_cloth_keeps_to_the_garment_and_depends_on_its_seed(kind: str) -> None:
    picture, mask = garment()
    first, again, other = (laid(picture, mask, kind, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.dtype == np.uint8
    assert (first == again).all()
    assert (first != other).any()
    assert (first[mask == 0] == picture[mask == 0]).all()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in {"plain", "graphic"}])
def test_patterns_change_over_the_cloth(kind: str) -> None:
    picture, mask = garment()
    rough = [
        np.std(laid(picture, mask, kind, np.random.default_rng(seed))[mask > 0], axis=0).max() for seed in range(5)
    ]
    assert np.median(rough) > 2 * np.std(picture[mask > 0], axis=0).max()


def test_stripes_run_the_way_they_are_called() -> None:
    picture, mask = garment()
    for kind, axis in (("horizontal-stripes", 0), ("vertical-stripes", 1)):
        wins = 0
        for seed in range(9):
            cloth = laid(picture, mask, kind, np.random.default_rng(seed))[14:82, 22:74].astype(float).mean(2)
            across, along = np.abs(np.diff(cloth, axis=axis)).mean(), np.abs(np.diff(cloth, axis=1 - axis)).mean()
            wins += across > along
        assert wins >= 7


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5))
def test_colours_of_cloth_are_distinct(seed: int, count: int) -> None:
    found = colours(np.random.default_rng(seed), count)
    assert found.shape == (count, 3)
    assert found.min() >= 0
    assert found.max() <= 1
    assert len(np.unique(found.round(3), axis=0)) == count


def photos(count: int = 6) -> Photos:
    tones = [(120, 130, 150), (200, 60, 60), (40, 40, 46), (230, 228, 220), (60, 120, 70), (90, 60, 130)]
    pairs = [garment(tones[place % len(tones)]) for place in range(count)]
    return Photos(
        pictures=np.stack([picture for picture, _ in pairs]),
        masks=np.stack([(mask * 255).astype(np.uint8) for _, mask in pairs]),
        trusted=np.array([True] * (count - 1) + [False]),
        classes=np.arange(count) % 2,
        names=("dress", "hat"),
    )


def test_folds_are_quieter_than_patterns() -> None:
    picture, mask = garment()
    levels = (mask * 255).astype(np.uint8)
    plain = unrest(picture, levels)
    checked = unrest(laid(picture, mask, "check", np.random.default_rng(3)), levels)
    assert max(plain) < max(checked)
    assert unrest(picture, np.zeros_like(levels)) == (99.0, 99.0, 99.0)


def test_patterns_are_drawn_on_trusted_quiet_cloth_alone_and_each_kind_as_often() -> None:
    few = photos()
    checked = laid(few.pictures[2], np.float32(few.masks[2] / 255), "check", np.random.default_rng(3))
    pictures = np.stack([*few.pictures[:2], checked, *few.pictures[3:]])
    few = Photos(pictures=pictures, masks=few.masks, trusted=few.trusted, classes=few.classes, names=few.names)
    labels = np.array([-1, KINDS.index("dots"), -1, -1, 0, -1])
    own, ground = own_kinds(few, labels)
    assert own.tolist() == [0, KINDS.index("dots"), -1, 0, 0, -1]
    assert np.flatnonzero(ground).tolist() == [0, 3, 4]
    examples = planned(ground, copies=2, drawn=27, seed=1)
    drawn = [example for example in examples if example.drawn >= 0]
    assert len(examples) == 6 * 3 + 27
    assert {example.row for example in drawn} == {0, 3, 4}
    assert np.bincount([example.drawn for example in drawn]).tolist() == [3] * len(KINDS)
    assert [(e.row, e.changed) for e in examples[:3]] == [(0, False), (0, True), (0, True)]


def test_labels_are_found_by_the_name_of_the_photo(tmp_path: Path) -> None:
    told = json.loads(files("models.training").joinpath("patterns.json").read_text("utf-8"))["labels"]
    assert set(told.values()) <= set(KINDS)
    name, kind = next(iter(told.items()))
    (tmp_path / "masks").mkdir()
    rows = [f"train/{name.replace('.jpg', '.png')},yes", "train/a/unknown.png,yes", "validation/b/other.png,yes"]
    (tmp_path / "masks" / "index.csv").write_text("\n".join(["mask,trusted", *rows]))
    assert labels_of(tmp_path, "train").tolist() == [-1, KINDS.index(kind)]


def test_an_unchanged_example_is_the_photo_and_a_changed_one_depends_on_its_seed() -> None:
    few, change = photos(), Disturbance()
    assert (made(Example(row=1), few, change, np.random.default_rng(0)) == few.pictures[1]).all()
    changed = [made(Example(row=1, changed=True), few, change, np.random.default_rng(seed)) for seed in (3, 3, 4)]
    assert (changed[0] == changed[1]).all()
    assert (changed[0] != changed[2]).any()


def maker(folder: Path) -> Maker:
    torch.manual_seed(1)
    net = ProductNet(ProductNetConfig(classes=2, trunk="lite0")).eval()
    return Maker(photos=photos(), net=net, side=64, change=Disturbance(), seed=3, cache=folder, version="1")


def test_what_was_seen_is_not_looked_at_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, labels = maker(tmp_path), np.array([3, -1, -1, -1, -1, -1])
    own, ground = own_kinds(first.photos, labels)
    examples = planned(ground, copies=1, drawn=9, seed=3)
    seen = first.seen(examples, own, labels)
    assert seen.pooled.shape[0] == len(examples) == len(seen.rows) == len(seen.kinds) == 21
    assert np.flatnonzero(seen.labelled).tolist() == [0, 1]
    assert set(seen.kinds[:2]) == {3}
    assert set(seen.kinds[seen.drawn]) == set(range(len(KINDS)))

    def refuse(*_: object) -> None:
        raise AssertionError("looked again")

    monkeypatch.setattr(Maker, "_look", refuse)
    assert (maker(tmp_path).seen(examples, own, labels).pooled == seen.pooled).all()


def separable(count: int, pooled: int = 24) -> Seen:
    """Features in which each kind has a direction of its own, and each photo another."""
    draw = np.random.default_rng(2)
    kinds = np.arange(count) % len(KINDS)
    marks, own = draw.normal(0, 3, (len(KINDS), pooled)), draw.normal(0, 3, (count // 3, pooled))
    drawn = marks[kinds] + draw.normal(0, 0.3, (count, pooled))
    rows = np.repeat(np.arange(count // 3), 3)
    copies = own[rows] + draw.normal(0, 0.3, (len(rows), pooled))
    return Seen(
        pooled=np.concatenate([copies, drawn]).astype(np.float16),
        rows=np.concatenate([rows, np.zeros(count, np.int64)]),
        kinds=np.concatenate([np.full(len(rows), -1), kinds]),
        drawn=np.arange(len(rows) + count) >= len(rows),
        labelled=np.zeros(len(rows) + count, np.bool_),
    )


def test_the_heads_learn_patterns_and_to_know_photos_again(tmp_path: Path) -> None:
    plan = Plan(steps=40, learning_rate=5e-3, warmup_steps=5, average=0.9, save_every=40, validate_every=40, seed=4)
    recipe = AttributesRecipe(plan=plan, embedding=16, pairs=16, patterns=64)
    seen = separable(90)
    task = AttributesTask(recipe, seen, seen, maker(tmp_path), "product-1")
    state = start(task, plan, torch.device("cpu"))
    list(train(task, state, plan, tmp_path / "checkpoint.pt"))
    _, figures = state.figures[-1]
    assert figures["pattern_accuracy"] > 0.9
    assert figures["recall_at_1"] > 0.9
    assert task.config()["patterns"] == list(PAINTERS)
    assert task.config()["product"] == "product-1"
    one, same = task.batch(7), task.batch(7)
    assert torch.equal(one.cloth, same.cloth)
    assert torch.equal(one.second, same.second)
    assert set(recipe.card()) == {"what", "data", "licence", "limits", "use"}


class Sight:
    def __init__(self, seed: int) -> None:
        self.features = np.random.default_rng(seed).normal(0, 1, 6).astype(np.float32)


def test_told_is_a_probability_and_a_unit_vector_whatever_the_company() -> None:
    net = AttributeNet(AttributeNetConfig(pooled=6, patterns=3, embedding=5))
    model = AttributeModel(net, name="attributes", version="1", patterns=("a", "b", "c"), product="p")
    told = model.tell([Sight(1), Sight(2)])
    assert model.tell([]) == []
    for one, alone in zip(told, [*model.tell([Sight(1)]), *model.tell([Sight(2)])], strict=True):
        assert one.patterns.sum() == pytest.approx(1)
        assert np.linalg.norm(one.embedding) == pytest.approx(1)
        assert one.embedding == pytest.approx(alone.embedding, abs=1e-5)


def write_photos(folder: Path) -> None:
    """Three photos with masks in each split, listed as trusted."""
    few = photos(3)
    lines = ["mask,trusted"]
    for split in ("train", "validation"):
        for place, (picture, mask) in enumerate(zip(few.pictures, few.masks, strict=True)):
            name = f"{split}/{few.names[place % 2]}/{place}"
            for kind, pixels in ((f"photos/{name}.jpg", picture[..., ::-1]), (f"masks/{name}.png", mask)):
                (folder / kind).parent.mkdir(parents=True, exist_ok=True)
                assert cv2.imwrite(str(folder / kind), pixels)
            lines.append(f"{name}.png,yes")
    (folder / "masks" / "index.csv").write_text("\n".join(lines))


def write_product(folder: Path, side: int) -> None:
    """Weights of a product net that never learnt."""
    body = save(ProductNet(ProductNetConfig(classes=2, trunk="lite0")).state_dict())
    (folder / "product.safetensors").write_bytes(body)
    entry = WeightsEntry(
        file="product.safetensors",
        sha256=hashlib.sha256(body).hexdigest(),
        version="1.0-test",
        architecture=PRODUCT_NET,
        config={"classes": ["dress", "hat"], "trunk": "lite0", "side": side},
        licence="Apache-2.0",
        card="product.md",
    )
    write_manifest(folder, {"product": entry})


def test_the_recipe_makes_its_task_from_photos_and_the_product_net(tmp_path: Path) -> None:
    write_photos(tmp_path)
    write_product(tmp_path, side=64)
    recipe = AttributesRecipe(product=str(tmp_path), stored=SIDE, copies=1, drawn=9, drawn_validation=9, pairs=2)
    task = recipe.task(tmp_path, tmp_path / "cache")
    assert task.config()["product"] == "1.0-test"
    assert task.config()["pooled"] == task.net.mean.numel()
    batch = task.batch(0)
    assert batch.first.shape == batch.second.shape == (2, task.net.mean.numel())
    figures = task.validate(task.net.eval(), torch.device("cpu"))
    assert figures["n"] == 9
    assert task.samples(task.net, torch.device("cpu")).shape == (600, 1280, 3)
