"""When to commit what. One commit is under way at a time, so that offsets reach the broker in order."""

from collections.abc import Iterable
from dataclasses import dataclass

from consumers.core.actions import Commit
from consumers.core.limits import Limits
from consumers.core.task import Assignment
from consumers.core.tracker import Snapshot
from consumers.records import TopicPartition


@dataclass(frozen=True, slots=True)
class _UnderWay:
    commit_id: int
    deadline: float
    #: What becomes true when it succeeds. An assignment that ended since is touched in vain, which harms nobody.
    versions: tuple[tuple[Assignment, int], ...]


class Committer:
    """Commits the snapshot of every partition that changed, every second or hundred completions."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._last_id = 0
        self._due_at = 0.0
        self._completions = 0
        self._under_way: _UnderWay | None = None
        self._with_bitmap = True
        #: Commits in a row that were never answered.
        self.unanswered = 0

    def waiting(self, now: float) -> bool:
        """Whether a commit waits for its answer and still may."""
        if self._under_way is not None and now >= self._under_way.deadline:
            self._under_way = None
            self.unanswered += 1
        return self._under_way is not None

    def completed(self) -> None:
        """An event was done."""
        self._completions += 1

    def due(self, now: float, assignments: Iterable[Assignment]) -> Commit | None:
        """The commit to send now, if it is time and something changed."""
        if self.waiting(now) or (now < self._due_at and self._completions < self._limits.commit_every):
            return None
        return self.flush(now, assignments)

    def flush(self, now: float, assignments: Iterable[Assignment]) -> Commit | None:
        """The commit of everything that changed, now; replaces one that is under way."""
        changed = [a for a in assignments if a.tracker.version != a.committed_version]
        offsets = self._snapshots(changed)
        self._due_at = now + self._limits.commit_every_s
        self._completions = 0
        if not offsets:
            return None
        self._last_id += 1
        versions = tuple((a, a.tracker.version) for a in changed)
        self._under_way = _UnderWay(self._last_id, now + self._limits.commit_deadline_s, versions)
        return Commit(self._last_id, offsets)

    def closing(self, assignments: Iterable[Assignment]) -> Commit | None:
        """The last commit of partitions that are leaving. Nobody waits for its answer here."""
        offsets = self._snapshots(a for a in assignments if a.tracker.version != a.committed_version)
        if not offsets:
            return None
        self._last_id += 1
        return Commit(self._last_id, offsets, closing=True)

    def answered(self, commit_id: int, *, stored: bool, metadata_refused: bool = False) -> None:
        """The broker answered. What failed stays changed and goes with the next commit."""
        self.unanswered = 0
        self._with_bitmap &= not metadata_refused
        under_way = self._under_way
        if under_way is None or under_way.commit_id != commit_id:
            return
        self._under_way = None
        if stored:
            for assignment, version in under_way.versions:
                assignment.committed_version = version

    def _snapshots(self, changed: Iterable[Assignment]) -> dict[TopicPartition, Snapshot]:
        taken = ((a.tp, a.tracker.snapshot(with_bitmap=self._with_bitmap)) for a in changed)
        return {tp: snapshot for tp, snapshot in taken if snapshot is not None}
