"""Tokens, rates and limits of the door, without sockets."""

import asyncio
import contextlib
import json
import logging
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from serve.catalog.loader import load_catalog
from serve.doors.address import DoorOpen, is_loopback, require_closed
from serve.doors.build import build_door
from serve.doors.door import Door, DoorLimits, Knock, Visitor, host_of
from serve.doors.rate import Bucket
from serve.doors.register_file import RegisterFile
from serve.doors.tokens import Register, RegisterInvalid, Right, Token, digest_of, new_secret, parse_register
from serve.doors.tokens import write_register as written
from serve.errors import DoorError, Forbidden, Overloaded, RateLimited, RequestTooLarge, Unauthorized
from serve.ingress import create_app
from serve.report import answer
from serve.schemas.exchange import AnswerLine, Capacity, EnrichItem, ResultLine
from serve.schemas.outcome import Outcome
from serve.schemas.preview import PreviewAnswer
from serve.settings import ServeSettings
from tests.support.small_studio import item

CATALOG = load_catalog()
NOW = datetime(2026, 11, 22, tzinfo=UTC)
SECRET = new_secret()


def token(secret: str = SECRET, **changes: object) -> Token:
    fields: dict[str, object] = {"name": "shop", "rights": ["enrich"], "tenants": ["acme"]}
    return Token.model_validate({**fields, "sha256": digest_of(secret), **changes})


class Fixed:
    """Tokens that are not read from a file."""

    def __init__(self, *tokens: Token) -> None:
        self.register = Register(tokens)

    def current(self) -> Register:
        return self.register


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def admit(door: Door, knock: Knock) -> Visitor:
    visitor = door.identify(knock)
    door.permit(visitor, knock.path)
    return visitor


def bearer(secret: str) -> tuple[tuple[bytes, bytes], ...]:
    return ((b"authorization", f"Bearer {secret}".encode()),)


def test_a_secret_is_long_random_and_never_written() -> None:
    secrets = {new_secret() for _ in range(50)}
    assert len(secrets) == 50
    assert all(len(secret) >= 47 for secret in secrets)
    assert SECRET not in written(Register([token()]))


def test_a_register_reads_what_it_writes() -> None:
    tokens = (token(), token("other", name="all", tenants="*", rights=["admin"], expires=NOW, per_second=0.5))
    assert parse_register(written(Register(tokens))).tokens == tokens
    assert parse_register("").tokens == ()


@pytest.mark.parametrize(
    "text",
    [
        "tokens: {",
        "tokens: 5",
        "[1]",
        "version: 2",
        "tokens: [{name: a}]",
        "tokens: [{name: a, name: b}]",
        "a: !!timestamp x",
        "a: 2026-99-99",
        "a: !!python/object:os.system x",
        "&a [*a]",
        "\0",
        written(Register([token()])).replace("acme", "../acme"),
        written(Register([token()])).replace("enrich", "everything"),
        written(Register([token()])).replace("shop", "Shop Token"),
        json.dumps({"tokens": [token().model_dump(mode="json")] * 2}),
    ],
)
def test_a_file_that_cannot_be_is_refused_with_a_reason_that_quotes_no_hash(text: str) -> None:
    with pytest.raises(RegisterInvalid) as refused:
        parse_register(text)
    assert str(refused.value)
    assert token().sha256 not in str(refused.value)


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(RegisterInvalid):
        parse_register(text)


@given(st.text(max_size=400))
def test_only_the_secret_opens(guess: str) -> None:
    register = Register([token()])
    assert (register.find(guess, NOW) is not None) == (guess == SECRET)


def test_an_expired_token_opens_nothing() -> None:
    register = Register([token(expires=NOW)])
    assert register.find(SECRET, NOW - timedelta(seconds=1)) is not None
    assert register.find(SECRET, NOW) is None


