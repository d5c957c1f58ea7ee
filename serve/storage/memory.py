"""Objects in a dictionary: for tests and for trying a pipeline without a server."""

import hashlib
from collections.abc import Sequence
from threading import Lock

from serve.interfaces import StoredObject


class MemoryStore:
    """An `ObjectStore` that forgets everything with its process."""

    def __init__(self, uri: str = "memory://objects") -> None:
        self._uri = uri.rstrip("/")
        self._objects: dict[str, bytes] = {}
        self._lock = Lock()

    def put_if_absent(self, key: str, body: bytes, content_type: str) -> StoredObject:  # noqa: ARG002 - protocol
        """Write unless the key is taken; either way tell what is stored."""
        with self._lock:
            created = key not in self._objects
            stored = self._objects.setdefault(key, bytes(body))
        return self._stored(key, stored, created=created)

    def head(self, key: str) -> StoredObject | None:
        """What is stored under the key, or None."""
        body = self._objects.get(key)
        return None if body is None else self._stored(key, body, created=False)

    def get(self, key: str) -> bytes:
        """The object's bytes; `KeyError` where there is none."""
        return self._objects[key]

    def delete(self, keys: Sequence[str]) -> None:
        """Remove the objects; missing ones are no error."""
        with self._lock:
            for key in keys:
                self._objects.pop(key, None)

    def check(self) -> None:
        """Memory is always there."""

    def _stored(self, key: str, body: bytes, *, created: bool) -> StoredObject:
        digest = hashlib.sha256(body).hexdigest()
        return StoredObject(key=key, uri=f"{self._uri}/{key}", sha256=digest, bytes=len(body), created=created)
