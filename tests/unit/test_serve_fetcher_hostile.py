"""Servers that lie, drip, never end or never answer: each costs its photo a typed error, and nobody anything else."""

import asyncio
import gzip
import io
import ssl
import zlib
from collections.abc import Callable
from pathlib import Path

import httpcore
import pytest
from PIL import Image

from serve.errors import (
    AddressRefused,
    ServeError,
    SourceError,
    SourceNotFound,
    SourceTooLarge,
    SourceUnreachable,
    UnsupportedFormat,
)
from serve.fetcher.breaker import BreakerRules
from serve.fetcher.connecting import GuardedBackend, Resolver
from serve.fetcher.fetcher import SourceFetcher
from serve.fetcher.policy import FetchPolicy, policy_of
from serve.images.decoding import decode
from serve.interfaces import FetchedBytes
from serve.settings import ServeSettings
from tests.support.web import Handler, Web, counting, endless, redirect, reply, self_signed, serving

PHOTO = b"\xff\xd8\xff photo" * 100
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


async def never(host: str, port: int) -> list[str]:
    raise AssertionError("the resolver was asked")


async def fetched(web: Web, path: str, resolver: Resolver = never, **policy: object) -> FetchedBytes:
    fetcher = SourceFetcher(FetchPolicy(**{"origins": (web.origin,), **policy}), resolver=resolver)  # type: ignore[arg-type]
    try:
        return await fetcher.fetch(web.url(path))
    finally:
        await fetcher.aclose()


def fetch_from(handler: Handler, **policy: object) -> FetchedBytes:
    async def run() -> FetchedBytes:
        async with serving({"/a.jpg": handler}) as web:
            return await fetched(web, "/a.jpg", **policy)

    return asyncio.run(asyncio.wait_for(run(), 60))