def test_every_entry_is_compared_whichever_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []

    def compare(one: str, other: str) -> bool:
        compared.append(one)
        return one == other

    monkeypatch.setattr("serve.doors.tokens.hmac.compare_digest", compare)
    tokens = [token(f"secret {n}", name=f"t{n}") for n in range(5)]
    for secret in ("secret 0", "secret 4", "none of them"):
        compared.clear()
        Register(tokens).find(secret, NOW)
        assert compared == [one.sha256 for one in tokens]


@given(
    st.floats(0.1, 1000),
    st.integers(1, 50),
    st.lists(st.floats(0, 5, allow_nan=False), min_size=1, max_size=80),
)
def test_a_bucket_lets_through_its_burst_and_its_rate_and_no_more(
    per_second: float, burst: int, steps: list[float]
) -> None:
    bucket, now, passed = Bucket(per_second, burst), 1000.0, 0
    for step in steps:
        now += step
        wait = bucket.take(now)
        assert wait >= 0
        passed += wait == 0
        assert passed <= burst + (now - 1000.0) * per_second + 1e-6
        if wait > 0:
            # Whoever waits as long as it says is let in, and a moment earlier nobody is.
            early, late = Bucket(per_second, burst), Bucket(per_second, burst)
            for one in (early, late):
                one._level, one._seen_s = bucket._level, bucket._seen_s
            assert early.take(now + wait * 0.9) > 0
            assert late.take(now + wait * 1.001 + 1e-9) == 0


def test_a_clock_that_goes_back_fills_no_bucket() -> None:
    bucket = Bucket(1, 1)
    assert bucket.take(100) == 0
    assert bucket.take(50) > 0
    assert bucket.take(100) > 0
    assert bucket.take(101) == 0


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost", "LOCALHOST", "::ffff:127.0.0.1"]
)
def test_loopback_needs_no_token(host: str) -> None:
    assert is_loopback(host)
    require_closed(host, guarded=False, open_door=False)


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "::", "10.0.0.1", "example.com", "localhost.example.com", "", "2130706433", "::ffff:10.0.0.1", "0"],
)
def test_anything_else_needs_tokens_or_a_word(host: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(DoorOpen, match="VITRINE_SERVE_OPEN_DOOR=1"):
        require_closed(host, guarded=False, open_door=False)
    require_closed(host, guarded=True, open_door=False)
    require_closed(host, guarded=False, open_door=True)


def settings(monkeypatch: pytest.MonkeyPatch, **changes: object) -> ServeSettings:
    for name, value in changes.items():
        monkeypatch.setenv(f"VITRINE_SERVE_{name.upper()}", str(value))
    return ServeSettings()


def test_the_door_is_not_built_open_by_mistake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"listens on 0\.0\.0\.0"):
        build_door(ServeSettings(), "0.0.0.0")
    build_door(ServeSettings(), "127.0.0.1")
    file = tmp_path / "tokens.yaml"
    with pytest.raises(ValueError, match="cannot be used"):
        build_door(settings(monkeypatch, door_tokens=file), "0.0.0.0")
    file.write_text(written(Register([token()])))
    guarded = build_door(ServeSettings(), "0.0.0.0")
    with pytest.raises(Unauthorized):
        admit(guarded, Knock("/v1/enrich", (), "10.0.0.9"))


