"""`vitrine inspect` as people and programs meet it."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from deploy.cli import app
from deploy.cli.console import out
from serve.catalog.marks import Marks
from serve.images.finishing import Finisher
from serve.images.provenance import Provenance
from serve.images.rights import SourceRights

runner = CliRunner()
PROVENANCE = Provenance(
    digital_source_type="trainedAlgorithmicMedia",
    models=(),
    seed=9,
    key="shop/ab.png",
    rights=SourceRights(copyright_notice="Ana [bold red]owns it[/]"),
)


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRINE_DEPLOY_STATE_DIR", str(tmp_path / "state"))


@pytest.fixture
def image(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    small = Image.fromarray(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8))
    pixels = np.asarray(small.resize((440, 420), Image.Resampling.BICUBIC))
    marks = Marks(label=("AI生成", ""), aigc_producer="Studio 7", watermark="code")
    (tmp_path / "ours.png").write_bytes(Finisher().finish(pixels, "png", PROVENANCE, marks).body)
    return tmp_path / "ours.png"


def test_people_see_every_mark(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(out, "_width", 200)
    shown = runner.invoke(app, ["inspect", str(image)])
    assert shown.exit_code == 0
    for words in (
        "png 440 x 420 RGB",
        "trainedAlgorithmicMedia: made by a trained model",
        "shop/ab.png",
        "ContentProducer Studio 7",
        "AI生成, contrast",
        "that of the key",
        "Ana [bold red]owns it[/]",
        "nothing",
    ):
        assert words in shown.output


def test_programs_get_one_document(image: Path, tmp_path: Path) -> None:
    (tmp_path / "no.txt").write_text("no image")
    told = runner.invoke(app, ["inspect", "--json", str(image), str(tmp_path / "no.txt")])
    assert told.exit_code == 1
    ours, other = json.loads(told.stdout)
    assert (ours["ok"], other) == (True, {"image": str(tmp_path / "no.txt"), "ok": False})
    assert ours["digital_source_type"] == "trainedAlgorithmicMedia"
    assert next(iter(ours["aigc"])) == "Label"
    assert (ours["label"]["text"], ours["label"]["stands_out"]) == ("AI生成", True)
    assert ours["watermark"]["fits_key"] is True
    assert (ours["key"], ours["seed"], ours["leftovers"]) == ("shop/ab.png", 9, [])


def test_control_characters_of_strangers_do_not_reach_the_terminal(tmp_path: Path) -> None:
    packet = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description xmlns:e="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
        b'e:DigitalSourceType="&#x9b;31mred"/></rdf:RDF></x:xmpmeta>'
    )
    Image.new("RGB", (40, 40)).save(tmp_path / "a.jpg", xmp=packet)
    shown = runner.invoke(app, ["inspect", str(tmp_path / "a.jpg")])
    assert shown.exit_code == 0
    assert "\x9b" not in shown.output
    assert "31mred" in shown.output


def test_no_image_is_exit_code_1(tmp_path: Path) -> None:
    (tmp_path / "no.txt").write_text("no image")
    assert runner.invoke(app, ["inspect", str(tmp_path / "no.txt")]).exit_code == 1


def test_a_watermark_needs_its_secret(image: Path) -> None:
    told = runner.invoke(app, ["inspect", "--json", str(image)], env={"VITRINE_SERVE_WATERMARK_SECRET": "another"})
    assert json.loads(told.stdout)[0]["watermark"] is None
