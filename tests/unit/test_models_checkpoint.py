"""Weights are loaded only where they are what the manifest says."""

import hashlib
import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from models.checkpoint import load_weights
from models.manifest import MANIFEST, WeightsError, bundled_folder, read_manifest
from models.style_transfer import ARCHITECTURE, StyleTransfer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundled_folder(), tmp_path / "weights"))


def edit(folder: Path, **changes: object) -> None:
    path = folder / MANIFEST
    content = json.loads(path.read_text())
    content["style"].update(changes)
    path.write_text(json.dumps(content))


def replace_body(folder: Path, body: bytes) -> None:
    (folder / "style.safetensors").write_bytes(body)
    edit(folder, sha256=hashlib.sha256(body).hexdigest())


def test_the_bundled_weights_are_whole_small_and_documented() -> None:
    for entry in read_manifest(bundled_folder()).values():
        assert (bundled_folder() / entry.file).stat().st_size < 3_000_000
        assert entry.licence == "Apache-2.0"
        assert entry.version in (bundled_folder() / entry.card).read_text("utf-8")
    assert load_weights("style", ARCHITECTURE).tensors


def test_a_folder_and_a_file_can_be_named(folder: Path) -> None:
    by_folder = StyleTransfer.load(weights=folder)
    by_file = StyleTransfer.load(weights=str(folder / "style.safetensors"))
    assert by_folder.version == by_file.version == StyleTransfer.load().version


def test_altered_weights_are_refused(folder: Path) -> None:
    body = bytearray((folder / "style.safetensors").read_bytes())
    body[-1] ^= 1
    (folder / "style.safetensors").write_bytes(body)
    with pytest.raises(WeightsError, match="was altered"):
        StyleTransfer.load(weights=folder)


def test_missing_weights_and_manifest_are_named(folder: Path) -> None:
    (folder / "style.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"style\.safetensors cannot be read"):
        StyleTransfer.load(weights=folder)
    (folder / MANIFEST).unlink()
    with pytest.raises(WeightsError, match=r"weights\.json cannot be read"):
        StyleTransfer.load(weights=folder)


def test_an_unlisted_file_or_name_is_refused(folder: Path) -> None:
    shutil.copy(folder / "style.safetensors", folder / "other.safetensors")
    with pytest.raises(WeightsError, match="is not listed"):
        StyleTransfer.load(weights=folder / "other.safetensors")
    with pytest.raises(WeightsError, match=r"no weights named 'quality', only: .*style"):
        load_weights("quality", "any", folder)


@pytest.mark.parametrize("content", ["[]", "{", '{"style": 3}', '{"style": {"file": "x"}}'])
def test_a_malformed_manifest_is_refused(folder: Path, content: str) -> None:
    (folder / MANIFEST).write_text(content)
    with pytest.raises(WeightsError, match="is not a manifest"):
        StyleTransfer.load(weights=folder)


def test_another_architecture_or_shape_is_refused(folder: Path) -> None:
    edit(folder, config={"styles": ["oil"], "textures": 4})
    with pytest.raises(WeightsError, match="does not fit its architecture"):
        StyleTransfer.load(weights=folder)
    edit(folder, architecture="vgg19")
    with pytest.raises(WeightsError, match="holds a net 'vgg19', not 'pu2-style'"):
        StyleTransfer.load(weights=folder)


def test_a_pickle_is_never_read_as_weights(folder: Path) -> None:
    replace_body(folder, pickle.dumps({"head.bias": [0.0]}))
    with pytest.raises(WeightsError, match="is not a safetensors file"):
        StyleTransfer.load(weights=folder)


def test_missing_tensors_are_refused(folder: Path) -> None:
    replace_body(folder, save({"head.bias": torch.zeros(3)}))
    with pytest.raises(WeightsError, match="does not fit its architecture"):
        StyleTransfer.load(weights=folder)
