"""How many pictures go through a net together, so that none comes out differently for the company it was in.

Kernels are chosen by the shape of a batch, and work on it is shared out among threads by a picture's place: the last
bits of what a net gives depend on both, and a bit is enough for a pixel to be rounded to the next level.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_batches(
    items: Sequence[Item],
    work: Callable[[Sequence[Item]], Sequence[Result]],
    *,
    device: torch.device,
    most: int,
    fixed: int | None = None,
) -> list[Result]:
    """One result per item, in order.

    On the CPU items go one by one, since a batch is no quicker there. Elsewhere at most `most` go together; with
    `fixed` every batch has exactly so many, the last one with copies of its first item in the place of what is missing.
    """
    size = 1 if device.type == "cpu" else max(1, min(most, fixed or most))
    results: list[Result] = []
    for first in range(0, len(items), size):
        part = list(items[first : first + size])
        missing = size - len(part) if fixed else 0
        results += work(part + part[:1] * missing)[: len(part)]
    return results