def test_a_change_of_the_file_counts_within_a_second(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file, clock = tmp_path / "tokens.yaml", Clock()
    file.write_text(written(Register([token()])))
    register = RegisterFile(file, clock=clock)

    def after(text: str | None) -> list[str]:
        if text is None:
            file.unlink()
        else:
            # In its place, as the command line does it; a later time even on coarse file systems.
            new = tmp_path / "new"
            new.write_text(text)
            clock.now += 2
            os.utime(new, ns=(int(clock.now * 1e9), int(clock.now * 1e9)))
            new.replace(file)
        clock.now += 2
        return [one.name for one in register.current().tokens]

    assert after(written(Register([token(), token("x", name="new")]))) == ["shop", "new"]
    assert after("tokens: {") == ["shop", "new"]
    assert "those before stay" in caplog.text
    assert after(written(Register([token("x", name="new")]))) == ["new"]
    assert after(None) == []
    assert after(written(Register([token()]))) == ["shop"]


def test_within_the_second_the_file_is_not_looked_at(tmp_path: Path) -> None:
    file, clock = tmp_path / "tokens.yaml", Clock()
    file.write_text(written(Register([token()])))
    register = RegisterFile(file, clock=clock)
    file.unlink()
    clock.now = 0.5
    assert [one.name for one in register.current().tokens] == ["shop"]
    clock.now = 1.5
    assert register.current().tokens == ()


def test_rights_say_which_paths_a_token_may_use() -> None:
    rights = {
        "/v1/enrich": Right.ENRICH,
        "/v1/capacity": Right.ENRICH,
        "/v1/preview": Right.PREVIEW,
        "/v1/recipes": Right.CATALOG,
        "/metrics": Right.METRICS,
        "/v1/enrich/": Right.ADMIN,
        "/anything": Right.ADMIN,
    }
    for held in Right:
        door = Door(Fixed(token(rights=[held])))
        for path, wanted in rights.items():
            if held in (wanted, Right.ADMIN):
                assert admit(door, Knock(path, bearer(SECRET))).name == "shop"
            else:
                with pytest.raises(Forbidden):
                    admit(door, Knock(path, bearer(SECRET)))


@pytest.mark.parametrize(
    "headers",
    [
        (),
        bearer("wrong"),
        bearer(""),
        bearer(SECRET[:-1]),
        bearer(SECRET + "x"),
        ((b"authorization", SECRET.encode()),),
        ((b"authorization", f"Basic {SECRET}".encode()),),
        ((b"authorization", b"\xff\xfe\x00"),),
        (*bearer(SECRET), *bearer("wrong")),
        ((b"cookie", f"authorization=Bearer {SECRET}".encode()),),
    ],
)
def test_without_exactly_one_valid_token_nobody_enters(headers: tuple[tuple[bytes, bytes], ...]) -> None:
    with pytest.raises(Unauthorized):
        admit(Door(Fixed(token())), Knock("/v1/enrich", headers))


def test_health_is_open_and_a_register_without_tokens_is_shut() -> None:
    door = Door(Fixed())
    assert admit(door, Knock("/healthz", ())) == Visitor()
    with pytest.raises(Unauthorized):
        admit(door, Knock("/v1/enrich", bearer(SECRET)))


def test_a_token_that_comes_too_often_waits_and_the_others_do_not() -> None:
    clock = Clock()
    tokens = Fixed(token(per_second=2, burst=3), token("other", name="other"))
    door = Door(tokens, clock=clock)
    knock = Knock("/v1/enrich", bearer(SECRET))
    for _ in range(3):
        admit(door, knock)
    with pytest.raises(RateLimited) as refused:
        admit(door, knock)
    assert refused.value.retry_after_s == pytest.approx(0.5)
    assert admit(door, Knock("/v1/enrich", bearer("other"))).name == "other"
    # Another token in the file is no new start for this one.
    tokens.register = Register([*tokens.register.tokens, token("third", name="third")])
    with pytest.raises(RateLimited):
        admit(door, knock)
    clock.now = 0.5
    admit(door, knock)


def test_open_requests_are_counted_by_token_and_in_all() -> None:
    tokens = [token(max_requests=2), token("other", name="other"), token("third", name="third")]
    door = Door(Fixed(*tokens), limits=DoorLimits(max_requests=3))
    shop, other, third = (Visitor(one) for one in tokens)
    with contextlib.ExitStack() as inside:
        for visitor in (shop, shop):
            inside.enter_context(door.inside(visitor, "/v1/enrich"))
        with pytest.raises(RateLimited), door.inside(shop, "/v1/enrich"):
            pass
        inside.enter_context(door.inside(other, "/v1/enrich"))
        with pytest.raises(Overloaded), door.inside(third, "/v1/enrich"):
            pass
        with door.inside(Visitor(), "/healthz"):
            assert door.open_requests == 3
    assert door.open_requests == 0
    with door.inside(third, "/v1/enrich"):
        pass


def test_previews_have_a_bound_of_their_own() -> None:
    one = Visitor(token(max_previews=1))
    door = Door(Fixed(), limits=DoorLimits(max_previews=2))
    with door.inside(one, "/v1/preview"):
        with pytest.raises(RateLimited), door.inside(one, "/v1/preview"):
            pass
        with (
            door.inside(one, "/v1/enrich"),
            door.inside(Visitor(), "/v1/preview"),
            pytest.raises(Overloaded),
            door.inside(Visitor(), "/v1/preview"),
        ):
            pass
    assert door.open_requests == 0


def test_headers_are_bounded() -> None:
    headers = (*bearer(SECRET), (b"x", b"y" * 20_000))
    with pytest.raises(RequestTooLarge):
        admit(Door(Fixed(token())), Knock("/v1/enrich", headers))


@pytest.mark.parametrize("header", [{}, {"host": "127.0.0.1:8000"}, {"host": "localhost"}, {"host": "[::1]:8000"}])
def test_without_tokens_this_machine_is_let_in(header: Mapping[str, str]) -> None:
    headers = tuple((name.encode(), value.encode()) for name, value in header.items())
    assert admit(Door(), Knock("/v1/enrich", headers, "127.0.0.1")) == Visitor()


@pytest.mark.parametrize(
    ("server", "header"),
    [
        ("10.0.0.5", {"host": "127.0.0.1:8000"}),
        ("fe80::1", {}),
        ("127.0.0.1", {"host": "rebound.example:8000"}),
        ("127.0.0.1", {"host": "127.0.0.1:8000", "origin": "https://page.example"}),
        ("127.0.0.1", {"host": "127.0.0.1:8000", "origin": "null"}),
        ("127.0.0.1", {"host": "127.0.0.1.page.example"}),
    ],
)
def test_without_tokens_neither_the_network_nor_a_page_in_the_browser_is(
    server: str, header: Mapping[str, str]
) -> None:
    headers = tuple((name.encode(), value.encode()) for name, value in header.items())
    knock = Knock("/v1/enrich", headers, server)
    with pytest.raises(DoorError):
        admit(Door(), knock)
    assert admit(Door(open_door=True), knock) == Visitor()


@pytest.mark.parametrize(
    ("authority", "host"), [("a:80", "a"), ("a", "a"), ("[::1]:80", "::1"), ("a:80/x", "a"), ("", ""), (":80", "")]
)
def test_the_host_of_an_authority(authority: str, host: str) -> None:
    assert host_of(authority) == host


# The door in front of the application.


class Gateway:
    def __init__(self) -> None:
        self.seen: list[str] = []

    async def answer(self, item: EnrichItem) -> AnswerLine:
        self.seen.append(item.listing.tenant_id)
        return ResultLine(ref=item.ref, result=answer(item, Outcome.ENRICHED))

    async def preview(self, *_: object) -> PreviewAnswer:
        return PreviewAnswer(recipe="r", recipe_version=1, images=[], timings_ms={})

    async def capacity(self) -> Capacity:
        return Capacity(replicas=1, max_in_flight=8)

    async def check(self) -> None: ...


@asynccontextmanager
async def client(
    door: Door, gateway: Gateway | None = None, secret: str | None = SECRET
) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(gateway or Gateway(), CATALOG, door=door))
    headers = {"authorization": f"Bearer {secret}"} if secret else {}
    async with httpx.AsyncClient(transport=transport, base_url="http://vitrine", headers=headers) as http:
        yield http


