"""The weights' command line lists them, shows their cards, and names all that is wrong with a folder."""

import hashlib
import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save, save_file
from torch import nn
from typer.testing import CliRunner

from models.__main__ import app
from models.registry import served as registry
from models.registry.checkpoint import fitted, load_weights
from models.registry.manifest import MANIFEST, WeightsEntry, bundled_folder, read_manifest, write_manifest
from models.registry.served import faults, serve
from models.registry.sources import WeightsError

runner = CliRunner()
TOY = WeightsEntry(
    file="toy.safetensors",
    sha256="",
    version="1.0",
    architecture="toy",
    config={},
    licence="MIT",
    card="toy.md",
    parameters=1_009,
    figures={"psnr_db": 30.5},
)


CARD = """# Toy 1.0

**What.** A layer.

**Data.** None.

**Training.** `python -m models.training toy`

## Figures

None.

## Intended use

Tests.

## Known failures

Many.

**Licence.** MIT.
"""


class Toy:
    """Serves a linear layer, 2 -> 3."""

    @classmethod
    def load(cls, device: str, source: Path) -> nn.Linear:
        return fitted(load_weights("toy", "toy", source), lambda: nn.Linear(2, 3, device=device))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the weights of a toy that has a class to serve it."""
    monkeypatch.setitem(sys.modules, "toys", SimpleNamespace(Toy=Toy))
    monkeypatch.setitem(registry.SERVED, "toy", registry.Served("toys", "Toy"))
    folder = tmp_path / "weights"
    folder.mkdir()
    body = save({"weight": torch.ones(3, 2), "bias": torch.zeros(3)})
    (folder / "toy.safetensors").write_bytes(body)
    (folder / "toy.md").write_text(CARD, "utf-8")
    write_manifest(folder, {"toy": replace(TOY, sha256=hashlib.sha256(body).hexdigest())})
    return folder


def edit(folder: Path, **changes: Any) -> None:
    content = json.loads((folder / MANIFEST).read_text())
    content["toy"].update(changes)
    (folder / MANIFEST).write_text(json.dumps(content))


def test_the_bundled_folder_is_whole() -> None:
    assert faults(bundled_folder()) == []


def test_the_bundled_folder_has_to_stay_small(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "ROOM", 400)
    assert faults(folder) == []
    monkeypatch.setattr(registry, "bundled_folder", lambda: folder)
    (fault,) = faults(folder)
    assert re.fullmatch(r"the bundled files take [\d,]+ bytes together, more than 400", fault)


def flip(folder: Path) -> None:
    body = bytearray((folder / "toy.safetensors").read_bytes())
    body[-1] ^= 1
    (folder / "toy.safetensors").write_bytes(body)


def store(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Change the tensors, honestly listed."""
    tensors = load_file(folder / "toy.safetensors")
    change(tensors)
    save_file(tensors, folder / "toy.safetensors")
    edit(folder, sha256=hashlib.sha256((folder / "toy.safetensors").read_bytes()).hexdigest())


def card(folder: Path, old: str, new: str) -> None:
    text = (folder / "toy.md").read_text("utf-8")
    assert old in text
    (folder / "toy.md").write_text(text.replace(old, new), "utf-8")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (flip, "toy.safetensors was altered"),
        (lambda folder: (folder / "toy.safetensors").unlink(), "toy.safetensors cannot be read"),
        (lambda folder: store(folder, lambda tensors: tensors["bias"].fill_(torch.nan)), "not numbers: bias"),
        (lambda folder: store(folder, lambda tensors: tensors.pop("bias")), "does not fit its architecture"),
        (lambda folder: edit(folder, architecture="vgg19"), "no class here serves a net 'vgg19'"),
        (lambda folder: edit(folder, version="9"), "toy.md does not name the version 9"),
        (lambda folder: edit(folder, colour="red"), "unknown field colour"),
        (lambda folder: (folder / "toy.md").unlink(), "toy.md cannot be read"),
        (lambda folder: card(folder, "**Licence.", "Licence."), "toy.md says nothing of: licence"),
        (lambda folder: card(folder, "**Data.", "Made of data."), "toy.md says nothing of: data"),
        (lambda folder: card(folder, "python -m models.training", "python"), "does not say how to train"),
        (lambda folder: (folder / "net.pt").touch(), "net.pt is not listed in weights.json"),
        (lambda folder: (folder / "older").mkdir(), "older is not listed in weights.json"),
    ],
)
def test_each_fault_is_named_alone(folder: Path, damage: Callable[[Path], object], reason: str) -> None:
    assert faults(folder) == []
    damage(folder)
    (fault,) = faults(folder)
    assert reason in fault
    done = runner.invoke(app, ["verify", "--weights", str(folder)])
    assert done.exit_code == 1
    assert reason in done.output


def test_all_faults_are_named_together(folder: Path) -> None:
    flip(folder)
    card(folder, "## Intended use", "Use")
    (folder / "notes.txt").touch()
    assert len(faults(folder)) == 3


def test_a_whole_folder_passes(folder: Path) -> None:
    done = runner.invoke(app, ["verify", "--weights", str(folder)])
    assert (done.exit_code, "1 weights in" in done.output) == (0, True)


def test_the_list_tells_versions_sizes_and_figures(folder: Path) -> None:
    write_manifest(folder, {"toy": [TOY, replace(TOY, version="0.9", file="gone.safetensors", figures={})]})
    done = runner.invoke(app, ["list", "--weights", str(folder)], env={"COLUMNS": "200"})
    rows = [line.split() for line in done.output.splitlines()]
    assert ["toy", "1.0", "toy", "1,009", "0.0", "MIT", "psnr_db", "30.5"] in rows
    assert ["toy", "0.9", "toy", "1,009", "missing", "MIT", "-"] in rows


@pytest.mark.parametrize("name", ["toy", "toy@1.0"])
def test_a_card_is_shown_by_name_and_version(folder: Path, name: str) -> None:
    done = runner.invoke(app, ["show", name, "--weights", str(folder)])
    assert done.exit_code == 0
    assert done.output.strip() == CARD.strip()


def test_an_unknown_name_or_version_is_told_what_there_is(folder: Path) -> None:
    for name in ("toy@2", "doll"):
        done = runner.invoke(app, ["show", name, "--weights", str(folder)])
        assert done.exit_code == 1
        assert f"no weights '{name}' in {folder}, only: toy@1.0" in done.output


@pytest.mark.parametrize("command", [["list"], ["show", "toy"], ["verify"]])
def test_a_folder_without_manifest_is_named(tmp_path: Path, command: list[str]) -> None:
    done = runner.invoke(app, [*command, "--weights", str(tmp_path)])
    assert done.exit_code == 1
    assert "weights.json cannot be read" in done.output


def test_a_net_is_served_by_its_architecture() -> None:
    entry = read_manifest(bundled_folder())["style"]
    assert serve(entry.architecture, "cpu", bundled_folder()).version == entry.version
    with pytest.raises(WeightsError, match="no class here serves a net 'vgg19'"):
        serve("vgg19", "cpu", bundled_folder())


def test_a_class_that_knows_no_device_gets_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[object, ...]] = []
    monkeypatch.setitem(
        sys.modules, "toys", SimpleNamespace(Toy=SimpleNamespace(load=lambda *values: given.append(values)))
    )
    monkeypatch.setitem(registry.SERVED, "toy", registry.Served("toys", "Toy", on_device=False))
    serve("toy", "cuda", folder)
    assert given == [(folder,)]


def test_every_class_that_serves_is_there() -> None:
    for served in registry.SERVED.values():
        assert callable(getattr(import_module(served.module), served.name).load)
