"""Batches made ahead of time: by a thread, or by processes where a GPU learns faster than one core makes examples."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import cv2
from torch.utils.data import DataLoader, Dataset

B = TypeVar("B")

#: A process of its own pays from so many pieces of work.
_PER_PROCESS = 40


class _Batches(Dataset[B]):
    """The batches of some steps, by place."""

    def __init__(self, make: Callable[[int], B], numbers: Sequence[int]) -> None:
        self._make, self._numbers = make, numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, place: int) -> B:
        return self._make(self._numbers[place])


def ahead(make: Callable[[int], B], numbers: Sequence[int], readers: int) -> Iterator[B]:
    """`make(number)` of each number, in their order, whoever makes it: by one thread, or by `readers` processes.

    The processes are forked, for photos that are mapped into memory must not be copied; they use neither CUDA nor
    threads.
    """
    if readers > 1:
        yield from _forked(make, numbers, readers)
        return
    with ThreadPoolExecutor(1, thread_name_prefix="examples") as thread:
        coming = None
        for number in numbers:
            made, coming = coming, thread.submit(make, number)
            if made is not None:
                yield made.result()
        if coming is not None:
            yield coming.result()


def on_all_cores(make: Callable[[int], B], count: int) -> Iterator[B]:
    """`make(number)` of 0, 1, ... in their order, for work that is done once before the training."""
    return ahead(make, range(count), min(os.cpu_count() or 1, count // _PER_PROCESS))


def _forked(make: Callable[[int], B], numbers: Sequence[int], readers: int) -> Iterator[B]:
    loader = DataLoader(
        _Batches(make, numbers),
        batch_size=None,
        collate_fn=_as_it_is,
        num_workers=readers,
        multiprocessing_context="fork",
    )
    # OpenCV's threads do not survive a fork, and a child that waits for them waits for ever.
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    made = iter(loader)
    cv2.setNumThreads(threads)
    yield from made


def _as_it_is(batch: B) -> B:
    return batch
