"""Tasks that may go to Serve, by topic, taken in proportion to the topics' weights.

Stride scheduling (Waldspurger and Weihl, 1995): every topic has a pass that grows by 1/weight with each task taken,
and the lowest pass goes next. A topic that was empty joins at the pass of the others, so nobody saves up turns, and
the lowest weight still gets its share: nobody starves.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from consumers.core.task import Place, Task


@dataclass(slots=True)
class _Queue:
    stride: float
    tasks: deque[Task] = field(default_factory=deque)
    at: float = 0.0


class Ready:
    """FIFO within a topic, weighted between topics. Tasks whose place is no longer READY are passed by."""

    def __init__(self, weights: Mapping[str, int]) -> None:
        self._weights = weights
        self._queues: dict[str, _Queue] = {}
        self._at = 0.0

    def push(self, task: Task) -> None:
        """To the end of its topic's queue."""
        task.place = Place.READY
        self._queue(task).tasks.append(task)

    def put_back(self, tasks: Iterable[Task]) -> None:
        """To the front, in this order: nothing was tried."""
        for task in reversed(list(tasks)):
            task.place = Place.READY
            self._queue(task).tasks.appendleft(task)

    def peek(self) -> Task | None:
        """The task whose turn it is; None where nothing is ready."""
        queue = self._next()
        return None if queue is None else queue.tasks[0]

    def pop(self) -> None:
        """Take what `peek` gave."""
        queue = self._next()
        if queue is not None:
            queue.tasks.popleft()
            self._at = queue.at
            queue.at += queue.stride

    def _queue(self, task: Task) -> _Queue:
        topic = task.origin.tp.topic
        queue = self._queues.get(topic)
        if queue is None:
            queue = self._queues[topic] = _Queue(1.0 / self._weights.get(topic, 1))
        if not queue.tasks:
            queue.at = max(queue.at, self._at)
        return queue

    def _next(self) -> _Queue | None:
        found = None
        for queue in self._queues.values():
            tasks = queue.tasks
            while tasks and tasks[0].place is not Place.READY:
                tasks.popleft()
            if tasks and (found is None or queue.at < found.at):
                found = queue
        return found