@pytest.mark.parametrize(
    ("head", "piece", "kind"),
    [
        (OK, b"X-More: yes\r\n", SourceUnreachable),
        (OK + b"X-Long: ", b"x" * 1000, SourceUnreachable),
        (b"HTTP/1.1 200 " + b"O" * 1000, b"O" * 1000, SourceUnreachable),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n", SourceTooLarge),
        (CHUNKED + b"1;", b"extension" * 100, SourceUnreachable),
        (CHUNKED, b"1;" + b"x" * 10_000 + b"\r\na\r\n", SourceTooLarge),
        (CHUNKED + b"1\r\na\r\n0\r\n", b"X-Trailer: yes\r\n", SourceUnreachable),
        (CHUNKED, b"1\r\na\r\n", SourceTooLarge),
        (CHUNKED, b"1000\r\n" + b"x" * 0x1000 + b"\r\n", SourceTooLarge),
        (OK + b"\r\n", b"x" * 10_000, SourceTooLarge),
        (b"", b"no http at all ", SourceUnreachable),
    ],
    ids=[
        "headers",
        "header",
        "reason",
        "informational",
        "extension",
        "extensions",
        "trailers",
        "crumbs",
        "chunks",
        "body",
        "junk",
    ],
)
def test_what_never_ends_is_cut_by_its_size_long_before_its_time(
    head: bytes, piece: bytes, kind: type[ServeError]
) -> None:
    sent = [0]
    with pytest.raises(kind):
        fetch_from(endless(head, piece, sent), max_bytes=1_000_000, timeout_s=50, read_s=50)
    assert sent[0] < 20_000_000


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        OK + b"Content-Length: -5\r\n\r\nhello",
        OK + b"Content-Length: 0x5\r\n\r\nhello",
        OK + b"Content-Length: 6\r\n\r\nhello",
        CHUNKED + b"zz\r\nhello\r\n",
        CHUNKED + b"5\r\nhel",
        CHUNKED + b"fffffffffffffffffffff\r\nhello",
        OK + b"X: a\x00b\r\n\r\nhello",
        b"HTTP/1.1 2000 OK\r\n\r\nhello",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nhello",
        b"",
    ],
)
def test_answers_that_contradict_themselves_are_no_photos(answer: bytes) -> None:
    async def handler(writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    with pytest.raises((SourceUnreachable, SourceNotFound)):
        fetch_from(handler)


def test_more_bytes_than_announced_are_not_taken() -> None:
    assert fetch_from(reply(PHOTO + b"more", content_length=str(len(PHOTO)))).body == PHOTO


@pytest.mark.parametrize(
    ("body", "coding", "kind"),
    [
        (gzip.compress(gzip.compress(PHOTO)), "gzip, gzip", UnsupportedFormat),
        (gzip.compress(PHOTO), "gzip;q=1", UnsupportedFormat),
        (gzip.compress(PHOTO)[:-20], "gzip", UnsupportedFormat),
        (gzip.compress(PHOTO)[:5], "gzip", UnsupportedFormat),
        (zlib.compress(PHOTO)[:-5], "deflate", UnsupportedFormat),
        (gzip.compress(b""), "gzip", SourceError),
        (zlib.compress(b"\0" * 50_000_000, 9), "deflate", SourceTooLarge),
        (gzip.compress(b"\0" * 50_000_000) * 3, "x-gzip", SourceTooLarge),
        (PHOTO, "compress", UnsupportedFormat),
    ],
    ids=["nested", "parameter", "cut", "head alone", "zlib cut", "nothing", "zlib bomb", "gzip bomb", "unknown"],
)
def test_content_codings_that_hide_something_are_refused(body: bytes, coding: str, kind: type[ServeError]) -> None:
    with pytest.raises(kind):
        fetch_from(reply(body, content_encoding=coding), max_bytes=1_000_000)


@pytest.mark.parametrize("prefix", [b"", OK, OK + b"\r\n", CHUNKED, OK + b"Content-Encoding: identity\r\n\r\n"])
@pytest.mark.parametrize("drips", [False, True])
def test_silence_is_cut_by_its_own_limit_and_dripping_by_that_of_the_whole(prefix: bytes, drips: bool) -> None:
    async def handler(writer: asyncio.StreamWriter) -> None:
        writer.write(prefix)
        while True:
            if drips:
                writer.write(b"1")
            await writer.drain()
            await asyncio.sleep(0.02)

    # Whichever limit is meant to cut is short, the other one longer than the test may take.
    limits = {"timeout_s": 0.3, "read_s": 100} if drips else {"timeout_s": 100, "read_s": 0.1}
    expected = r"within 0\.3 s" if drips else "does not answer"
    with pytest.raises(SourceUnreachable, match=expected):
        fetch_from(handler, **limits)


def test_a_name_that_nobody_answers_for_is_cut_by_the_limit_of_connecting() -> None:
    async def silent(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    async def run() -> None:
        fetcher = SourceFetcher(FetchPolicy(connect_s=0.1, timeout_s=100, read_s=100), resolver=silent)
        with pytest.raises(SourceUnreachable, match="does not answer"):
            await fetcher.fetch("https://photos.example/a.jpg")
        await fetcher.aclose()

    asyncio.run(asyncio.wait_for(run(), 60))


def test_each_limit_reaches_the_connection_it_is_for() -> None:
    limits: list[float | None] = []

    class Wire:
        async def connect_tcp(self, host: str, port: int, limit_s: float | None, *_: object) -> None:
            limits.append(limit_s)
            raise httpcore.ConnectTimeout

    async def run() -> None:
        policy = policy_of(ServeSettings(fetch_timeout_s=7, fetch_connect_timeout_s=2, fetch_read_timeout_s=30))
        assert (policy.timeout_s, policy.connect_s, policy.read_s) == (7, 2, 7)
        fetcher = SourceFetcher(policy)
        backend = fetcher._http._pool._network_backend
        assert isinstance(backend, GuardedBackend)
        backend._plain = Wire()  # type: ignore[assignment]
        with pytest.raises(SourceUnreachable):
            await fetcher.fetch("https://8.8.8.8/a.jpg")
        await fetcher.aclose()

    asyncio.run(run())
    assert limits == [2]


@pytest.mark.parametrize(
    "location",
    [
        "/a.jpg",  # a loop
        "a.jpg?again",
        "",
        "#part",
    ],
)
def test_redirects_that_lead_in_a_circle_end(location: str) -> None:
    async def run() -> None:
        async with serving({"/a.jpg": redirect(location), "/a.jpg?again": redirect(location)}) as web:
            with pytest.raises(SourceNotFound, match="redirects"):
                await fetched(web, "/a.jpg")
            assert len(web.requests) == 4

    asyncio.run(run())


@pytest.mark.parametrize(
    "location",
    [
        "http://photos.example/a.jpg",
        "https://private.example/a.jpg",
        "//private.example/a.jpg",
        "https://127.1/a.jpg",
        "https://[::ffff:127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "http://127.0.0.1:1/",
        "HTTPS://0x7f.1/",
        "https:\\\\127.0.0.1\\",
        "https://photos.example\\@127.0.0.1/",
        "ht\ttps://photos.example/",
        "https://\t127.0.0.1/",
        "https://photos.example@127.0.0.1/",
        "s3://listed/key",
        "file:///etc/passwd",
        "data:image/png;base64,AAAA",
        "https://[::1",
    ],
)
def test_no_redirect_leads_where_the_event_could_not(location: str) -> None:
    async def resolver(host: str, port: int) -> list[str]:
        return ["8.8.8.8", "10.0.0.1"] if host == "private.example" else ["8.8.8.8"]

    async def run() -> None:
        async with serving({"/a.jpg": redirect(location)}) as web:
            with pytest.raises((AddressRefused, SourceNotFound)) as caught:
                await fetched(web, "/a.jpg", resolver, files=True, file_root=Path("/"), buckets=("listed",))
            assert isinstance(caught.value, AddressRefused)
            assert len(web.requests) == 1

    asyncio.run(run())


def test_a_redirect_from_tls_to_plain_http_is_refused(tmp_path: Path) -> None:
    server_tls, client_tls = self_signed("photos.example", tmp_path)

    async def loopback(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    async def run() -> None:
        async with serving({"/a.jpg": redirect("http://photos.example/b.jpg")}, server_tls) as web:
            policy = FetchPolicy(origins=(f"photos.example:{web.port}",))
            fetcher = SourceFetcher(policy, resolver=loopback, ssl_context=client_tls)
            with pytest.raises(AddressRefused, match="plain http"):
                await fetcher.fetch(f"https://photos.example:{web.port}/a.jpg")
            await fetcher.aclose()

    asyncio.run(run())


def test_a_server_without_tls_where_tls_is_due_is_unreachable() -> None:
    async def run() -> None:
        async with serving({"/a.jpg": reply(PHOTO)}) as web:
            fetcher = SourceFetcher(
                FetchPolicy(origins=(web.origin,), connect_s=0.2), ssl_context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            )
            with pytest.raises(SourceUnreachable):
                await fetcher.fetch(f"https://{web.origin}/a.jpg")
            await fetcher.aclose()

    asyncio.run(run())


def test_the_content_type_of_a_server_is_reported_and_never_believed() -> None:
    picture = io.BytesIO()
    Image.new("RGB", (64, 48), "red").save(picture, "PNG")
    found = fetch_from(reply(picture.getvalue(), content_type="image/jpeg; charset=evil"))
    assert found.content_type == "image/jpeg; charset=evil"
    assert decode(found, "a").format == "png"
    with pytest.raises(UnsupportedFormat):
        decode(fetch_from(reply(b"<svg/>" * 10, content_type="image/png")), "a")


def test_one_host_is_asked_for_few_photos_at_once() -> None:
    at_once: list[int] = []

    async def run() -> None:
        async with serving({}) as web:
            one = counting(at_once, PHOTO)
            web.paths = {f"/{number}": one for number in range(8)}
            fetcher = SourceFetcher(FetchPolicy(origins=(web.origin,), per_host=3))
            found = await asyncio.gather(*(fetcher.fetch(web.url(f"/{number}")) for number in range(8)))
            await fetcher.aclose()
            assert [one.body for one in found] == [PHOTO] * 8

    asyncio.run(run())
    assert max(at_once) == 3


def fails_how(web: Web, how: str) -> Callable[[], object]:
    """Makes the server silent, or sends it away."""
    if how == "dripping":
        return lambda: web.paths.update({"/a.jpg": endless(OK + b"\r\n", b"x", [0], pause_s=0.02)})
    return lambda: web.paths.update({"/a.jpg": reply(b"x", content_length="1000")})


@pytest.mark.parametrize("how", ["dripping", "breaking off"])
def test_a_host_that_fails_is_left_alone_and_then_tried_again(how: str) -> None:
    async def run() -> None:
        async with serving({"/b.jpg": reply(b"", 503)}) as web, serving({"/a.jpg": reply(PHOTO)}) as other:
            origins = (web.origin.replace("127.0.0.1", "down.example"), other.origin)
            policy = FetchPolicy(origins=origins, timeout_s=0.5, breaker=BreakerRules(trip_after=2, rest_s=0.2))

            async def loopback(host: str, port: int) -> list[str]:
                return ["127.0.0.1"]

            fetcher = SourceFetcher(policy, resolver=loopback)
            down = web.url("/a.jpg").replace("127.0.0.1", "down.example")
            for _ in range(5):
                # Answers, though bad ones: nothing rests for them.
                with pytest.raises(SourceUnreachable, match="503"):
                    await fetcher.fetch(down.replace("a.jpg", "b.jpg"))
            fails_how(web, how)()
            for _ in range(2):
                with pytest.raises(SourceUnreachable):
                    await fetcher.fetch(down)
            asked = len(web.requests)
            with pytest.raises(SourceUnreachable, match="not asked for a while") as caught:
                await fetcher.fetch(down)
            assert caught.value.retry_after_s is not None
            assert len(web.requests) == asked
            assert (await fetcher.fetch(other.url("/a.jpg"))).body == PHOTO
            web.paths["/a.jpg"] = reply(PHOTO)
            await asyncio.sleep(0.25)
            assert (await fetcher.fetch(down)).body == PHOTO
            await fetcher.aclose()

    asyncio.run(asyncio.wait_for(run(), 60))


@pytest.mark.parametrize(
    ("value", "wait_s"), [("7", 7), ("999999", 300), ("-1", None), ("soon", None), ("9" * 4000, None), ("\u0667", None)]
)
def test_what_a_server_asks_to_wait_is_passed_on_within_bounds(value: str, wait_s: float | None) -> None:
    with pytest.raises(SourceUnreachable) as caught:
        fetch_from(reply(b"", 429, retry_after=value))
    assert caught.value.info().retry_after_s == wait_s
