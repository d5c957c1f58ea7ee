"""Search for products that look alike: exact, over embeddings of length 1 in a memory-mapped file.

A folder holds `about.json` (length and maker of the embeddings), `vectors.f16` and `ids.jsonl`, a line per vector. Both
grow at their ends; a line is written after its vector, so what a kill leaves half done is not counted and overwritten.
"""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

#: Two photos at least this alike show the same photo, or nearly so. Measured, see the card of the weights.
NEAR_DUPLICATE = 0.9
#: Rows that are compared at once.
_BLOCK = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """A product that looks alike."""

    id: str
    #: Scalar product of the embeddings, -1..1.
    similarity: float

    @property
    def near_duplicate(self) -> bool:
        """Whether it is nearly the same photo."""
        return self.similarity >= NEAR_DUPLICATE


class Neighbours:
    """An index in a folder. One process may add; any number may search what was there when they opened it."""

    def __init__(self, folder: Path, *, length: int, made_by: str) -> None:
        """Open or begin an index; `ValueError` where the folder holds embeddings of another model or length."""
        self._folder, self._length = folder, length
        about = {"length": length, "made_by": made_by}
        path = folder / "about.json"
        if path.is_file():
            found = json.loads(path.read_text("utf-8"))
            if found != about:
                raise ValueError(f"{folder} holds embeddings of {found}, not of {about}: begin another index")
        else:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(about), "utf-8")
        self._ids = self._stored_ids()

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, ids: Sequence[str], embeddings: NDArray[np.float32]) -> None:
        """Add products; an id may occur more than once (several photos of a product)."""
        if embeddings.shape != (len(ids), self._length):
            raise ValueError(f"{len(ids)} ids need embeddings [{len(ids)}, {self._length}], not {embeddings.shape}")
        vectors, lines = self._folder / "vectors.f16", self._folder / "ids.jsonl"
        with vectors.open("r+b" if vectors.is_file() else "w+b") as file:
            file.seek(len(self._ids) * self._length * 2)
            file.write(embeddings.astype("<f2").tobytes())
            file.truncate()
            file.flush()
            os.fsync(file.fileno())
        with lines.open("r+b" if lines.is_file() else "w+b") as file:
            file.seek(sum(len(_line(one)) for one in self._ids))
            file.write(b"".join(_line(one) for one in ids))
            file.truncate()
            file.flush()
            os.fsync(file.fileno())
        self._ids += ids

    def search(
        self, embedding: NDArray[np.float32], count: int = 10, *, leave_out: Iterable[str] = ()
    ) -> list[Neighbour]:
        """The most alike first, one per id."""
        without, best = frozenset(leave_out), dict[str, float]()
        alike = self._similarities(embedding)
        for row in np.argsort(-alike, kind="stable"):
            one = self._ids[row]
            if one not in without and one not in best:
                best[one] = round(float(alike[row]), 4)
            if len(best) == count:
                break
        return [Neighbour(id=one, similarity=similarity) for one, similarity in best.items()]

    def _similarities(self, embedding: NDArray[np.float32]) -> NDArray[np.float32]:
        if not self._ids:
            return np.empty(0, np.float32)
        shape = (len(self._ids), self._length)
        stored = np.memmap(self._folder / "vectors.f16", "<f2", "r", shape=shape)
        blocks = (stored[first : first + _BLOCK].astype(np.float32) for first in range(0, len(stored), _BLOCK))
        return np.concatenate([block @ embedding for block in blocks])

    def _stored_ids(self) -> list[str]:
        path, vectors = self._folder / "ids.jsonl", self._folder / "vectors.f16"
        if not path.is_file() or not vectors.is_file():
            return []
        whole = [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
        return [json.loads(line) for line in whole][: vectors.stat().st_size // (2 * self._length)]


def _line(one: str) -> bytes:
    return json.dumps(one).encode() + b"\n"
