"""Key lanes: events of one listing run one by one, and of several revisions that wait only the newest runs at all."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from consumers.core.task import WAITING, Place, Task


class Joined(NamedTuple):
    """What a task's arrival means for its lane."""

    #: The head that may run now, if it is another one than before.
    head: Task | None
    #: Tasks that are out of the lane for good, because a newer revision waits.
    superseded: list[Task]
    #: That revision.
    by_revision: int


@dataclass(slots=True)
class _Lane:
    queue: deque[Task]
    #: Of the tasks with the highest revision the one that came last; all others of its revision run before it.
    newest: Task
    #: Those that a newer revision can make void, and some that have left. Deletions stay out: of them thousands may
    #: wait, and they would be looked through with each arrival.
    replaceable: list[Task] = field(default_factory=list)

    def add(self, task: Task) -> None:
        """The task is the last one now."""
        task.laned = True
        self.queue.append(task)
        if task.replaceable:
            self.replaceable.append(task)
        if len(self.replaceable) > 2 * len(self.queue):
            self._forget()

    def void(self, revision: int) -> list[Task]:
        """The waiting ones that this revision makes void."""
        self._forget()
        return [task for task in self.replaceable if task.place in WAITING and task.revision < revision]

    def _forget(self) -> None:
        self.replaceable = [task for task in self.replaceable if task.laned]


class Lanes:
    """One FIFO per listing; only its head may run."""

    def __init__(self) -> None:
        self._lanes: dict[str, _Lane] = {}

    def __len__(self) -> int:
        return len(self._lanes)

    def join(self, task: Task) -> Joined:
        """Queue the task, unless a newer revision waits already; those that it makes void leave."""
        lane, revision = self._lanes.get(task.key), task.revision
        if lane is None:
            lane = self._lanes[task.key] = _Lane(deque(), task)
            lane.add(task)
            return Joined(task, [], revision)
        newest = lane.newest
        rival = newest.revision if newest.place in WAITING and newest.laned else -1
        if revision < rival and task.replaceable:
            return Joined(None, [task], rival)
        void = lane.void(revision) if revision > rival >= 0 else []
        old_head = lane.queue[0]
        for loser in void:
            loser.laned = False
        if void:
            lane.queue = deque(other for other in lane.queue if other.laned)
        lane.add(task)
        lane.newest = task if revision >= rival else newest
        head = lane.queue[0]
        return Joined(None if head is old_head else head, void, revision)

    def is_head(self, task: Task) -> bool:
        """Whether nothing of its listing is before it."""
        return self._lanes[task.key].queue[0] is task

    def leave(self, task: Task) -> Task | None:
        """The task is finished; give the one that may run now, if that changed."""
        if not task.laned:
            return None
        task.laned = False
        queue = self._lanes[task.key].queue
        if queue[0] is not task:
            queue.remove(task)
            return None
        queue.popleft()
        if queue:
            return queue[0]
        del self._lanes[task.key]
        return None

    def purge(self, keys: Iterable[str]) -> list[Task]:
        """Take the tasks that are gone out of these lanes; give the new heads that may run now."""
        heads = []
        for key in keys:
            lane = self._lanes.get(key)
            if lane is None:
                continue
            old_head = lane.queue[0]
            for task in lane.queue:
                task.laned = task.place is not Place.GONE
            lane.queue = deque(task for task in lane.queue if task.laned)
            if not lane.queue:
                del self._lanes[key]
            elif lane.queue[0] is not old_head:
                heads.append(lane.queue[0])
        return heads
