"""What every `ObjectStore` must do; each store's test class gives the fixture `store` and inherits these tests."""

import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from serve.interfaces import ObjectStore
from tests.support.servers import unique

BODY = b"\x00\xffpicture" * 500


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


class StoreContract:
    """Inherit and give a fixture `store`."""

    @pytest.fixture
    def key(self) -> str:
        return f"tenant/{unique('object')}.jpg"

    def test_what_is_put_can_be_had_again(self, store: ObjectStore, key: str) -> None:
        stored = store.put_if_absent(key, BODY, "image/jpeg")
        assert stored.created
        assert (stored.key, stored.sha256, stored.bytes) == (key, _sha256(BODY), len(BODY))
        assert stored.uri.endswith(f"/{key}")
        assert store.get(key) == BODY

    def test_first_write_wins_and_the_second_is_told_what_is_there(self, store: ObjectStore, key: str) -> None:
        first = store.put_if_absent(key, BODY, "image/jpeg")
        second = store.put_if_absent(key, b"other", "image/jpeg")
        assert not second.created
        assert (second.uri, second.sha256, second.bytes) == (first.uri, _sha256(BODY), len(BODY))
        assert store.get(key) == BODY

    def test_of_many_writers_at_once_exactly_one_wins(self, store: ObjectStore, key: str) -> None:
        bodies = [f"writer {number}".encode() for number in range(8)]
        with ThreadPoolExecutor(8) as pool:
            stored = list(pool.map(lambda body: store.put_if_absent(key, body, "image/png"), bodies))
        assert [entry.created for entry in stored].count(True) == 1
        assert {entry.sha256 for entry in stored} == {_sha256(store.get(key))}

    def test_head_tells_digest_and_size(self, store: ObjectStore, key: str) -> None:
        assert store.head(key) is None
        store.put_if_absent(key, BODY, "image/jpeg")
        found = store.head(key)
        assert found is not None
        assert (found.key, found.sha256, found.bytes, found.created) == (key, _sha256(BODY), len(BODY), False)

    def test_a_missing_object_is_a_key_error(self, store: ObjectStore, key: str) -> None:
        with pytest.raises(KeyError):
            store.get(key)

    def test_delete_takes_away_and_ignores_what_is_missing(self, store: ObjectStore, key: str) -> None:
        store.put_if_absent(key, BODY, "image/jpeg")
        store.put_if_absent(key + "2", BODY, "image/jpeg")
        store.delete([key, key + "2", key + "-never-there"])
        assert store.head(key) is None
        assert store.head(key + "2") is None
        store.delete([])

    def test_a_deleted_key_can_be_written_anew(self, store: ObjectStore, key: str) -> None:
        store.put_if_absent(key, BODY, "image/jpeg")
        store.delete([key])
        assert store.put_if_absent(key, b"anew", "image/jpeg").created
        assert store.get(key) == b"anew"

    def test_an_empty_object_is_an_object(self, store: ObjectStore, key: str) -> None:
        assert store.put_if_absent(key, b"", "image/jpeg").created
        assert store.get(key) == b""

    def test_check_passes_where_the_bucket_is(self, store: ObjectStore) -> None:
        store.check()
