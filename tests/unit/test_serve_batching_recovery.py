from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from serve.batching.recovery import run_recovering
from serve.catalog.recipe import Variant
from serve.errors import OutOfMemory
from serve.interfaces import Shot, ShotFailure, SourceImage

VARIANT = Variant.model_validate({"name": "v", "operations": [{"op": "studio"}]})


def shots(count: int) -> list[Shot]:
    source = SourceImage(image_id="a", sha256="a", pixels=np.zeros((2, 2, 3), np.uint8), format="jpeg")
    return [Shot(source=source, variant=VARIANT, key=str(number), seed=number) for number in range(count)]


class Fussy:
    """Takes at most so many shots at once, and never those that are poison."""

    name = "generation"

    def __init__(self, most: int = 1000, poison: Sequence[int] = ()) -> None:
        self.most = most
        self.poison = set(poison)
        self.sizes: list[int] = []

    def models(self, _: Variant) -> tuple[()]:
        return ()

    def bucket(self, _: Shot) -> str:
        return ""

    def run(self, batch: Sequence[Shot]) -> list[Shot | ShotFailure]:
        self.sizes.append(len(batch))
        if len(batch) > self.most:
            raise MemoryError
        if any(shot.seed in self.poison for shot in batch):
            raise RuntimeError("poison")
        return list(batch)

    def warm_up(self) -> None: ...


def failed(made: Sequence[Shot | ShotFailure]) -> list[int]:
    return [place for place, one in enumerate(made) if isinstance(one, ShotFailure)]


@given(st.integers(1, 40), st.sets(st.integers(0, 39), max_size=5), st.integers(1, 40))
def test_poison_fails_alone_and_the_order_stays(count: int, poison: set[int], most: int) -> None:
    stage = Fussy(most, sorted(poison))
    batch = shots(count)
    recovered = run_recovering(stage, batch)
    assert [one.seed if isinstance(one, Shot) else one.shot.seed for one in recovered.shots] == list(range(count))
    assert set(failed(recovered.shots)) == {number for number in poison if number < count}
    assert recovered.too_many is None or recovered.too_many > most
    assert (recovered.too_many is None) == (count <= most)


def test_one_bad_shot_among_many_costs_a_logarithm_of_runs() -> None:
    stage = Fussy(poison=[21])
    run_recovering(stage, shots(64))
    assert len(stage.sizes) == 1 + 2 * 6


def test_a_shot_that_needs_too_much_memory_alone_may_come_again() -> None:
    recovered = run_recovering(Fussy(most=0), shots(2))
    assert all(isinstance(one, ShotFailure) and isinstance(one.error, OutOfMemory) for one in recovered.shots)
    assert recovered.too_many == 1


def test_a_stage_that_loses_a_shot_is_caught() -> None:
    class Lossy(Fussy):
        def run(self, batch: Sequence[Shot]) -> list[Shot | ShotFailure]:
            return super().run(batch)[: max(1, len(batch) - 1)]

    stage = Lossy()
    recovered = run_recovering(stage, shots(4))
    assert [one.seed for one in recovered.shots if isinstance(one, Shot)] == [0, 1, 2, 3]


def test_nothing_more_is_computed_when_nobody_waits() -> None:
    stage = Fussy(poison=[0])
    recovered = run_recovering(stage, shots(8), lambda: bool(stage.sizes))
    assert stage.sizes == [8]
    assert failed(recovered.shots) == list(range(8))
