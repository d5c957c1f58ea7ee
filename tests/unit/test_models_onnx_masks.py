"""ONNX files of the known layouts cut out; others are refused with the reason. The files are made here."""

import hashlib
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from models.cutout.onnx_masks import LAYOUTS, OnnxCutout, confidence_of, mask_of
from models.pictures import Mask, Picture
from models.registry.sources import Source, WeightsError

#: Mean, spread and divisor of the levels as the authors publish them; the picture's highest level is 200.
PUBLISHED = {
    "isnet": ((0.5, 0.5, 0.5), (1.0, 1.0, 1.0), 255),
    "u2net": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 200),
    "birefnet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 255),
}
STEEP = 1e4


def onnx_file(
    nodes: list[Any], constants: dict[str, Any], inputs: int = 1, shape: tuple[int | str, ...] = (1, 3, 32, 32)
) -> bytes:
    """A net from `x` (and more inputs) to `y`."""
    takes = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)) for name in ("x", "other", "third")[:inputs]
    ]
    gives = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    held = [
        helper.make_tensor(
            name, TensorProto.INT64 if value.dtype == np.int64 else TensorProto.FLOAT, value.shape, value
        )
        for name, value in constants.items()
    ]
    graph = helper.make_graph(nodes, "net", takes, gives, held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


def above(channel: int, threshold: float, *, logits: bool = False, **options: Any) -> bytes:
    """A net that marks where a channel of its input is above a threshold."""
    nodes = [
        helper.make_node("Gather", ["x", "channel"], ["one"], axis=1),
        helper.make_node("Sub", ["one", "threshold"], ["over"]),
        helper.make_node("Mul", ["over", "steep"], ["y" if logits else "raised"]),
    ]
    nodes += [] if logits else [helper.make_node("Sigmoid", ["raised"], ["y"])]
    constants = {"threshold": np.array([threshold], np.float32), "steep": np.array([STEEP], np.float32)}
    return onnx_file(nodes, {"channel": np.array([channel]), **constants}, **options)


def load(folder: Path, body: bytes, layout: str = "isnet", **options: Any) -> OnnxCutout:
    file = folder / "net.onnx"
    file.write_bytes(body)
    return OnnxCutout.load(file, layout=layout, sha256=hashlib.sha256(body).hexdigest(), **options)


def halves(channel: int, left: int, right: int) -> Picture:
    """Two halves that differ in one channel, 200 the highest level of another."""
    picture = np.full((96, 64, 3), 50, np.uint8)
    picture[..., (channel + 1) % 3] = 200
    picture[:, :32, channel], picture[:, 32:, channel] = left, right
    return picture


@pytest.mark.parametrize("channel", [0, 1, 2])
@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_a_net_sees_the_levels_that_its_authors_trained_it_with(tmp_path: Path, layout: str, channel: int) -> None:
    mean, spread, white = PUBLISHED[layout]
    threshold = (120 / white - mean[channel]) / spread[channel]
    net = load(tmp_path, above(channel, threshold, logits=layout == "birefnet"), layout)
    (found,) = net.cut([halves(channel, 119, 121)])
    assert found.alpha.shape == (96, 64)
    assert found.alpha.dtype == np.float32
    assert found.alpha[:, :26].max() < 0.01
    assert found.alpha[:, 38:].min() > 0.99
    assert found.confidence > 0.7
    (mirrored,) = net.cut([halves(channel, 121, 119)])
    assert mirrored.alpha[:, :26].min() > 0.99


def test_name_and_version_follow_layout_and_file(tmp_path: Path) -> None:
    one, other = above(0, 0.0), above(1, 0.0)
    first, second = load(tmp_path, one), load(tmp_path, other)
    assert first.name == "isnet"
    assert first.version == "1-" + hashlib.sha256(one).hexdigest()[:8]
    assert first.version != second.version


def test_a_uri_goes_through_the_reader(tmp_path: Path) -> None:
    body = above(0, 0.0)
    sha256 = hashlib.sha256(body).hexdigest()
    source = Source("s3://nets/isnet.onnx", read={"s3://nets/isnet.onnx": body}.__getitem__)
    assert OnnxCutout.load(source, layout="isnet", sha256=sha256).version == "1-" + sha256[:8]
    with pytest.raises(WeightsError, match="hand in a reader"):
        OnnxCutout.load("s3://nets/isnet.onnx", layout="isnet", sha256=sha256)


def test_the_session_keeps_to_its_threads(tmp_path: Path) -> None:
    options = load(tmp_path, above(0, 0.0), threads=2)._session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (2, 1)


def test_another_hash_is_refused_and_told(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(body := above(0, 0.0))
    with pytest.raises(WeightsError, match=f"was altered: sha256 {hashlib.sha256(body).hexdigest()}"):
        OnnxCutout.load(tmp_path / "net.onnx", layout="isnet", sha256="0" * 64)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"gone\.onnx cannot be read: there is no such file"):
        OnnxCutout.load(tmp_path / "gone.onnx", layout="isnet", sha256="0" * 64)
    with pytest.raises(WeightsError, match="is a pickle"):
        OnnxCutout.load(tmp_path / "net.pth", layout="isnet", sha256="0" * 64)
    with pytest.raises(WeightsError, match="cannot be read"):
        OnnxCutout.load(Source(), layout="isnet", sha256="0" * 64)
    with pytest.raises(ValueError, match="unknown layout 'rmbg'; known: isnet, u2net, birefnet"):
        OnnxCutout.load(tmp_path / "net.onnx", layout="rmbg", sha256="0" * 64)


@pytest.mark.parametrize("cut", [0, 1, 0.5, 0.95])
def test_a_broken_file_is_refused(tmp_path: Path, cut: float) -> None:
    whole = above(0, 0.0)
    body = b"no net" if cut == 1 else whole[: round(len(whole) * cut)]
    with pytest.raises(WeightsError, match=r"net\.onnx cannot be used as isnet"):
        load(tmp_path, body)


def test_tensors_outside_the_file_are_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    outside = helper.make_tensor("y", TensorProto.FLOAT, [1, 1, 32, 32], bytes(4096), raw=True)
    outside.ClearField("raw_data")
    outside.data_location = TensorProto.EXTERNAL
    (place := outside.external_data.add()).key, place.value = "location", "secret.bin"
    (tmp_path / "secret.bin").write_bytes(np.ones(32 * 32, np.float32).tobytes())
    takes = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 32, 32])
    gives = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 32, 32])
    graph = helper.make_graph([], "net", [takes], [gives], [outside])
    body = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()
    with pytest.raises(WeightsError, match="cannot be used as isnet"):
        load(tmp_path, bytes(body))


