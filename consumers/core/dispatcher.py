"""Which event goes to Serve when: key lanes, requests, and the tries that are under way.

Every try of an event has a number of its own, the `ref` of the exchange. An answer is accepted only while its ref is
known, so an answer to a try that was given up, cancelled or belonged to an older assignment finds nothing to change.
"""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from consumers.core.actions import CancelItems, Item, Send
from consumers.core.flow import Credit
from consumers.core.lanes import Joined, Lanes
from consumers.core.limits import Limits
from consumers.core.ready import Ready
from consumers.core.retry import RetryPolicy
from consumers.core.task import Company, Place, Task
from consumers.events import ListingEvent


@dataclass(frozen=True, slots=True)
class Try:
    """One try of a task, with Serve now."""

    ref: int
    task: Task
    request_id: int
    deadline: float


class Dispatcher:
    """A live task is in exactly one place: in its lane, ready, sleeping, with Serve, or answered."""

    def __init__(self, limits: Limits, policy: RetryPolicy, credit: Credit) -> None:
        self._limits = limits
        self._policy = policy
        self._credit = credit
        self._lanes = Lanes()
        self._ready = Ready(limits.weights)
        self._sleeping: list[tuple[float, int, Task]] = []
        self._tries: dict[int, Try] = {}
        self._requests: dict[int, dict[int, Try]] = {}
        self._probe = 0
        self._bytes = 0
        self._numbers = 0

    @property
    def in_flight(self) -> int:
        """Events with Serve."""
        return len(self._tries)

    def admit(self, task: Task) -> Joined:
        """A new task joins its lane; those that it makes void leave, and may be the task itself."""
        joined = self._lanes.join(task)
        self._let_run(joined.head)
        return joined

    def finish(self, task: Task) -> None:
        """The task has left for good; the next of its listing may go."""
        self._let_run(self._lanes.leave(task))

    def again(self, tasks: Iterable[Task]) -> None:
        """Back to the front, in this order: nothing was tried."""
        self._ready.put_back(tasks)

    def sleep(self, task: Task, until: float) -> None:
        """Ready again at this time."""
        task.place = Place.SLEEPING
        heapq.heappush(self._sleeping, (until, self._number(), task))

    def wake(self, now: float) -> None:
        """Move the tasks whose time has come to the ready ones."""
        while self._sleeping and self._sleeping[0][0] <= now:
            task = heapq.heappop(self._sleeping)[2]
            if task.place is Place.SLEEPING:
                task.place = Place.LANE
                self._let_run(task if self._lanes.is_head(task) else None)

    def give_up(self, task: Task) -> list[CancelItems]:
        """Stop the try of this task, if one is under way."""
        return self._cancel([attempt for attempt in self._tries.values() if attempt.task is task])

    def answered(self, ref: int) -> Task | None:
        """Serve answered this try; None if nobody waits for it any more."""
        attempt = self._tries.get(ref)
        return None if attempt is None else self._release(attempt)

    def close(self, request_id: int) -> list[Task]:
        """The request is over; the tasks that it left unanswered, in the order in which they were sent."""
        return [self._release(attempt) for attempt in list(self._requests.get(request_id, {}).values())]

    def overdue(self, now: float) -> list[tuple[Task, CancelItems]]:
        """Give up the tries that took too long."""
        late = []
        # All tries have the same time, so the first one in the (ordered) dict is the first to be overdue.
        while self._tries and (attempt := next(iter(self._tries.values()))).deadline <= now:
            late.append((self._release(attempt), CancelItems(attempt.request_id, (attempt.ref,))))
        return late

    def drop(self, tasks: Iterable[Task]) -> list[CancelItems]:
        """These tasks are gone: take them out of their lanes and give up their tries."""
        keys = {task.key: None for task in tasks if isinstance(task.event, ListingEvent)}
        for head in self._lanes.purge(keys):
            self._let_run(head)
        return self._cancel([attempt for attempt in self._tries.values() if attempt.task.place is Place.GONE])

    def cancel_all(self) -> list[CancelItems]:
        """Give up every try that is under way."""
        return self._cancel(list(self._tries.values()))

    def chunks(self, now: float, unpublished: int) -> Iterator[Send]:
        """Form requests from the ready tasks as far as the credit goes; none where too many answers wait for Kafka."""
        if unpublished >= self._limits.max_unpublished:
            return
        while room := self._credit.room(now, self.in_flight, probing=self._probe in self._requests):
            chunk = self._take(min(room, self._credit.per_request))
            if not chunk:
                return
            request_id = self._number()
            self._requests[request_id] = {}
            if self._credit.breaker.tripped:
                self._probe = request_id
            yield Send(request_id, [self._start(task, request_id, now) for task in chunk])

    def _take(self, most: int) -> list[Task]:
        chunk: list[Task] = []
        size = self._bytes
        while len(chunk) < most and (task := self._ready.peek()) is not None:
            if not (self._may_join(task, chunk) and self._credit.fits(size, task.size)):
                break
            chunk.append(task)
            size += task.size
            self._ready.pop()
        return chunk

    def _let_run(self, head: Task | None) -> None:
        # A head that was diverted is answered already; it leaves by itself.
        if head is not None and head.place is Place.LANE:
            self._ready.push(head)

    def _may_join(self, task: Task, chunk: list[Task]) -> bool:
        if chunk:
            return task.company is chunk[-1].company is Company.ANY
        with_serve = next(iter(self._tries.values()), None)
        return with_serve is None or Company.NONE not in (task.company, with_serve.task.company)

    def _start(self, task: Task, request_id: int, now: float) -> Item:
        ref = self._number()
        attempt = Try(ref, task, request_id, now + self._limits.item_deadline_s)
        self._tries[ref] = self._requests[request_id][ref] = attempt
        self._bytes += task.size
        task.place = Place.WITH_SERVE
        return Item(ref, task.listing_event, task.origin, task.tries.attempt, self._policy.is_final(task.tries))

    def _release(self, attempt: Try) -> Task:
        del self._tries[attempt.ref]
        siblings = self._requests[attempt.request_id]
        del siblings[attempt.ref]
        if not siblings:
            del self._requests[attempt.request_id]
        self._bytes -= attempt.task.size
        return attempt.task

    def _cancel(self, attempts: list[Try]) -> list[CancelItems]:
        refs: dict[int, list[int]] = {}
        for attempt in attempts:
            self._release(attempt)
            refs.setdefault(attempt.request_id, []).append(attempt.ref)
        return [CancelItems(request_id, tuple(found)) for request_id, found in refs.items()]

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers
