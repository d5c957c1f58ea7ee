"""Fetching: what is refused before a connection is made, what is cut while it runs, how answers are sorted."""

import asyncio
import gzip
import hashlib
import threading
import time
import zlib
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import pytest
from moto import mock_aws

from serve.errors import (
    AddressRefused,
    ServeError,
    SourceError,
    SourceNotFound,
    SourceTooLarge,
    SourceUnreachable,
    UnsupportedFormat,
)
from serve.fetcher.coding import content_decoder
from serve.fetcher.connecting import GuardedBackend
from serve.fetcher.fetcher import FetchPolicy, SourceFetcher
from serve.interfaces import FetchedBytes
from serve.storage import s3_client
from tests.support.web import Handler, Web, redirect, reply, self_signed, serving

PHOTO = b"\xff\xd8\xff photo" * 100


async def resolve_to_loopback(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


async def resolve_to_nothing(host: str, port: int) -> list[str]:
    raise OSError("no such name")


async def fetch(url: str, policy: FetchPolicy, resolver=resolve_to_loopback) -> FetchedBytes:  # type: ignore[no-untyped-def]
    fetcher = SourceFetcher(policy, resolver=resolver)
    try:
        return await fetcher.fetch(url)
    finally:
        await fetcher.aclose()


def fetch_from(handlers: dict[str, Handler], path: str = "/a.jpg", **policy: object) -> tuple[FetchedBytes, Web]:
    """Serve the handlers on loopback as an allowed origin and fetch the path."""

    async def run() -> tuple[FetchedBytes, Web]:
        async with serving(handlers) as web:
            allowed = FetchPolicy(origins=(web.origin,), **policy)  # type: ignore[arg-type]
            return await fetch(web.url(path), allowed), web

    return asyncio.run(run())


def refused(work: Awaitable[FetchedBytes]) -> ServeError:
    async def run() -> ServeError:
        with pytest.raises(ServeError) as caught:
            await work
        return caught.value

    return asyncio.run(run())


def test_a_photo_comes_whole_and_hashed() -> None:
    fetched, web = fetch_from({"/a.jpg?size=big": reply(PHOTO, content_type="image/jpeg")}, "/a.jpg?size=big")
    assert fetched == FetchedBytes(body=PHOTO, sha256=hashlib.sha256(PHOTO).hexdigest(), content_type="image/jpeg")
    request = web.requests[0].lower()
    assert f"host: {web.origin}\r\n" in request
    assert "accept-encoding: identity\r\n" in request
    assert "authorization" not in request
    assert "cookie" not in request


@pytest.mark.parametrize(
    "url",
    [
        "http://photos.example/a.jpg",
        "https://user:secret@photos.example/a.jpg",
        "https://secret@photos.example/a.jpg",
        "https://photos.example:22/a.jpg",
        "https://photos.example:80/a.jpg",
        "https:///a.jpg",
        "https://",
        "https://[::1/a.jpg",
        "https://photos.example:99999/",
        "https://exa mple/a.jpg",
        "https://exa%6dple/a.jpg",
        "https://[fe80::1%25eth0]/a.jpg",
        "ftp://photos.example/a.jpg",
        "gopher://127.0.0.1:70/",
        "data:image/png;base64,AAAA",
        "javascript:alert(1)",
        "a.jpg",
        "",
        "file:///etc/passwd",
        "s3://bucket/key",
        "s3://",
        "\x00https://photos.example/",
    ],
)
def test_addresses_of_the_wrong_kind_are_refused_without_asking_a_resolver(url: str) -> None:
    async def never(host: str, port: int) -> list[str]:
        raise AssertionError("the resolver was asked")

    assert isinstance(refused(fetch(url, FetchPolicy(), never)), AddressRefused)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "[::1]", "127.1", "0x7f000001", "2130706433", "017700000001", "localhost", "[::ffff:127.0.0.1]", "0"],
)
def test_every_spelling_of_a_local_address_is_refused(host: str) -> None:
    # None is the system's own resolver, as in production.
    assert isinstance(refused(fetch(f"https://{host}/a.jpg", FetchPolicy(), None)), AddressRefused)


