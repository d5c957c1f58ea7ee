"""Block lists: terms however they are hidden, photos by their hashes, rules per tenant, and what an event is told."""

import asyncio
import io
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from serve.catalog.catalog import Catalog
from serve.catalog.loader import CatalogInvalid, load_catalog
from serve.edition import Edition
from serve.errors import ServeError
from serve.images.decoding import DecodeLimits, decode
from serve.images.phash import hamming, phash
from serve.interfaces import FetchedBytes
from serve.policy.check import PolicyCheck
from serve.policy.hashes import HashList
from serve.policy.rules import Policy
from serve.policy.terms import TermList, normal, words_of
from serve.schemas.exchange import EnrichItem
from serve.schemas.listing import Listing
from serve.schemas.outcome import Outcome, Verdict
from serve.schemas.result import ListingResult
from tests.support.faces import drawn_face
from tests.support.photos import garment
from tests.support.small_studio import SmallStudio, item, small_catalog, small_studio


def another() -> bytes:
    """A photo that shows something else altogether."""
    file = io.BytesIO()
    Image.fromarray(drawn_face()).save(file, "JPEG")
    return file.getvalue()


PHOTOS: dict[str, bytes | ServeError] = {"a": garment((200, 30, 30), 1), "b": another()}
#: What nobody sees: joiners, marks, fillers, selectors, control characters.
UNSEEN = st.sampled_from("\u200b\u200c\u200d\u2060\ufeff\u00ad\u034f\u180e\u2063\ufe0f\u3164\u202e\u0007\U000e0041")
#: Letters of scripts in which case folding and normal forms meet no exceptions that the standard leaves open.
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=40)
TERMS = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=2, max_size=12)
LIST = TermList({"swoosh": ["Nike"], "bags": ["Louis Vuitton"], "copies": ["高仿", "реплика"], "one": ["x-1"]})


def rule(name: str = "copies", **fields: object) -> dict[str, object]:
    return {"rule": name, "reason": "not sold here", **fields}


def policy(**fields: object) -> PolicyCheck:
    return PolicyCheck(Policy.model_validate({"version": 1, **fields}))


def listing(tenant: str = "acme", **fields: object) -> Listing:
    return Listing.model_validate({"tenant_id": tenant, "listing_id": "L1", "revision": 1, **fields})


def source_hash(name: str) -> str:
    body = PHOTOS[name]
    assert isinstance(body, bytes)
    return phash(decode(FetchedBytes(body=body, sha256=""), "0", DecodeLimits()).pixels)


@given(TEXTS)
def test_the_normal_form_of_a_normal_form_is_itself(text: str) -> None:
    assert normal(normal(text)) == normal(text)


@given(TEXTS)
def test_width_and_composition_make_no_difference(text: str) -> None:
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert normal(unicodedata.normalize(form, text)) == normal(text)


@given(TERMS, st.data())
def test_case_makes_no_difference(term: str, data: st.DataObject) -> None:
    mixed = "".join(data.draw(st.sampled_from((sign, sign.upper()))) for sign in term)
    assert normal(mixed) == term


@given(TERMS, TERMS, UNSEEN, st.integers(0, 12))
def test_an_invisible_sign_anywhere_hides_no_term(term: str, other: str, sign: str, place: int) -> None:
    hidden = term[:place] + sign + term[place:]
    assert TermList({"r": [term]}).found(f"new {hidden}, {other}") == {"r": term}
    assert TermList({"r": [hidden]}).found(term) == {"r": hidden} if words_of(hidden) else True


@given(TERMS, TERMS)
def test_a_term_within_a_longer_word_is_not_that_term(term: str, more: str) -> None:
    assert TermList({"r": [term]}).found(f"{term}{more} {more}{term} {more}{term}{more}") == {}


@given(st.lists(TEXTS, max_size=6), TERMS)
def test_a_term_is_found_between_any_other_texts(texts: list[str], term: str) -> None:
    assert TermList({"r": [term]}).found(" ".join([*texts, "|", term, "|", *texts])) == {"r": term}


@pytest.mark.parametrize(
    ("text", "hits"),
    [
        ("NIKE", {"swoosh"}),
        ("\uff2e\uff29\uff2b\uff25 air", {"swoosh"}),
        ("N\u200bi\u00adk\u2060e", {"swoosh"}),
        ("\u041d\u0438\u043ae: \u039d\u03b9\u03ba\u03b5", {"swoosh"}),
        ("\U0001d4dd\U0001d4f2\U0001d4f4\U0001d4ee", {"swoosh"}),
        ("Ñïkê", {"swoosh"}),
        ("nike's", {"swoosh"}),
        ("nike_shoe", {"swoosh"}),
        ("Nike鞋", {"swoosh"}),
        ("snike nikes", set()),
        ("ni ke", set()),
        ("louis-vuitton LOUIS\u00a0\u00a0VUITTON", {"bags"}),
        ("louis XIV, vuitton", set()),
        ("正品高仿包", {"copies"}),
        ("高 仿", {"copies"}),
        ("高端仿制", set()),
        ("РЕПЛИКА", {"copies"}),
        ("size X-1", {"one"}),
        ("", set()),
        ("\u200b", set()),
    ],
)
def test_terms_are_found_however_they_are_written(text: str, hits: set[str]) -> None:
    assert set(LIST.found(text)) == hits


