"""Key lanes: items of one key run one by one in the order in which they came; keys do not wait for each other."""

from collections import deque
from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Item = TypeVar("Item")


class Lanes(Generic[Key, Item]):
    """One FIFO per key; only its head may run."""

    def __init__(self) -> None:
        self._lanes: dict[Key, deque[Item]] = {}

    def __len__(self) -> int:
        return len(self._lanes)

    def join(self, key: Key, item: Item) -> bool:
        """Queue the item; whether it is the head, so that it may run at once."""
        lane = self._lanes.get(key)
        if lane is None:
            self._lanes[key] = deque((item,))
            return True
        lane.append(item)
        return False

    def leave(self, key: Key, item: Item) -> Item | None:
        """The head is finished; give the item that may run now, if any. Raise ValueError if it was not the head."""
        lane = self._lanes.get(key)
        if lane is None or lane[0] is not item:
            raise ValueError(f"not the head of its lane: {key!r}")
        lane.popleft()
        if lane:
            return lane[0]
        del self._lanes[key]
        return None

    def purge(self, keys: Iterable[Key], gone: Callable[[Item], bool]) -> list[Item]:
        """Take the items that are gone out of these lanes; give the new heads that may run now."""
        heads = []
        for key in keys:
            lane = self._lanes.get(key)
            if lane is None:
                continue
            kept = deque(item for item in lane if not gone(item))
            if not kept:
                del self._lanes[key]
                continue
            self._lanes[key] = kept
            if kept[0] is not lane[0]:
                heads.append(kept[0])
        return heads