def body(*events: EnrichItem) -> dict[str, object]:
    return {"items": [event.model_dump(mode="json") for event in events]}


def test_refusals_are_json_with_codes_and_are_counted_and_logged_without_the_secret(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        door = Door(Fixed(token(rights=["enrich", "metrics"], burst=2, per_second=0.01)))
        async with client(door) as http:
            wrong = {"authorization": "Bearer guessed-secret"}
            first = await http.get("/v1/capacity", headers=wrong)
            assert (first.status_code, first.json()["error"]["code"]) == (401, "unauthorized")
            assert first.headers["www-authenticate"].startswith("Bearer")
            second = await http.get("/v1/recipes")
            assert (second.status_code, second.json()["error"]["code"]) == (403, "forbidden")
            figures = (await http.get("/metrics")).text
            await http.get("/v1/capacity")
            third = await http.get("/v1/capacity")
            assert (third.status_code, third.json()["error"]["code"]) == (429, "rate_limited")
            assert int(third.headers["retry-after"]) == 100
            assert (await http.get("/healthz")).status_code == 200
        samples = {
            tuple(sample.labels.values()): sample.value
            for family in text_string_to_metric_families(figures)
            for sample in family.samples
            if sample.name == "vitrine_door_refused_total"
        }
        assert samples == {("unauthorized", "-"): 1, ("forbidden", "shop"): 1}

    with caplog.at_level(logging.DEBUG, logger="serve"):
        caplog.handler.setLevel(logging.DEBUG)
        asyncio.run(main())
    assert "guessed-secret" not in caplog.text
    assert SECRET not in caplog.text


def test_events_of_other_tenants_are_refused_one_by_one() -> None:
    async def main() -> None:
        gateway = Gateway()
        events = (item("a", offset=1), item("a", offset=2, tenant_id="globex"), item("a", offset=3, tenant_id="Acme"))
        async with client(Door(Fixed(token())), gateway) as http:
            response = await http.post("/v1/enrich", json=body(*events))
        lines = {line["ref"]: line for line in map(json.loads, response.text.splitlines())}
        assert lines[1]["kind"] == "result"
        for ref in (2, 3):
            assert (lines[ref]["error"]["code"], lines[ref]["error"]["retry"]) == ("tenant_not_allowed", "permanent")
        assert gateway.seen == ["acme"]

    asyncio.run(main())


def test_what_a_token_sent_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with client(Door(Fixed(token()))) as http:
            await http.post("/v1/enrich", json=body(item("a", offset=7)))

    room = logging.getLogger("serve")
    room.addHandler(caplog.handler)
    propagates, room.propagate = room.propagate, False
    level = room.level
    room.setLevel(logging.INFO)
    try:
        asyncio.run(main())
    finally:
        room.removeHandler(caplog.handler)
        room.propagate = propagates
        room.setLevel(level)
    (record,) = [one for one in caplog.records if one.getMessage() == "events taken"]
    assert record.__dict__["token"] == "shop"
    assert record.__dict__["events"] == ["e7"]


def test_a_refused_request_reaches_nothing_behind_the_door() -> None:
    async def main() -> None:
        gateway = Gateway()
        async with client(Door(Fixed(token())), gateway, secret="wrong") as http:
            response = await http.post("/v1/enrich", content=b"x" * 2**21)
        assert (response.status_code, response.headers["connection"]) == (401, "close")
        assert gateway.seen == []

    asyncio.run(main())


def test_a_body_that_stops_coming_is_given_up() -> None:
    async def stopping(begin: bytes = b"{") -> AsyncIterator[bytes]:
        yield begin
        await asyncio.sleep(60)

    async def dripping() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.005)

    async def main() -> None:
        door = Door(limits=DoorLimits(body_idle_s=0.05, body_total_s=0.3))
        form = {"content-type": "multipart/form-data; boundary=b"}
        async with client(door) as http:
            for content in (stopping(), dripping()):
                slow = await http.post("/v1/enrich", content=content)
                assert (slow.status_code, slow.json()["error"]["code"]) == (408, "request_too_slow")
                assert slow.headers["connection"] == "close"
            slow = await http.post("/v1/preview", content=stopping(b"--b\r\n"), headers=form)
            assert (slow.status_code, slow.json()["error"]["code"]) == (408, "request_too_slow")
            assert (await http.post("/v1/enrich", json=body(item("a")))).status_code == 200
        assert door.open_requests == 0

    asyncio.run(main())