def constant(values: Any) -> bytes:
    """A net that gives these values, whatever it sees."""
    zero = np.zeros(1, np.float32)
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["top"], keepdims=0),
        helper.make_node("Mul", ["top", "zero"], ["none"]),
        helper.make_node("Add", ["none", "values"], ["y"]),
    ]
    return onnx_file(nodes, {"zero": zero, "values": np.asarray(values, np.float32)})


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (above(0, 0.0, inputs=2), "takes 2 inputs"),
        (
            above(0, 0.0, shape=(1, 1, 32, 32)),
            r"should take floats \[1, 3, h, w\], not tensor\(float\) \[1, 1, 32, 32\]",
        ),
        (above(0, 0.0, shape=(3, 32, 32)), "should take floats"),
        (constant(np.full((1, 1, 8, 8), np.nan)), "gives masks that are not numbers"),
        (constant(np.zeros((1, 3, 8, 8))), r"should be one mask \[1, 1, h, w\], not \[1, 3, 8, 8\]"),
        (constant(np.zeros(10)), "should be one mask"),
        (constant(np.zeros((1, 1, 0, 8))), "should be one mask"),
    ],
)
def test_a_net_that_makes_no_mask_of_a_picture_is_refused(tmp_path: Path, body: bytes, reason: str) -> None:
    with pytest.raises(WeightsError, match=reason):
        load(tmp_path, body)


def test_without_onnxruntime_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(WeightsError, match=r"pip install 'vitrine\[onnx\]'"):
        load(tmp_path, above(0, 0.0))


class Net:
    """Stands for a session, keeps what it was given and gives what `answer` makes of it."""

    def __init__(self, answer: Callable[[Any], Any], type: str = "tensor(float)", size: Any = "side") -> None:  # noqa: A002
        self.answer, self.seen = answer, []
        self._input = SimpleNamespace(name="x", type=type, shape=["batch", 3, size, size])

    def get_inputs(self) -> list[Any]:
        return [self._input]

    def get_outputs(self) -> list[Any]:
        return [SimpleNamespace(name="finest"), SimpleNamespace(name="coarser")]

    def run(self, names: list[str], given: dict[str, Any]) -> list[Any]:
        assert names == ["finest"]
        self.seen.append(given["x"])
        return [self.answer(given["x"])]