@pytest.mark.parametrize("answers", [["10.0.0.1"], ["8.8.8.8", "169.254.169.254"], ["fd00::1"], []])
def test_a_name_with_a_closed_address_is_refused_and_the_address_is_not_told(answers: list[str]) -> None:
    async def resolver(host: str, port: int) -> list[str]:
        return answers

    error = refused(fetch("https://photos.example/a.jpg", FetchPolicy(), resolver))
    assert isinstance(error, AddressRefused)
    assert "photos.example" in error.message
    assert not any(address in error.message for address in answers)


def test_an_allowed_origin_opens_no_other_port() -> None:
    async def run() -> ServeError:
        async with serving({"/a.jpg": reply(PHOTO)}) as web:
            policy = FetchPolicy(origins=("127.0.0.1:1",))
            with pytest.raises(ServeError) as caught:
                await fetch(web.url("/a.jpg"), policy)
            assert web.requests == []
            return caught.value

    assert isinstance(asyncio.run(run()), AddressRefused)


def test_the_connection_goes_to_the_address_that_was_checked() -> None:
    """A resolver that changes its mind is asked once; the answer of that time is used."""
    asked: list[str] = []
    connected: list[str] = []

    async def resolver(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["8.8.8.8"] if len(asked) == 1 else ["127.0.0.1"]

    class Recorder:
        async def connect_tcp(self, host: str, *_: object) -> str:
            connected.append(host)
            return "stream"

    backend = GuardedBackend(FetchPolicy(), resolver)
    backend._plain = Recorder()  # type: ignore[assignment]
    asyncio.run(backend.connect_tcp("photos.example", 443))
    assert (asked, connected) == (["photos.example"], ["8.8.8.8"])


def test_tls_checks_the_name_of_the_url_though_the_address_is_pinned(tmp_path: Path) -> None:
    server_tls, client_tls = self_signed("photos.example", tmp_path)

    async def run(name: str) -> FetchedBytes:
        async with serving({"/a.jpg": reply(PHOTO)}, server_tls) as web:
            policy = FetchPolicy(origins=(f"{name}:{web.port}",))
            fetcher = SourceFetcher(policy, resolver=resolve_to_loopback, ssl_context=client_tls)
            try:
                fetched = await fetcher.fetch(f"https://{name}:{web.port}/a.jpg")
            finally:
                await fetcher.aclose()
            assert f"host: {name}:{web.port}" in web.requests[0].lower()
            return fetched

    assert asyncio.run(run("photos.example")).body == PHOTO
    with pytest.raises(SourceUnreachable):
        asyncio.run(run("other.example"))


def test_redirects_are_followed_up_to_the_limit() -> None:
    hops = {f"/{number}": redirect(f"/{number + 1}") for number in range(5)}
    assert fetch_from({**hops, "/5": reply(PHOTO)}, "/2")[0].body == PHOTO
    with pytest.raises(SourceNotFound, match="redirects"):
        fetch_from({**hops, "/5": reply(PHOTO)}, "/1")


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:1/",
        "https://127.0.0.1/",
        "file:///etc/passwd",
        "https://user:pw@photos.example/",
        "http://[::1/",
    ],
)
def test_each_redirect_is_checked_anew(location: str) -> None:
    with pytest.raises(AddressRefused):
        fetch_from({"/a.jpg": redirect(location)})


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (404, SourceNotFound),
        (410, SourceNotFound),
        (401, SourceNotFound),
        (403, SourceNotFound),
        (304, SourceNotFound),
        (204, SourceNotFound),
        (408, SourceUnreachable),
        (429, SourceUnreachable),
        (500, SourceUnreachable),
        (503, SourceUnreachable),
    ],
)
def test_statuses_are_sorted_into_lasting_and_passing(status: int, kind: type[ServeError]) -> None:
    with pytest.raises(kind) as caught:
        fetch_from({"/a.jpg": reply(b"", status)})
    assert caught.value.info().retry == kind.retry


def test_a_server_that_is_not_there_is_unreachable() -> None:
    policy = FetchPolicy(origins=("127.0.0.1:1",))
    assert isinstance(refused(fetch("http://127.0.0.1:1/a.jpg", policy)), SourceUnreachable)
    assert isinstance(refused(fetch("https://photos.example/", FetchPolicy(), resolve_to_nothing)), SourceUnreachable)