def test_a_long_text_against_many_terms_needs_one_pass() -> None:
    many = TermList({"r": [f"word{number} thing" for number in range(20_000)]})
    assert many.found("word5 " * 50_000 + "word19999 thing") == {"r": "word19999 thing"}


@given(st.integers(0, 2**64 - 1), st.sets(st.integers(0, 63), max_size=20), st.integers(0, 16))
def test_a_photo_is_known_within_the_bits_that_may_differ(known: int, flips: set[int], within: int) -> None:
    seen = known ^ sum(1 << bit for bit in flips)
    hashes = HashList([f"{known:016x}", f"{known ^ (2**64 - 1):016x}"], within)
    near = min(len(flips), 64 - len(flips))
    assert hashes.holds(f"{seen:016x}") is (near <= within)
    assert hamming(f"{known:016x}", f"{seen:016x}") == len(flips)


def test_every_text_that_shoppers_read_is_looked_at() -> None:
    check = policy(terms=[rule(terms=["replica"])])
    texts: dict[str, Any] = {
        "title": "Replica bag",
        "description": "a fine replica",
        "brand": "REPLICA",
        "product_type": "replica",
        "category": {"path": "Bags > Replica"},
        "tags": ["new", "replica"],
        "attributes": {"style": {"kind": ["replica"]}},
        "variants": [{"options": {"colour": "replica"}}],
        "images": [{"url": "https://x/1.jpg", "alt": "replica"}],
    }
    for name, value in texts.items():
        assert [one.rule for one in check.of_listing(listing(**{name: value}))] == ["copies"], name
    assert check.of_listing(listing(title="original", images=[{"url": "https://x/replica.jpg"}])) == []


def test_a_brand_rule_reads_the_brand_alone_and_rejections_come_first() -> None:
    check = policy(
        terms=[
            rule("a-look", terms=["vintage"], action="review"),
            rule("own-brand", terms=["Acme"], where="brand"),
        ]
    )
    assert check.of_listing(listing(title="fits Acme things")) == []
    found = check.of_listing(listing(brand="ACME", title="vintage"))
    assert [(one.rule, one.action) for one in found] == [("own-brand", "reject"), ("a-look", "review")]
    assert found[0].message == "not sold here (own-brand: 'Acme')"


def test_tenants_add_rules_and_do_without_others() -> None:
    check = policy(
        terms=[rule(terms=["replica"])],
        hashes=[rule("stolen", hashes=["0" * 16], within=0)],
        tenants={"acme": {"without": ["copies", "stolen"], "terms": [rule("own", terms=["secret"])]}},
    )
    assert check.of_listing(listing("acme", title="replica")) == []
    assert [one.rule for one in check.of_listing(listing("acme", title="secret"))] == ["own"]
    assert [one.rule for one in check.of_listing(listing("other", title="replica secret"))] == ["copies"]
    assert (check.knows_photos("acme"), check.knows_photos("other")) == (False, True)
    assert (check.of_photo("acme", "0" * 16), len(check.of_photo("other", "0" * 16))) == ([], 1)


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"terms": [rule(terms=["\u200b!"])]}, "nothing is left"),
        ({"terms": [rule(terms=[])]}, "at least 1"),
        ({"terms": [rule(terms=["a"]), rule(terms=["b"])]}, "must differ: copies"),
        ({"terms": [rule(terms=["a"], action="burn")]}, "action"),
        ({"hashes": [rule(hashes=["xyz"])]}, "pattern"),
        ({"hashes": [rule(hashes=["0" * 16], within=40)]}, "less than or equal to 16"),
        ({"tenants": {"acme": {"without": ["copies"]}}}, "no rule copies"),
        ({"tenants": {"a/b": {}}}, "pattern"),
        ({"term": []}, "Extra inputs"),
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused(fields: dict[str, object], where: str) -> None:
    with pytest.raises(ValidationError, match=where):
        Policy.model_validate({"version": 1, **fields})


def test_the_loader_reads_the_folders_policy_and_reports_its_faults_with_the_others(tmp_path: Path) -> None:
    assert load_catalog().policy.policy == Policy(version=1)
    (tmp_path / "policy.yaml").write_text(
        "version: 2\nterms: [{rule: x, terms: [Nike], reason: look, action: review}]\n"
    )
    found = load_catalog(tmp_path).policy.of_listing(listing(title="nike"))
    assert [(one.rule, one.action) for one in found] == [("x", "review")]
    (tmp_path / "policy.yaml").write_text("version: 1\nterms: [{rule: x, terms: [Nike]}]\n")
    (tmp_path / "quality.yaml").write_text("version: [")
    with pytest.raises(CatalogInvalid) as refused:
        load_catalog(tmp_path)
    faults = {(fault.file.name, fault.path) for fault in refused.value.faults}
    assert ("policy.yaml", "terms[0].reason") in faults
    assert "quality.yaml" in {name for name, _ in faults}


