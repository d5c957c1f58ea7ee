"""Where the demo's photos come from."""

import random
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.demo import photos
from deploy.demo.photo_server import PhotoServer
from deploy.demo.prefetch import Prefetched
from deploy.errors import DeployError


def shelf(folder: Path, **counts: int) -> Path:
    for name, count in counts.items():
        (folder / name).mkdir()
        for number in range(count):
            (folder / name / f"{number}.jpg").write_bytes(f"{name}{number}".encode())
    return folder


@given(st.dictionaries(st.text("abc", min_size=1), st.integers(1, 9), min_size=1), st.integers(0, 30), st.integers())
def test_drawn_evenly_without_repeats(sizes: dict[str, int], limit: int, seed: int) -> None:
    stock = {name: [Path(name) / str(number) for number in range(count)] for name, count in sizes.items()}
    chosen = photos.draw_evenly(stock, random.Random(seed), limit)
    assert len(chosen) == len(set(chosen)) == min(limit, sum(sizes.values()))
    drawn = {name: sum(path.parent == Path(name) for path in chosen) for name in sizes}
    most = max(drawn.values())
    assert all(count >= most - 1 or count == sizes[name] for name, count in drawn.items())


def test_same_seed_same_choice(tmp_path: Path) -> None:
    folder = shelf(tmp_path, dress=5, shoes=5)
    first, again, other = (
        [(photo.name, photo.body, photo.title) for photo in photos.from_folder(folder, seed, 6)] for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_category_is_the_sub_folder(tmp_path: Path) -> None:
    categories = [photo.category for photo in photos.from_folder(shelf(tmp_path, dress=2, shoes=2), 1, 4)]
    assert sorted(categories) == ["dress", "dress", "shoes", "shoes"]


def test_photos_right_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"a")
    (tmp_path / "notes.txt").write_bytes(b"no photo")
    (photo,) = photos.from_folder(tmp_path, 1, 5)
    assert (photo.body, photo.content_type, photo.category) == (b"a", "image/png", "clothes")


@pytest.mark.parametrize("folder", ["missing", "."])
def test_no_photos_is_said(tmp_path: Path, folder: str) -> None:
    with pytest.raises(DeployError, match=r"no folder|no photos"):
        list(photos.from_folder(tmp_path / folder, 1, 5))


def test_server_gives_photos_and_404() -> None:
    with PhotoServer() as server:
        url = server.add("one.jpg", b"body", "image/jpeg")
        with urllib.request.urlopen(url) as answer:
            assert (answer.read(), answer.headers["Content-Type"]) == (b"body", "image/jpeg")
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(server.url("other.jpg"))
        assert url.startswith(f"http://{server.origin}/")


def test_prefetched_keeps_order_and_raises_the_error() -> None:
    def source():
        yield 1
        yield 2
        raise DeployError("no more")

    items = iter(Prefetched(source(), ahead=1))
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(DeployError, match="no more"):
        next(items)