@pytest.mark.parametrize(("layout", "side"), [("isnet", 1024), ("u2net", 320), ("birefnet", 1024)])
def test_an_open_size_is_the_published_one(layout: str, side: int) -> None:
    net = Net(lambda batch: np.zeros((1, 1, 4, 4), np.float32))
    OnnxCutout(net, layout, "1").cut([halves(0, 0, 9)])
    assert net.seen[0].shape == (1, 3, side, side)
    assert net.seen[0].dtype == np.float32


def test_a_net_of_half_precision_gets_half_precision() -> None:
    net = Net(lambda batch: batch[:, 0], "tensor(float16)", 32)
    (found,) = OnnxCutout(net, "isnet", "1").cut([halves(0, 20, 220)])
    assert net.seen[0].dtype == np.float16
    assert found.alpha[:, 40:].min() > 0.9


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, 0.7])
def test_where_nothing_is_found_the_frame_is_whole_and_the_confidence_none(value: float) -> None:
    backend = OnnxCutout(Net(lambda batch: np.full((1, 1, 32, 32), value, np.float32)), "isnet", "1")
    for found in backend.cut([halves(0, 0, 200), np.zeros((1, 1, 3), np.uint8), np.zeros((4, 900, 3), np.uint8)]):
        assert found.confidence == 0
        assert found.alpha.min() == 1


@pytest.mark.parametrize(
    ("text", "kind"), [("Failed to allocate memory for buffer of size 9", MemoryError), ("odd", RuntimeError)]
)
def test_want_of_memory_is_told_from_other_errors(text: str, kind: type[Exception]) -> None:
    def fail(batch: Any) -> Any:
        raise RuntimeError(text)

    with pytest.raises(kind, match=text):
        OnnxCutout(Net(fail), "isnet", "1").cut([halves(0, 0, 200)])


def test_pictures_of_all_sizes_come_back_in_order() -> None:
    backend = OnnxCutout(Net(lambda batch: batch[:, :1], size=32), "isnet", "1")
    pictures = [np.ascontiguousarray(np.repeat(halves(0, 9, 222), k, axis=k % 2)) for k in (1, 2, 5, 31)]
    found = backend.cut(pictures)
    assert [each.alpha.shape for each in found] == [picture.shape[:2] for picture in pictures]
    assert all(each.alpha[:, -8:].min() > 0.9 and each.alpha[:, :8].max() < 0.1 for each in found)
    assert backend.cut([]) == []


def test_a_weak_response_is_not_stretched_into_a_mask() -> None:
    faint = np.linspace(0, 0.09, 64, dtype=np.float32).reshape(8, 8)
    assert mask_of(faint, LAYOUTS["isnet"]).max() == 0
    assert mask_of(faint * 2, LAYOUTS["u2net"]).max() == 1
    assert mask_of(faint - 0.045, LAYOUTS["birefnet"]) == pytest.approx(0.5, abs=0.02)


def shape(undecided: int = 0, top: int = 64, touch: int = 0) -> Mask:
    """A square in the middle, with a strip of doubt inside."""
    mask = np.zeros((256, 256), np.float32)
    mask[top:192, 64 - touch : 192 + touch] = 1
    mask[80 : 80 + undecided, 80:176] = 0.4
    return mask


def test_confidence_falls_with_doubt_and_is_none_for_empty_and_full() -> None:
    falling = [confidence_of(shape(undecided)) for undecided in (0, 12, 24, 48, 96)]
    assert falling[0] == 1
    assert all(more > less for more, less in pairwise(falling))
    assert confidence_of(shape(top=188)) < confidence_of(shape(top=180)) < 0.5
    assert confidence_of(np.zeros((8, 8), np.float32)) == confidence_of(np.ones((8, 8), np.float32)) == 0


def test_a_soft_outline_costs_no_confidence_a_product_along_the_frame_does() -> None:
    soft = shape()
    soft[62:64, 64:192] = 0.5
    assert confidence_of(soft) == 1
    along = np.zeros((256, 256), np.float32)
    along[:200] = 1
    assert confidence_of(along) < confidence_of(shape())
