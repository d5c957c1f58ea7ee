"""Shots without pictures worth the name, and a stage that notes what it is given."""

import threading
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from serve.catalog.recipe import Variant
from serve.interfaces import Shot, ShotFailure, SourceImage

VARIANT = Variant.model_validate({"name": "v", "operations": [{"op": "studio"}]})
PATIENCE_S = 30


class Recorder:
    """A stage that notes its batches, and in which thread they ran; it may wait at a gate, and pass some shots by."""

    def __init__(self, name: str = "generation", gate: threading.Event | None = None) -> None:
        self.name = name
        self.batches: list[str] = []
        self.threads: set[int] = set()
        self.began = threading.Event()
        self.passing: set[str] = set()
        self._gate = gate

    def models(self, _: Variant) -> tuple[()]:
        return ()

    def bucket(self, shot: Shot) -> str | None:
        return None if shot.key in self.passing else shot.source.format

    def run(self, batch: Sequence[Shot]) -> list[Shot | ShotFailure]:
        self.began.set()
        if self._gate is not None:
            assert self._gate.wait(PATIENCE_S)
        self.threads.add(threading.get_ident())
        self.batches.append("".join(shot.key for shot in batch))
        return [replace(shot, seed=shot.seed + 1) for shot in batch]

    def warm_up(self) -> None: ...


def shot(key: str, bucket: str = "jpeg") -> Shot:
    source = SourceImage(image_id=key, sha256=key, pixels=np.zeros((2, 2, 3), np.uint8), format=bucket)
    return Shot(source=source, variant=VARIANT, key=key, seed=0)
