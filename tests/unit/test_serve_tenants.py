"""Tenants cannot read or overwrite each other's keys, whatever they call themselves and whatever their events claim."""

import asyncio
import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from serve.catalog.plan import plan_shot
from serve.catalog.recipe import Variant
from serve.schemas.exchange import EnrichItem
from serve.schemas.listing import TenantId
from serve.schemas.outcome import Outcome
from serve.schemas.result import ListingResult
from tests.support.photos import garment
from tests.support.small_studio import SmallStudio, item, small_studio

TENANT: TypeAdapter[str] = TypeAdapter(TenantId)
VARIANT = Variant.model_validate({"name": "white", "operations": [{"op": "studio"}], "size": [64, 64]})
SOURCE = "0" * 64
NARROW = st.text("abAB09._-", min_size=1, max_size=6)


def key_of(tenant: str) -> str:
    return plan_shot(VARIANT, tenant, SOURCE, (), ()).key


def accepted(name: str) -> bool:
    try:
        return TENANT.validate_python(name) == name
    except ValidationError:
        return False


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../acme",
        "acme/..",
        "acme/../globex",
        "acme/",
        "/acme",
        "a/b",
        "a\\b",
        "%2e%2e",
        "acme%2Fglobex",
        "acme\0",
        "acme\n",
        "acme\r\n",
        " acme",
        "acme ",
        "acme\t",
        ".acme",
        "-acme",
        "_acme",
        "\uff41cme",
        "acme\uff0fglobex",
        "acme\u2215globex",
        "acme\u202e",
        "acme\u200b",
        "a\u0301cme",
        "\u00e1cme",
        "\u0430cme",
        "acme?versionId=1",
        "acme#",
        "*",
        "a:b",
        "\ud800",
        "a" * 64,
    ],
)
def test_names_that_play_tricks_are_no_tenants(name: str) -> None:
    assert not accepted(name)
    event = item("a").model_dump(mode="json")
    event["listing"]["tenant_id"] = name
    with pytest.raises(ValidationError):
        EnrichItem.model_validate(event)


@pytest.mark.parametrize(
    "name", ["acme", "ACME", "a", "a" * 63, "acme.", "acme..", "a..b", "preview", "con", "0", "a-_."]
)
def test_plain_names_are(name: str) -> None:
    assert accepted(name)


@given(st.text(max_size=70) | NARROW)
def test_a_tenants_key_is_two_parts_of_which_the_first_is_its_name(name: str) -> None:
    if not accepted(name):
        return
    key = key_of(name)
    first, slash, rest = key.partition("/")
    assert (first, slash) == (name, "/")
    assert "/" not in rest
    # No spelling of a path or a URL means another object than the one that is written there.
    assert key.isascii()
    assert first not in (".", "..")
    assert not set(key) & set("\\%?#:*\0 ")


@given(NARROW, NARROW)
def test_two_tenants_never_share_a_key_and_none_lies_inside_another(one: str, other: str) -> None:
    if one == other or not (accepted(one) and accepted(other)):
        return
    first, second = f"{one}/", f"{other}/"
    assert not first.startswith(second)
    assert not second.startswith(first)
    assert key_of(one) != key_of(other)


@given(st.text(min_size=1, max_size=8))
def test_twins_of_a_name_in_unicode_are_the_name_itself_or_no_tenants(name: str) -> None:
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        twin = unicodedata.normalize(form, name)
        if accepted(name):
            assert twin == name


# The index and the store: what one tenant was answered is none of another's.


async def answered(studio: SmallStudio, event: EnrichItem) -> ListingResult:
    return await studio.pipeline.answer(event)


def keys(result: ListingResult) -> set[str]:
    return {output.key for output in result.outputs}


def test_the_same_event_of_two_tenants_is_two_events(tmp_path: Path) -> None:
    """Same source, id, place, listing, revision and photo: neither is told what the other was answered."""

    async def main() -> None:
        with small_studio({"p": garment()}, tmp_path) as studio:
            mine, yours = item("p", offset=3), item("p", offset=3, tenant_id="globex")
            first = await answered(studio, mine)
            second = await answered(studio, yours)
            assert first.outcome is second.outcome is Outcome.ENRICHED
            assert (first.tenant_id, second.tenant_id) == ("acme", "globex")
            assert all(key.startswith("acme/") for key in keys(first))
            assert all(key.startswith("globex/") for key in keys(second))
            assert not any(output.reused for output in second.outputs)
            # Asked again, each gets its own, although the other's took the row of the place.
            for event, before in ((mine, first), (yours, second), (mine, first)):
                again = await answered(studio, event)
                assert again.tenant_id == event.listing.tenant_id
                assert keys(again) == keys(before)

    asyncio.run(main())


def test_no_tenant_is_told_that_another_sent_the_event_before(tmp_path: Path) -> None:
    async def main() -> None:
        with small_studio({"p": garment()}, tmp_path) as studio:
            await answered(studio, item("p", offset=1, event_id="e", revision=9))
            other = await answered(studio, item("p", offset=2, event_id="e", revision=1, tenant_id="globex"))
            assert other.outcome is Outcome.ENRICHED
            own = await answered(studio, item("p", offset=4, event_id="e", revision=9))
            assert own.outcome is Outcome.DUPLICATE

    asyncio.run(main())


def test_a_deletion_takes_only_its_own_tenants_objects(tmp_path: Path) -> None:
    async def main() -> None:
        with small_studio({"p": garment()}, tmp_path) as studio:
            mine = await answered(studio, item("p", offset=1))
            yours = await answered(studio, item("p", offset=2, tenant_id="globex"))
            deleted = "org.vitrine.catalog.listing.deleted.v1"
            gone = await answered(studio, item(offset=3, tenant_id="globex", revision=2, type=deleted))
            assert gone.outcome is Outcome.REMOVED
            assert all(studio.store.head(key) is not None for key in keys(mine))
            assert all(studio.store.head(key) is None for key in keys(yours))

    asyncio.run(main())


@given(st.tuples(st.text(max_size=8), st.text(max_size=8)), st.tuples(st.text(max_size=8), st.text(max_size=8)))
def test_tenant_and_listing_never_run_into_each_other(one: tuple[str, str], other: tuple[str, str]) -> None:
    """`a` with listing `b:c` is not `a:b` with listing `c`: parts are kept apart before they are hashed."""
    from serve.index.tables import _digest  # noqa: PLC0415 - what both refs are made of

    assert (_digest(*one) == _digest(*other)) == (one == other)
    assert json.loads(json.dumps(one)) == list(one)