def test_an_announced_size_over_the_limit_is_refused_at_once() -> None:
    with pytest.raises(SourceTooLarge):
        fetch_from({"/a.jpg": reply(b"x" * 10, content_length="1000")}, max_bytes=999)


def test_an_unannounced_size_is_counted_while_it_comes() -> None:
    sent = 0

    async def endless(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()
            sent += 65536

    with pytest.raises(SourceTooLarge):
        fetch_from({"/a.jpg": endless}, max_bytes=500_000)
    assert sent < 20_000_000
    assert len(fetch_from({"/a.jpg": reply(b"x" * 500_000)}, max_bytes=500_000)[0].body) == 500_000


@pytest.mark.parametrize(("coding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes)])
def test_content_codings_are_undone(coding: str, pack) -> None:  # type: ignore[no-untyped-def]
    fetched, _ = fetch_from({"/a.jpg": reply(pack(PHOTO), content_encoding=coding)})
    assert fetched.body == PHOTO


def test_a_gzip_bomb_is_cut_at_the_limit() -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    assert len(bomb) < 1_000_000
    with pytest.raises(SourceTooLarge):
        fetch_from({"/a.jpg": reply(bomb, content_encoding="gzip")}, max_bytes=1_000_000)
    piece = content_decoder("gzip").decode(bomb, 1_000_000)
    assert len(piece) <= 1_000_001  # never unpacked further than the limit, whatever is inside


@pytest.mark.parametrize(("coding", "body"), [("br", PHOTO), ("gzip", b"not gzip"), ("gzip, gzip", PHOTO)])
def test_unknown_or_damaged_codings_are_refused(coding: str, body: bytes) -> None:
    with pytest.raises(UnsupportedFormat):
        fetch_from({"/a.jpg": reply(body, content_encoding=coding)})


def test_a_body_that_drips_is_cut_by_the_total_time() -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        # Never silent for long, so that no other limit than the total one can cut it; it ends when it is hung up on.
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    with pytest.raises(SourceUnreachable, match=r"within 0\.4 s"):
        fetch_from({"/a.jpg": drip}, timeout_s=0.4)


def test_a_body_cut_short_is_unreachable() -> None:
    with pytest.raises(SourceUnreachable):
        fetch_from({"/a.jpg": reply(b"x" * 10, content_length="1000")})


def test_garbage_instead_of_http_is_unreachable() -> None:
    async def garbage(writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x00\x01 what?\r\n\r\n")

    with pytest.raises(SourceUnreachable):
        fetch_from({"/a.jpg": garbage})


def test_an_empty_photo_is_refused() -> None:
    with pytest.raises(SourceError, match="empty"):
        fetch_from({"/a.jpg": reply(b"")})


class TestBuckets:
    def fetch(self, url: str, max_bytes: int = 10_000) -> FetchedBytes:
        with mock_aws():
            client = s3_client(access_key="key", secret_key="secret")
            for bucket in ("listed", "other"):
                client.create_bucket(Bucket=bucket)
                client.put_object(Bucket=bucket, Key="a b/ü.jpg", Body=PHOTO, ContentType="image/jpeg")
            policy = FetchPolicy(buckets=("listed", "missing"), max_bytes=max_bytes)

            async def run() -> FetchedBytes:
                fetcher = SourceFetcher(policy, client)
                return await fetcher.fetch(url)

            return asyncio.run(run())

    def test_objects_of_listed_buckets_are_read(self) -> None:
        assert self.fetch("s3://listed/a b/ü.jpg").body == PHOTO

    @pytest.mark.parametrize(
        ("url", "kind"),
        [
            ("s3://other/a b/ü.jpg", AddressRefused),
            ("s3://listed", AddressRefused),
            ("s3://listed/", AddressRefused),
            ("s3:///listed/x", AddressRefused),
            ("s3://listed/none.jpg", SourceNotFound),
            ("s3://missing/none.jpg", SourceNotFound),
        ],
    )
    def test_others_are_refused_or_not_found(self, url: str, kind: type[ServeError]) -> None:
        with pytest.raises(kind):
            self.fetch(url)

    def test_the_size_is_limited(self) -> None:
        with pytest.raises(SourceTooLarge):
            self.fetch("s3://listed/a b/ü.jpg", max_bytes=len(PHOTO) - 1)

    def test_a_slow_bucket_gives_its_thread_back(self) -> None:
        class Drip:
            """A body without end; `stopped` once nobody reads any more."""

            stopped = threading.Event()

            def __enter__(self) -> Self:
                return self

            def __exit__(self, *_: object) -> None:
                self.stopped.set()

            def read(self, amount: int) -> bytes:
                assert amount <= 65536
                time.sleep(0.01)
                return b"x"

        class Client:
            def get_object(self, **_: str) -> dict[str, object]:
                return {"Body": Drip(), "ContentLength": 1000}

        async def run() -> None:
            fetcher = SourceFetcher(FetchPolicy(buckets=("listed",), timeout_s=0.2), Client())  # type: ignore[arg-type]
            with pytest.raises(SourceUnreachable):
                await fetcher.fetch("s3://listed/a.jpg")
            await fetcher.aclose()

        asyncio.run(run())
        assert Drip.stopped.wait(30)


@pytest.mark.parametrize("held", ["names", "buckets"])
def test_what_hangs_holds_up_nothing_else_of_the_process(held: str, monkeypatch: pytest.MonkeyPatch) -> None:
    let_go = threading.Event()

    def hang(*_: object, **__: object) -> None:
        let_go.wait(30)
        raise OSError("given up")

    class Client:
        get_object = hang

    monkeypatch.setattr("serve.fetcher.connecting.socket.getaddrinfo", hang)
    url = "https://photos.example/a.jpg" if held == "names" else "s3://listed/a.jpg"

    async def run() -> None:
        # The default executor of a machine with two cores has six threads.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        fetcher = SourceFetcher(FetchPolicy(buckets=("listed",), timeout_s=0.1), Client())  # type: ignore[arg-type]
        with pytest.raises(SourceUnreachable):
            await fetcher.fetch(url)
        assert await asyncio.wait_for(asyncio.to_thread(lambda: "free"), 20) == "free"
        await fetcher.aclose()

    try:
        asyncio.run(run())
    finally:
        let_go.set()


class TestFiles:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        root = tmp_path / "photos"
        root.mkdir()
        (root / "a b.jpg").write_bytes(PHOTO)
        (tmp_path / "secret.txt").write_bytes(b"secret")
        (root / "link.jpg").symlink_to(tmp_path / "secret.txt")
        return root

    def fetch(self, url: str, root: Path, **policy: object) -> FetchedBytes:
        allowed = FetchPolicy(**{"files": True, "file_root": root, **policy})  # type: ignore[arg-type]
        return asyncio.run(fetch(url, allowed))

    def test_files_under_the_root_are_read(self, root: Path) -> None:
        assert self.fetch((root / "a b.jpg").as_uri(), root).body == PHOTO

    @pytest.mark.parametrize("tail", ["/../secret.txt", "/%2e%2e/secret.txt", "/link.jpg", "/../../etc/passwd"])
    def test_no_way_leads_out_of_the_root(self, root: Path, tail: str) -> None:
        with pytest.raises(AddressRefused):
            self.fetch(f"file://{root}{tail}", root)

    def test_without_the_setting_no_file_is_read(self, root: Path) -> None:
        for policy in ({"files": False}, {"file_root": None}):
            with pytest.raises(AddressRefused):
                self.fetch((root / "a b.jpg").as_uri(), root, **policy)

    def test_other_hosts_missing_files_and_large_files(self, root: Path) -> None:
        with pytest.raises(AddressRefused):
            self.fetch("file://host/a.jpg", root)
        with pytest.raises(SourceNotFound):
            self.fetch((root / "none.jpg").as_uri(), root)
        with pytest.raises(SourceNotFound):
            self.fetch(f"file://{root}", root)
        with pytest.raises(SourceNotFound):
            self.fetch(f"file://{root}/%00", root)
        with pytest.raises(SourceTooLarge):
            self.fetch((root / "a b.jpg").as_uri(), root, max_bytes=10)
