"""Weights are loaded only where they are what the manifest says."""

import hashlib
import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from torch import Tensor, nn

from models.registry.checkpoint import fitted, load_weights
from models.registry.manifest import MANIFEST, Source, WeightsError, bundled_folder, read_manifest
from models.styles.transfer import ARCHITECTURE, StyleTransfer


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
    with pytest.raises(WeightsError, match=r"no weights named 'portraits', only: .*style"):
        load_weights("portraits", "any", folder)


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


def toy(folder: Path, tensors: dict[str, Tensor]) -> Path:
    """A folder with the weights of a linear layer, 2 -> 3."""
    body = save(tensors)
    folder.mkdir(exist_ok=True)
    (folder / "toy.safetensors").write_bytes(body)
    entry = {"file": "toy.safetensors", "version": "1", "architecture": "toy", "config": {}, "licence": "MIT"}
    entry |= {"sha256": hashlib.sha256(body).hexdigest(), "card": "toy.md"}
    (folder / MANIFEST).write_text(json.dumps({"toy": entry}))
    return folder


def linear(**changed: Tensor) -> dict[str, Tensor]:
    return {"weight": torch.ones(3, 2), "bias": torch.zeros(3)} | changed


def test_sixteen_bits_are_widened_and_the_net_is_ready_to_evaluate(tmp_path: Path) -> None:
    tensors = linear(weight=torch.full((3, 2), 0.1, dtype=torch.float16), bias=torch.ones(3, dtype=torch.bfloat16))
    weights = load_weights("toy", "toy", toy(tmp_path, tensors))
    assert {tensor.dtype for tensor in weights.tensors.values()} == {torch.float32}
    net = fitted(weights, lambda: nn.Linear(2, 3))
    assert not net.training
    assert torch.equal(net.weight, tensors["weight"].float())


@pytest.mark.parametrize(
    ("tensors", "reason"),
    [
        (linear(extra=torch.zeros(1)), "unknown tensors: extra$"),
        ({"weight": torch.ones(3, 2)}, "missing tensors: bias$"),
        (linear(bias=torch.zeros(4)), r"wrong tensors: bias is float32 \[4\], the net has float32 \[3\]$"),
        (linear(bias=torch.zeros(3, dtype=torch.int64)), r"bias is int64 \[3\]"),
        (linear(bias=torch.zeros(3, dtype=torch.float64)), r"bias is float64 \[3\]"),
        ({f"k{i}": torch.zeros(1) for i in range(9)}, "missing tensors: bias, weight; unknown .* and 5 more"),
    ],
)
def test_tensors_that_do_not_fit_are_named(tmp_path: Path, tensors: dict[str, Tensor], reason: str) -> None:
    weights = load_weights("toy", "toy", toy(tmp_path, tensors))
    with pytest.raises(WeightsError, match=f"does not fit its architecture 'toy': .*{reason}"):
        fitted(weights, lambda: nn.Linear(2, 3))


def test_a_configuration_that_the_net_does_not_know_is_refused(tmp_path: Path) -> None:
    weights = load_weights("toy", "toy", toy(tmp_path, linear()))
    with pytest.raises(WeightsError, match=r"its configuration cannot be used: .*colour"):
        fitted(weights, lambda: nn.Linear(2, 3, colour="red"))  # type: ignore[call-arg]


def test_weights_come_through_a_reader(folder: Path) -> None:
    def read(uri: str) -> bytes:
        return (folder / uri.removeprefix("s3://nets/")).read_bytes()

    loaded = load_weights("style", ARCHITECTURE, Source("s3://nets", read=read))
    assert loaded.entry == read_manifest(folder)["style"]
    (folder / "style.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"s3://nets/style.safetensors cannot be read: there is no such file"):
        load_weights("style", ARCHITECTURE, Source("s3://nets/style.safetensors", read=read))


def test_a_torch_file_under_a_harmless_name_is_refused_as_a_pickle(folder: Path, tmp_path: Path) -> None:
    torch.save({"head.bias": torch.zeros(3)}, tmp_path / "net.pt")
    replace_body(folder, (tmp_path / "net.pt").read_bytes())
    with pytest.raises(WeightsError, match="is not a safetensors file, but a pickle, which is never opened"):
        StyleTransfer.load(weights=folder)


@pytest.mark.parametrize("body", [b"", b"\xff" * 8, b"\x02" + bytes(7) + b"[]", b"\xff" * 7 + b"\x7f" + b"{}"])
def test_a_broken_header_is_refused(folder: Path, body: bytes) -> None:
    replace_body(folder, body)
    with pytest.raises(WeightsError, match="is not a safetensors file"):
        load_weights("style", ARCHITECTURE, folder)
