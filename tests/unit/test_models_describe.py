"""The command that describes photos, and the figures of recognition, with models that were never trained."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from models.evaluate import __main__ as evaluate
from models.evaluate.copies import CHANGES
from models.nets.attributes import AttributeNet, AttributeNetConfig, pooled_size
from models.nets.product import ProductNet, ProductNetConfig
from models.predict import __main__ as predict
from models.product import ProductModel
from models.recognition.attributes import AttributeModel
from models.recognition.reader import NoReader
from models.recognition.recognise import Recogniser
from models.training.patterns import PAINTERS

CLASSES = ("hat", "shirt")


@pytest.fixture(scope="module")
def product() -> ProductModel:
    torch.manual_seed(3)
    net = ProductNet(ProductNetConfig(classes=2, trunk="lite0"))
    with torch.no_grad():
        net.mask.out.bias.fill_(4.0)  # all is product
    return ProductModel(net, name="product", version="1", classes=CLASSES, side=64, device=torch.device("cpu"))


@pytest.fixture(scope="module")
def attributes(product: ProductModel) -> AttributeModel:
    net = ProductNet(ProductNetConfig(classes=2, trunk="lite0"))
    pooled = pooled_size(net.trunk.channels, net.trunk.top_channels)
    heads = AttributeNet(AttributeNetConfig(pooled=pooled, patterns=len(PAINTERS), embedding=32))
    return AttributeModel(heads, name="attributes", version="2", patterns=tuple(PAINTERS), product=product.version)


@pytest.fixture
def models(product: ProductModel, attributes: AttributeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Recogniser, "load", lambda *_: Recogniser(product, attributes, NoReader()))
    monkeypatch.setattr(ProductModel, "load", lambda **_: product)
    monkeypatch.setattr(AttributeModel, "load", lambda *_, **__: attributes)


def write(path: Path, colour: tuple[int, int, int], seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).normal(0, 12, (10, 8, 3))
    picture = np.array(colour) + cv2.resize(noise, (60, 80), interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(path), picture.clip(0, 255).astype(np.uint8)[..., ::-1])
    return path


def described(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, list[dict[str, Any]]]:
    code = predict.main(["describe", *map(str, arguments)])
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.usefixtures("models")
def test_each_photo_gets_a_line_and_the_same_photo_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    red, again = (write(tmp_path / name, (200, 30, 40), 1) for name in ("a.png", "b.png"))
    code, (first, second) = described(capsys, red, again)
    assert code == 0
    assert (first["file"], first["near_duplicates"], first["alike"]) == (str(red), [], [])
    assert second["near_duplicates"] == [str(red)]
    assert first["colours"][0]["name"] == "red"
    assert first["category"]["value"] in CLASSES
    assert first["pattern"]["value"] in PAINTERS
    assert first["text"]["state"] == "not read: not wanted"
    said = first["words"]
    assert said["en"]["title"]["text"].endswith("red")
    assert "红色" in said["zh"]["title"]["text"]
    assert said["en"]["title"]["evidence"][-1]["fact"] == "colour"


@pytest.mark.usefixtures("models")
def test_a_bad_file_costs_its_own_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    code, (bad, good, missing) = described(
        capsys, broken, write(tmp_path / "c.png", (90, 90, 200), 2), tmp_path / "none.jpg"
    )
    assert code == 1
    assert "not a readable picture" in bad["error"]
    assert good["colours"]
    assert "does not exist" in missing["error"]
    assert described(capsys, broken)[0] == 2


@pytest.mark.usefixtures("models")
def test_an_index_is_remembered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = (write(tmp_path / name, (30, 160, 60), 5) for name in ("a.png", "b.png"))
    described(capsys, first, "--index", tmp_path / "index")
    _, (line,) = described(capsys, second, "--index", tmp_path / "index")
    assert line["near_duplicates"] == [str(first)]


@pytest.mark.usefixtures("models")
def test_small_and_uniform_pictures_are_described(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [tmp_path / "dot.png", tmp_path / "white.png"]
    cv2.imwrite(str(paths[0]), np.zeros((1, 1, 3), np.uint8))
    cv2.imwrite(str(paths[1]), np.full((50, 40, 3), 255, np.uint8))
    code, (dot, white) = described(capsys, *paths)
    assert code == 0
    assert dot["colours"] == []
    assert white["colours"][0]["name"] == "white"


@pytest.mark.usefixtures("models")
def test_figures_count_what_was_looked_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    colours = ((200, 30, 40), (40, 60, 160), (220, 210, 60))
    names = [write(tmp_path / "shirt" / f"{n}.png", colour, n).name for n, colour in enumerate(colours)]
    labels = tmp_path / "labels.json"
    labels.write_text(json.dumps({"labels": {f"shirt/{name}": "plain" for name in names[:2]}}))
    assert evaluate.main(["recognition", "--images", str(tmp_path), "--labels", str(labels)]) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures["n"] == figures["search"]["n"] == 3
    assert figures["patterns_by_eye"]["n"] == figures["patterns_drawn"]["n"] == figures["colours"]["n"] == 2
    assert set(figures["search"]["recall_at_1"]) == {*CHANGES, "all"}
    assert figures["search"]["false_near_duplicates"]["of"] == 3
    assert 0 <= figures["patterns_by_eye"]["accuracy"] <= 1
    assert figures["versions"] == {"product": "1", "attributes": "2"}


@pytest.mark.parametrize("kind", CHANGES)
def test_copies_are_changed_the_same_way_each_time(kind: str) -> None:
    draw = np.random.default_rng(1)
    photo, other = (draw.integers(0, 256, (60, 40, 3)).astype(np.uint8) for _ in range(2))
    mask = np.zeros((20, 20), np.float32)
    mask[5:15, 5:15] = 1
    first, again = (CHANGES[kind](photo, mask, other, np.random.default_rng(9)) for _ in range(2))
    assert first.dtype == np.uint8
    assert (first == again).all()
    assert first.shape != photo.shape or (first != photo).any()
