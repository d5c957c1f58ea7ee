"""The index of embeddings: exact, kept in files, unharmed by a kill."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.pictures import Floats
from models.recognition.neighbours import NEAR_DUPLICATE, Neighbour, Neighbours

LENGTH = 16


def vectors(count: int, seed: int = 1) -> Floats:
    found = np.random.default_rng(seed).normal(0, 1, (count, LENGTH)).astype(np.float32)
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float32)


def index(folder: Path) -> Neighbours:
    return Neighbours(folder, length=LENGTH, made_by="model 1")


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 40), st.integers(1, 12), st.integers(0, 99))
def test_the_nearest_are_those_of_a_plain_loop(
    tmp_path_factory: pytest.TempPathFactory, count: int, wanted: int, seed: int
) -> None:
    stored, (query,) = vectors(count), vectors(1, seed + 2)
    book = index(tmp_path_factory.mktemp("index"))
    book.add([f"p{row}" for row in range(count)], stored)
    expected = sorted(((float(row @ query), f"p{place}") for place, row in enumerate(stored)), reverse=True)[:wanted]
    found = book.search(query, wanted)
    assert len(found) == min(wanted, count)
    assert [one.similarity for one in found] == pytest.approx([score for score, _ in expected], abs=2e-3)


def test_several_photos_of_a_product_are_one_neighbour(tmp_path: Path) -> None:
    book, stored = index(tmp_path), vectors(3)
    book.add(["shoe", "hat", "shoe"], stored)
    assert book.search(stored[2], 5)[0].id == "shoe"
    assert sorted(one.id for one in book.search(stored[2], 5)) == ["hat", "shoe"]
    assert [one.id for one in book.search(stored[2], 5, leave_out=["shoe"])] == ["hat"]


def test_it_is_there_again_and_grows(tmp_path: Path) -> None:
    stored = vectors(4)
    index(tmp_path).add(["a", "line\nbreak"], stored[:2])
    again = index(tmp_path)
    again.add(["c", "d"], stored[2:])
    for book in (again, index(tmp_path)):
        assert len(book) == 4
        assert [book.search(row, 1)[0].id for row in stored] == ["a", "line\nbreak", "c", "d"]


@pytest.mark.parametrize(("file", "cut"), [("vectors.f16", 5), ("ids.jsonl", 2)])
def test_what_a_kill_left_half_done_is_written_over(tmp_path: Path, file: str, cut: int) -> None:
    stored = vectors(3)
    index(tmp_path).add(["a", "b"], stored[:2])
    path = tmp_path / file
    path.write_bytes(path.read_bytes()[:-cut])
    book = index(tmp_path)
    assert len(book) == 1
    book.add(["c"], stored[2:])
    for one in (book, index(tmp_path)):
        assert [one.search(row, 1)[0].id for row in (stored[0], stored[2])] == ["a", "c"]


def test_an_empty_index_finds_nothing(tmp_path: Path) -> None:
    assert index(tmp_path).search(vectors(1)[0]) == []


def test_embeddings_of_another_model_or_length_are_refused(tmp_path: Path) -> None:
    index(tmp_path)
    with pytest.raises(ValueError, match="begin another index"):
        Neighbours(tmp_path, length=LENGTH, made_by="model 2")
    with pytest.raises(ValueError, match="2 ids need embeddings"):
        index(tmp_path).add(["a", "b"], vectors(3))


def test_the_threshold_tells_near_duplicates() -> None:
    assert Neighbour(id="a", similarity=NEAR_DUPLICATE).near_duplicate
    assert not Neighbour(id="a", similarity=NEAR_DUPLICATE - 0.01).near_duplicate
