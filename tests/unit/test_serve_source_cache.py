"""Kept source photos: whose they are, how many, for how long, and what may be kept at all."""

import hashlib
import logging
import os
import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.errors import ErasureFailed
from serve.fetcher.cache import KeptSource, SourceCache
from serve.fetcher.freshness import Validators, validators
from serve.interfaces import SourceOwner
from serve.settings import ServeSettings
from serve.studio import source_cache

ME = SourceOwner(tenant="acme", listing="1")
URL = "https://photos.example/a.jpg?X-Amz-Signature=secret-of-the-link"
DAY_S = 86_400.0


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def photo(body: bytes = b"photo", etag: str = '"1"') -> KeptSource:
    return KeptSource(
        body=body,
        sha256=hashlib.sha256(body).hexdigest(),
        validators=Validators(etag=etag),
        came_from="f" * 64,
        content_type="image/jpeg",
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(tmp_path: Path, clock: Clock) -> SourceCache:
    return SourceCache(tmp_path / "kept" / "sources.db", max_bytes=100, max_entries=5, max_age_s=DAY_S, clock=clock)


def test_a_photo_comes_back_whole_and_in_its_newest_form(cache: SourceCache) -> None:
    assert cache.get(ME, URL) is None
    cache.put(ME, URL, photo())
    assert cache.get(ME, URL) == photo()
    cache.put(ME, URL, photo(b"newer", '"2"'))
    assert cache.get(ME, URL) == photo(b"newer", '"2"')
    assert cache.size() == (1, 5)


@pytest.mark.parametrize(
    "other",
    [
        SourceOwner(tenant="other", listing="1"),
        SourceOwner(tenant="acme", listing="2"),
        SourceOwner(tenant="acm", listing="e1"),
        SourceOwner(tenant="", listing="acme\x001"),
    ],
)
def test_nobody_else_gets_it_or_erases_it(cache: SourceCache, other: SourceOwner) -> None:
    cache.put(ME, URL, photo())
    assert cache.get(other, URL) is None
    assert cache.erase(other) == 0
    assert cache.erase(other, [URL]) == 0
    assert cache.get(ME, URL) == photo()


def test_a_listing_is_erased_whole_or_by_url(cache: SourceCache) -> None:
    for url in ("a", "b", "c"):
        cache.put(ME, url, photo())
    assert cache.erase(ME, ["a", "unknown"]) == 1
    assert cache.get(ME, "a") is None
    assert cache.get(ME, "b") is not None
    assert cache.erase(ME) == 2
    assert cache.size() == (0, 0)
    assert cache.erase(ME) == 0


def test_what_is_erased_is_gone_from_the_file_and_the_url_never_was_in_it(cache: SourceCache, tmp_path: Path) -> None:
    cache.put(ME, URL, photo(b"face of a person"))
    folder = tmp_path / "kept"
    assert any(b"face of a person" in path.read_bytes() for path in folder.iterdir())
    assert not any(b"secret-of-the-link" in path.read_bytes() for path in folder.iterdir())
    cache.erase(ME)
    assert not any(b"face of a person" in path.read_bytes() for path in folder.iterdir())


def test_only_the_owner_of_the_process_may_read_the_file(cache: SourceCache, tmp_path: Path) -> None:
    cache.put(ME, URL, photo())
    assert stat.S_IMODE((tmp_path / "kept" / "sources.db").stat().st_mode) == 0o600


def test_bytes_are_bounded_and_what_was_unused_longest_goes_first(cache: SourceCache, clock: Clock) -> None:
    for url in ("a", "b", "c"):
        clock.now += 1
        cache.put(ME, url, photo(b"x" * 30))
    clock.now += 1
    assert cache.get(ME, "a") is not None
    cache.put(ME, "d", photo(b"x" * 30))
    assert cache.get(ME, "b") is None
    assert all(cache.get(ME, url) is not None for url in ("a", "c", "d"))
    cache.put(ME, "e", photo(b"x" * 101))
    assert cache.get(ME, "e") is None
    assert cache.size() == (3, 90)


def test_entries_are_bounded(cache: SourceCache, clock: Clock) -> None:
    for number in range(20):
        clock.now += 1
        cache.put(ME, str(number), photo(b"x"))
    assert cache.size() == (5, 5)


def test_age_counts_from_the_first_fetch_and_use_makes_nothing_younger(cache: SourceCache, clock: Clock) -> None:
    cache.put(ME, "old", photo())
    clock.now += DAY_S / 2
    cache.put(ME, "new", photo())
    assert cache.get(ME, "old") is not None
    clock.now += DAY_S / 2
    assert cache.get(ME, "old") is None
    assert cache.size()[0] == 2
    assert cache.prune() == 1
    assert cache.prune(max_age_s=60) == 1
    assert cache.size() == (0, 0)


def test_a_damaged_photo_or_file_is_forgotten(cache: SourceCache, tmp_path: Path) -> None:
    path = tmp_path / "kept" / "sources.db"
    cache.put(ME, URL, photo())
    with sqlite3.connect(path) as db:
        db.execute("UPDATE source SET body = x'00'")
    assert cache.get(ME, URL) is None
    assert cache.size() == (0, 0)
    path.write_bytes(b"no database at all" * 100)
    assert cache.get(ME, URL) is None
    cache.put(ME, URL, photo())
    assert cache.get(ME, URL) == photo()


def test_a_cache_that_cannot_write_keeps_nothing_but_never_claims_to_have_erased(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = SourceCache(tmp_path / "sources.db", max_bytes=100, max_age_s=DAY_S)
    cache.put(ME, URL, photo())
    monkeypatch.setattr("serve.fetcher.cache._BUSY_S", 0.01)
    with sqlite3.connect(tmp_path / "sources.db", isolation_level=None) as other, caplog.at_level(logging.WARNING):
        other.execute("BEGIN EXCLUSIVE")
        assert cache.get(ME, URL) is None
        cache.put(ME, URL, photo(b"other"))
        for erase in (lambda: cache.erase(ME), lambda: cache.erase(ME, [URL]), cache.prune):
            with pytest.raises(ErasureFailed):
                erase()
        other.execute("ROLLBACK")
    assert cache.get(ME, URL) == photo()
    assert "secret-of-the-link" not in caplog.text
    (tmp_path / "file").write_text("")
    beneath = SourceCache(tmp_path / "file" / "sources.db", max_bytes=100, max_age_s=DAY_S)
    beneath.put(ME, URL, photo())
    assert beneath.get(ME, URL) is None


def test_two_replicas_share_the_file(tmp_path: Path) -> None:
    first, second = (SourceCache(tmp_path / "sources.db", max_bytes=10_000, max_age_s=DAY_S) for _ in range(2))

    def use(number: int) -> bool:
        mine, theirs = (first, second) if number % 2 else (second, first)
        mine.put(ME, str(number), photo())
        return theirs.get(ME, str(number)) == photo()

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(use, range(40)))
    assert second.erase(ME) == 40
    assert first.get(ME, "1") is None


def test_the_settings_keep_nothing_unless_told(tmp_path: Path) -> None:
    assert source_cache(ServeSettings(state_dir=tmp_path)) is None
    assert source_cache(ServeSettings(state_dir=tmp_path, fetch_cache_mib=1, retention_days=0)) is None
    cache = source_cache(ServeSettings(state_dir=tmp_path, fetch_cache_mib=1))
    assert cache is not None
    cache.put(ME, URL, photo())
    assert os.listdir(tmp_path) == ["sources.db"]  # noqa: PTH208


NOW, OLD, JUST = "Sun, 22 Nov 2026 12:00:00 GMT", "Sat, 21 Nov 2026 12:00:00 GMT", "Sun, 22 Nov 2026 11:59:30 GMT"


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"etag": '"a"'}, Validators(etag='"a"')),
        ({"etag": 'W/"a"', "cache-control": "private, max-age=0"}, Validators(etag='W/"a"')),
        ({"last-modified": OLD, "date": NOW}, Validators(last_modified=OLD)),
        ({"etag": '"a"', "last-modified": OLD, "date": NOW}, Validators(etag='"a"', last_modified=OLD)),
        ({"last-modified": JUST, "date": NOW}, None),  # may change again within the same second
        ({"last-modified": OLD}, None),
        ({"last-modified": "yesterday", "date": NOW}, None),
        ({"last-modified": OLD, "date": "soon"}, None),
        ({"etag": '"a"', "cache-control": "No-Store"}, None),
        ({"etag": '"a"', "cache-control": 'max-age=9, no-store="x"'}, None),
        ({"etag": '"a"', "vary": "accept, *"}, None),
        ({"etag": "a"}, None),
        ({"etag": '"a"\r\nx: y'}, None),
        ({"etag": '"' + "a" * 300 + '"'}, None),
        ({"etag": '"\xff"'}, None),
        ({}, None),
    ],
)
def test_what_may_be_kept_and_how_it_is_asked_about(fields: dict[str, str], found: Validators | None) -> None:
    assert validators({name.encode(): value for name, value in fields.items()}) == found


@given(st.dictionaries(st.sampled_from([b"etag", b"last-modified", b"date", b"cache-control", b"vary"]), st.text()))
def test_no_answer_of_a_server_makes_a_header_that_cannot_be_sent(fields: dict[bytes, str]) -> None:
    found = validators(fields)
    for _, value in found.asked() if found else ():
        assert value.isascii()
        assert value.decode().isprintable()
