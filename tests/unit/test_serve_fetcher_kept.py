"""Kept photos and pinned ones: asked about before they are used, and never another listing's or another version's."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from serve.errors import RetryClass, ServeError, SourceChanged, SourceNotFound, SourceUnreachable
from serve.fetcher.cache import SourceCache
from serve.fetcher.fetcher import SourceFetcher
from serve.fetcher.policy import FetchPolicy
from serve.interfaces import FetchedBytes, SourceOwner
from serve.schemas.exchange import EnrichItem
from serve.schemas.outcome import Outcome
from tests.support.photos import garment
from tests.support.small_studio import SmallStudio, item, small_studio
from tests.support.web import Handler, Web, redirect, reply, serving

PHOTO = b"\xff\xd8\xff photo" * 100
ME = SourceOwner(tenant="acme", listing="1")
OLD, NOW = "Sat, 21 Nov 2026 12:00:00 GMT", "Sun, 22 Nov 2026 12:00:00 GMT"


def versioned(web: Web, body: bytes, etag: str = "", **fields: str) -> Handler:
    """Answers 304 to whoever has this version already, as a server of files does."""
    tags = {"etag": etag} if etag else {"last_modified": OLD, "date": NOW}
    asked = f"if-none-match: {etag}" if etag else f"if-modified-since: {OLD}".lower()

    async def handler(writer: asyncio.StreamWriter) -> None:
        if asked in web.requests[-1].lower():
            writer.write(b"HTTP/1.1 304 Not Modified\r\n\r\n")
        else:
            await reply(body, **tags, **fields)(writer)

    return handler


@pytest.fixture
def cache(tmp_path: Path) -> SourceCache:
    return SourceCache(tmp_path / "sources.db", max_bytes=100_000, max_age_s=3600)


Fetch = Callable[..., Awaitable[FetchedBytes]]


def played(cache: SourceCache | None, play: Callable[[Web, Fetch], Awaitable[None]]) -> None:
    async def run() -> None:
        async with serving({}) as web:
            fetcher = SourceFetcher(FetchPolicy(origins=(web.origin,)), cache=cache)

            async def fetch(path: str = "/a.jpg", owner: SourceOwner | None = ME, **more: str) -> FetchedBytes:
                return await fetcher.fetch(web.url(path), owner=owner, **more)

            try:
                await play(web, fetch)
            finally:
                await fetcher.aclose()

    asyncio.run(asyncio.wait_for(run(), 60))


@pytest.mark.parametrize("etag", ['"v1"', 'W/"v1"', ""])
def test_a_photo_that_still_holds_is_not_moved_again(cache: SourceCache, etag: str) -> None:
    async def play(web: Web, fetch: Fetch) -> None:
        web.paths["/a.jpg"] = versioned(web, PHOTO, etag, content_type="image/jpeg")
        first = await fetch()
        assert "if-" not in web.requests[0].lower()
        second = await fetch()
        assert "if-" in web.requests[1].lower()
        assert first == second
        assert (second.body, second.content_type) == (PHOTO, "image/jpeg")

    played(cache, play)


def test_a_photo_that_changed_is_the_new_one_from_then_on(cache: SourceCache) -> None:
    async def play(web: Web, fetch: Fetch) -> None:
        web.paths["/a.jpg"] = versioned(web, PHOTO, '"v1"')
        await fetch()
        web.paths["/a.jpg"] = versioned(web, b"newer", '"v2"')
        assert (await fetch()).body == b"newer"
        assert (await fetch()).body == b"newer"
        assert 'if-none-match: "v2"' in web.requests[2].lower()

    played(cache, play)


@pytest.mark.parametrize(("status", "kind"), [(404, SourceNotFound), (503, SourceUnreachable)])
def test_a_kept_photo_is_no_answer_where_its_server_has_none(
    cache: SourceCache, status: int, kind: type[ServeError]
) -> None:
    async def play(web: Web, fetch: Fetch) -> None:
        web.paths["/a.jpg"] = versioned(web, PHOTO, '"v1"')
        await fetch()
        web.paths["/a.jpg"] = reply(b"", status)
        with pytest.raises(kind):
            await fetch()

    played(cache, play)


@pytest.mark.parametrize(
    "owner", [None, SourceOwner(tenant="other", listing="1"), SourceOwner(tenant="acme", listing="2")]
)
def test_nobody_is_asked_about_with_what_another_has(cache: SourceCache, owner: SourceOwner | None) -> None:
    async def play(web: Web, fetch: Fetch) -> None:
        web.paths["/a.jpg"] = versioned(web, PHOTO, '"v1"')
        await fetch()
        assert (await fetch(owner=owner)).body == PHOTO
        assert "if-none-match" not in web.requests[1].lower()

    played(cache, play)


def test_what_must_not_be_stored_is_not_and_what_was_goes(cache: SourceCache) -> None:
    async def play(web: Web, fetch: Fetch) -> None:
        web.paths["/a.jpg"] = versioned(web, PHOTO, '"v1"')
        await fetch()
        assert cache.size() == (1, len(PHOTO))
        web.paths["/a.jpg"] = reply(PHOTO, etag='"v2"', cache_control="no-store")
        await fetch()
        assert cache.size() == (0, 0)
        await fetch()
        assert cache.size() == (0, 0)

    played(cache, play)


def test_only_the_server_that_gave_a_photo_is_asked_about_it(cache: SourceCache) -> None:
    async def play(web: Web, fetch: Fetch) -> None:
        web.paths |= {"/a.jpg": redirect("/one.jpg"), "/one.jpg": versioned(web, PHOTO, '"v1"')}
        await fetch()
        await fetch()
        assert ["if-none-match" in request.lower() for request in web.requests] == [False, False, False, True]
        # The same tag of another file is another photo.
        web.paths |= {"/a.jpg": redirect("/two.jpg"), "/two.jpg": versioned(web, b"two", '"v1"')}
        assert (await fetch()).body == b"two"

    played(cache, play)


def test_not_modified_without_having_asked_is_no_photo(cache: SourceCache) -> None:
    async def play(web: Web, fetch: Fetch) -> None:
        web.paths["/a.jpg"] = reply(b"", 304)
        with pytest.raises(SourceNotFound):
            await fetch()

    played(cache, play)


def test_what_is_erased_is_fetched_anew(cache: SourceCache) -> None:
    async def play(web: Web, fetch: Fetch) -> None:
        web.paths["/a.jpg"] = versioned(web, PHOTO, '"v1"')
        await fetch()
        assert cache.erase(ME, [web.url("/a.jpg")]) == 1
        await fetch()
        assert "if-none-match" not in web.requests[1].lower()

    played(cache, play)


def test_a_cache_out_of_order_costs_nothing_but_itself(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    async def play(web: Web, fetch: Fetch) -> None:
        web.paths["/a.jpg"] = versioned(web, PHOTO, '"v1"')
        assert [(await fetch()).body for _ in range(2)] == [PHOTO, PHOTO]

    played(SourceCache(tmp_path / "file" / "sources.db", max_bytes=100_000, max_age_s=3600), play)


def test_bytes_other_than_those_of_the_event_are_refused(cache: SourceCache) -> None:
    digest = hashlib.sha256(PHOTO).hexdigest()

    async def play(web: Web, fetch: Fetch) -> None:
        web.paths["/a.jpg"] = versioned(web, PHOTO, '"v1"')
        for _ in range(2):  # from the server, and as kept
            assert (await fetch(sha256=digest)).sha256 == digest
            assert (await fetch(sha256=f" {digest.upper()}")).sha256 == digest
            for other in (hashlib.sha256(b"other").hexdigest(), digest[:-1], "", "no hash"):
                with pytest.raises(SourceChanged) as caught:
                    await fetch(sha256=other)
                assert caught.value.info().retry is RetryClass.PERMANENT

    played(cache, play)


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[SmallStudio]:
    with small_studio({"a": garment((200, 30, 30), 1)}, tmp_path) as built:
        yield built


def with_hash(sha256: str) -> EnrichItem:
    event = item("a")
    images = [event.listing.images[0].model_copy(update={"sha256": sha256})]
    listing = event.listing.model_copy(update={"images": images})
    return event.model_copy(update={"listing": listing})


def test_the_hash_of_an_event_holds_for_its_photo(studio: SmallStudio) -> None:
    result = asyncio.run(studio.pipeline.answer(with_hash("0" * 64)))
    assert (result.outcome, result.code, result.outputs) == (Outcome.FAILED, "source_changed", [])


@pytest.mark.parametrize("given", ["", hashlib.sha256(garment((200, 30, 30), 1)).hexdigest()])
def test_a_photo_with_its_own_hash_or_none_is_worked_on(studio: SmallStudio, given: str) -> None:
    result = asyncio.run(studio.pipeline.answer(with_hash(given)))
    assert result.outcome is Outcome.ENRICHED
    listing = item("a").listing
    assert studio.fetcher.owners == [SourceOwner(tenant=listing.tenant_id, listing=listing.listing_id)]
