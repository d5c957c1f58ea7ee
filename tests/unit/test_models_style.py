"""The style net and the class that serves it."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.nets.style import StyleNet, StyleNetConfig
from models.styles import transfer as style_transfer
from models.styles.blend import laid
from models.styles.transfer import StyleTransfer


@pytest.fixture(scope="module")
def bundled() -> StyleTransfer:
    torch.set_num_threads(1)
    return StyleTransfer.load()


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3))
    return np.kron(coarse, np.ones((8, 8, 1)))[:height, :width].astype(np.uint8)


def small_net(styles: int = 2) -> StyleNet:
    torch.manual_seed(1)
    net = StyleNet(StyleNetConfig(styles=styles, width=8, blocks=2, detail=8)).eval()
    torch.nn.init.normal_(net.head.weight, std=0.1)
    return net


def test_a_fresh_net_of_the_default_size_gives_its_input_back() -> None:
    net = StyleNet(StyleNetConfig(styles=3)).eval()
    assert 0.38e6 < sum(p.numel() for p in net.parameters()) < 0.5e6
    x = torch.rand(1, 3, 32, 48)
    torch.testing.assert_close(net(x, torch.rand(1, 4, 32, 48), torch.tensor([2])), x, atol=0.1, rtol=0)


def test_the_net_is_local_so_a_crop_is_redrawn_as_the_whole_is() -> None:
    net, x, fields = small_net(), torch.rand(1, 3, 192, 192), torch.rand(1, 4, 192, 192)
    style = torch.tensor([1])
    with torch.inference_mode():
        whole = net(x, fields, style)
        x[..., 160:] = 1.0  # a white border must not change what is drawn far from it
        crop = net(x[..., :160, :160], fields[..., :160, :160], style)
    torch.testing.assert_close(crop[..., :112, :112], whole[..., :112, :112], atol=1e-5, rtol=0)


def test_a_batch_gives_the_same_pictures_as_single_calls(bundled: StyleTransfer) -> None:
    pictures = [photo(96, 120, seed) for seed in range(4)] + [photo(64, 64, 9)]
    styles = [bundled.styles[i % len(bundled.styles)] for i in range(5)]
    together = bundled.apply(pictures, styles)
    for picture, style, drawn in zip(pictures, styles, together, strict=True):
        alone = bundled.apply([picture], [style])[0]
        assert np.abs(alone.astype(int) - drawn).max() <= 1


@settings(deadline=None, max_examples=15)
@given(height=st.integers(1, 50), width=st.integers(1, 50))
def test_any_size_comes_back_in_its_own_size(bundled: StyleTransfer, height: int, width: int) -> None:
    picture = photo(height, width)
    before = picture.copy()
    drawn = bundled.apply([picture], [bundled.styles[0]])[0]
    assert drawn.shape == picture.shape
    assert drawn.dtype == np.uint8
    assert drawn.flags.c_contiguous
    np.testing.assert_array_equal(picture, before)


def test_white_stays_white_in_every_bundled_style(bundled: StyleTransfer) -> None:
    white = np.full((200, 300, 3), 255, np.uint8)
    for drawn in bundled.apply([white] * len(bundled.styles), bundled.styles):
        assert drawn.min() == 255


@pytest.mark.parametrize(
    ("top", "left", "height", "width"),
    [(150, 170, 60, 90), (0, 0, 40, 50), (341, 373, 30, 30), (201, 0, 7, 403), (199, 301, 1, 1)],
)
def test_leaving_out_the_white_surroundings_changes_nothing(
    bundled: StyleTransfer, top: int, left: int, height: int, width: int
) -> None:
    picture = np.full((371, 403, 3), 255, np.uint8)
    product = np.s_[top : top + height, left : left + width]
    picture[product] = np.minimum(photo(height, width, top), 254)
    near = np.zeros(picture.shape[:2], bool)
    near[max(0, top - 20) : top + height + 20, max(0, left - 20) : left + width + 20] = True
    everywhere = (slice(0, 371), slice(0, 403))
    for number, style in enumerate(bundled.styles):
        (whole,) = bundled._redraw([picture], [everywhere], [number])
        (drawn,) = bundled.apply([picture], [style])
        assert np.abs(drawn.astype(int) - whole).max() <= 1
        assert drawn[~near].min() == 255
        assert not np.array_equal(drawn[product], picture[product])


def test_only_the_part_around_the_product_goes_through_the_net() -> None:
    picture = np.full((1000, 1000, 3), 255, np.uint8)
    picture[400:500, 450:480] = 0
    rows, columns = style_transfer._window(picture)
    assert (rows.start, rows.stop, columns.start, columns.stop) == (304, 596, 352, 576)
    whole = photo(96, 120)
    assert whole[style_transfer._window(whole)].shape == whole.shape


def test_a_batch_of_white_and_drawn_pictures_keeps_its_order(bundled: StyleTransfer) -> None:
    pictures = [np.full((300, 300, 3), 255, np.uint8) for _ in range(3)]
    pictures[0][100:140, 100:140] = 40
    pictures[2][180:220, 100:140] = 90
    drawn = bundled.apply(pictures, ["oil"] * 3)
    assert drawn[1].min() == 255
    for picture, result in zip(pictures, drawn, strict=True):
        np.testing.assert_array_equal(result, bundled.apply([picture], ["oil"])[0])


def test_each_style_draws_differently(bundled: StyleTransfer) -> None:
    drawn = bundled.apply([photo(128, 128)] * len(bundled.styles), bundled.styles)
    for i, one in enumerate(drawn):
        for other in drawn[i + 1 :]:
            assert np.abs(one.astype(int) - other).mean() > 2


def test_the_bundled_net_names_itself_and_its_styles(bundled: StyleTransfer) -> None:
    assert bundled.name == "style"
    assert bundled.version
    assert {"oil", "watercolour", "pencil"} <= set(bundled.styles)
    assert bundled.apply([], []) == []


def test_an_unknown_style_is_refused_with_the_known_ones(bundled: StyleTransfer) -> None:
    with pytest.raises(ValueError, match=r"unknown style 'cubism'; known: oil, watercolour"):
        bundled.apply([photo(32, 32)], ["cubism"])


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((8, 8, 3), np.float32),
        np.zeros((0, 8, 3), np.uint8),
    ],
)
def test_what_is_not_a_picture_is_refused(bundled: StyleTransfer, picture: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8"):
        bundled.apply([picture], ["oil"])


def test_lists_of_different_length_are_refused(bundled: StyleTransfer) -> None:
    with pytest.raises(ValueError, match="1 pictures but 2 styles"):
        bundled.apply([photo(16, 16)], ["oil", "oil"])


def test_strength_goes_from_the_picture_itself_to_the_full_style(bundled: StyleTransfer) -> None:
    picture = photo(64, 80)
    (full,) = bundled.apply([picture], ["oil"])
    drawn = bundled.apply([picture] * 5, ["oil"] * 5, strength=[0.0, 0.3, 0.6, 0.9, 1.0])
    np.testing.assert_array_equal(drawn[0], picture)
    np.testing.assert_array_equal(drawn[-1], full)
    distance = np.stack([np.abs(one.astype(int) - picture) for one in drawn])
    assert (np.diff(distance, axis=0) >= 0).all()


def test_a_style_is_laid_on_the_background_or_the_product_alone(bundled: StyleTransfer) -> None:
    picture, mask = photo(64, 80), np.zeros((64, 80), np.float32)
    mask[20:40, 30:60] = 1
    behind, on = bundled.apply([picture] * 2, ["poster"] * 2, masks=[mask, mask], where=["background", "product"])
    product = mask == 1
    (full,) = bundled.apply([picture], ["poster"])
    np.testing.assert_array_equal(behind, np.where(product[..., None], picture, full))
    np.testing.assert_array_equal(on, np.where(product[..., None], full, picture))


@given(
    before=st.integers(0, 255),
    drawn=st.integers(0, 255),
    share=st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted),
)
def test_no_pixel_turns_back_as_the_strength_grows(before: int, drawn: int, share: list[float]) -> None:
    pictures = np.full((1, 1, 3), before, np.uint8), np.full((1, 1, 3), drawn, np.uint8)
    low, high = (int(laid(*pictures, strength)[0, 0, 0]) for strength in share)
    assert abs(low - before) <= abs(high - before) <= abs(drawn - before)


def test_what_cannot_be_laid_is_refused() -> None:
    picture = photo(8, 8)
    with pytest.raises(ValueError, match=r"strength must lie in 0\.\.1, not 1\.5"):
        laid(picture, picture, 1.5)
    with pytest.raises(ValueError, match="a style on the background needs a mask"):
        laid(picture, picture, 1.0, "background")
    with pytest.raises(ValueError, match=r"size \[8, 8\], not \[4, 8\]"):
        laid(picture, picture, 1.0, "product", np.ones((4, 8), np.float32))
    assert laid(picture, picture, 0.0) is not picture


def test_only_the_chosen_styles_own_layers_draw() -> None:
    net, x, fields = small_net(), torch.rand(2, 3, 32, 32), torch.rand(2, 4, 32, 32)
    with torch.inference_mode():
        before = net(x, fields, torch.tensor([0, 1]))
        net.detail.weight[: net.detail.outputs] += 1.0
        after = net(x, fields, torch.tensor([0, 1]))
    torch.testing.assert_close(after[1], before[1], atol=0, rtol=0)
    assert not torch.equal(after[0], before[0])