# ---- through the pipeline


def with_policy(**fields: object) -> Catalog:
    return replace(small_catalog(), policy=policy(**fields))


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[SmallStudio]:
    with small_studio(PHOTOS, tmp_path) as built:
        yield built


def adopt(studio: SmallStudio, **fields: object) -> None:
    studio.editions.swap(Edition(with_policy(**fields), (studio.paint, studio.judge)))


def run(studio: SmallStudio, event: EnrichItem) -> ListingResult:
    return asyncio.run(studio.pipeline.answer(event))


def test_a_listing_with_a_blocked_term_costs_no_fetch_and_no_computing(studio: SmallStudio) -> None:
    adopt(studio, terms=[rule(terms=["replica"])])
    result = run(studio, item("a", "b", title="Réplica bag"))
    assert (result.outcome, result.code) == (Outcome.REJECTED, "policy_blocked")
    assert result.message == "not sold here (copies: 'replica')"
    assert (studio.fetcher.asked, studio.paint.batches, result.outputs) == ([], [], [])
    assert run(studio, item("a", offset=1, title="Original")).outcome is Outcome.ENRICHED


def test_a_term_for_review_stores_the_images_and_flags_all_of_them(studio: SmallStudio) -> None:
    adopt(studio, terms=[rule(terms=["replica"], action="review")])
    result = run(studio, item("a", title="replica"))
    assert (result.outcome, result.code) == (Outcome.REVIEW_REQUIRED, "policy_review")
    assert result.message == "not sold here (copies: 'replica')"
    for output in result.outputs:
        assert output.quality.verdict is Verdict.REVIEW
        assert studio.store.head(output.key) is not None
    adopt(studio)
    again = run(studio, item("a", offset=1, revision=2, title="replica"))
    assert again.outcome is Outcome.ENRICHED, "the flag is of the listing, not of the image"
    assert all(output.reused for output in again.outputs)


def test_a_blocked_photo_is_not_computed_and_the_others_of_the_listing_are(studio: SmallStudio) -> None:
    adopt(studio, hashes=[rule("stolen", hashes=[source_hash("a")])])
    result = run(studio, item("a", "b"))
    assert result.outcome is Outcome.ENRICHED
    assert {output.source_image_id for output in result.outputs} == {"1"}
    assert [(error.image_id, error.stage, error.code) for error in result.errors] == [("0", "policy", "policy_blocked")]
    assert len(studio.paint.batches) == 1
    alone = run(studio, item("a", offset=1, listing_id="L2"))
    assert (alone.outcome, alone.code, alone.message) == (Outcome.REJECTED, "policy_blocked", "not sold here (stolen)")
    assert len(studio.paint.batches) == 1


def test_a_photo_for_review_flags_its_own_images_alone(studio: SmallStudio) -> None:
    adopt(studio, hashes=[rule("seen", hashes=[source_hash("a")], action="review")])
    result = run(studio, item("a", "b"))
    assert (result.outcome, result.code) == (Outcome.REVIEW_REQUIRED, "policy_review")
    verdicts = {(output.source_image_id, output.quality.verdict) for output in result.outputs}
    assert verdicts == {("0", Verdict.REVIEW), ("1", Verdict.PUBLISH)}


def test_a_hash_list_that_comes_later_also_stops_images_that_are_stored(studio: SmallStudio) -> None:
    before = run(studio, item("a"))
    assert all(output.source_phash == source_hash("a") for output in before.outputs)
    adopt(studio, hashes=[rule("stolen", hashes=[source_hash("a")])])
    after = run(studio, item("a", offset=1, revision=2))
    assert (after.outcome, after.code) == (Outcome.REJECTED, "policy_blocked")
    assert len(studio.paint.batches) == 1, "the record knows the photo's hash"


def test_an_image_recorded_without_the_hash_of_its_photo_is_looked_at_again(studio: SmallStudio) -> None:
    before = run(studio, item("a"))
    for output in before.outputs:
        studio.index.record(output.model_copy(update={"source_phash": None}))
    adopt(studio, hashes=[rule("other", hashes=[source_hash("b")], within=0)])
    after = run(studio, item("a", offset=1, revision=2))
    assert [output.sha256 for output in after.outputs] == [output.sha256 for output in before.outputs]
    assert [output.reused for output in after.outputs] == [False, False]
    adopt(studio, hashes=[rule("stolen", hashes=[source_hash("a")])])
    assert run(studio, item("a", offset=2, revision=3)).code == "policy_blocked"
    assert len(studio.paint.batches) == 2


def test_a_quality_breach_beside_a_blocked_photo_says_the_block(studio: SmallStudio) -> None:
    adopt(studio, hashes=[rule("stolen", hashes=[source_hash("a")])])
    studio.judge.fill = {"white": 0.1, "grey": 0.1}
    result = run(studio, item("a", "b"))
    assert (result.outcome, result.code) == (Outcome.REJECTED, "policy_blocked")
    assert {error.code for error in result.errors} == {"policy_blocked", "quality_rejected"}
