# ruff: noqa: RUF001 -- Chinese has its own punctuation
"""Words about a product: nothing is said without evidence, and nothing but what the grammar can say."""

import html
import json
import re
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.colour import lab_of
from models.recognition.facts import ColourFact, Evidence, Facts
from models.recognition.palette import Colour, name_of
from models.recognition.words import LANGUAGES, Statement, Words, words

CATEGORIES = ("dress", "hat", "longsleeve", "outwear", "pants", "shirt", "shoes", "shorts", "skirt", "t-shirt")
PATTERNS = (
    "plain",
    "horizontal-stripes",
    "vertical-stripes",
    "check",
    "dots",
    "print",
    "graphic",
    "camouflage",
    "colour-block",
)
SURE = st.floats(0, 1)


def evidence(fact: str, values: st.SearchStrategy[str]) -> st.SearchStrategy[Evidence]:
    return st.builds(Evidence, fact=st.just(fact), value=values, confidence=SURE, source=st.just("model 1"))


def colour_fact(srgb: tuple[int, int, int], share: float, confidence: float) -> ColourFact:
    name = name_of(lab_of(srgb))
    return ColourFact(
        colour=Colour(name=name, srgb=srgb, share=share, confidence=confidence),
        evidence=Evidence(fact="colour", value=name.en, confidence=confidence, source="palette 1"),
    )


FACTS = st.builds(
    Facts,
    category=st.none() | evidence("category", st.sampled_from((*CATEGORIES, "unheard-of"))),
    pattern=st.none() | evidence("pattern", st.sampled_from((*PATTERNS, "unheard-of"))),
    colours=st.lists(
        st.builds(colour_fact, st.tuples(*[st.integers(0, 255)] * 3), st.floats(0.08, 1), SURE), max_size=3
    ).map(tuple),
    text=st.lists(evidence("text", st.text(max_size=70)), max_size=5).map(tuple),
)


def statements(said: Words) -> list[Statement]:
    return [one for one in (said.title, *said.bullets, *said.tags, said.alt) if one]


def grammar(language: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        files("models.recognition").joinpath("data", f"words.{language}.json").read_text("utf-8")
    )
    return found


@settings(max_examples=150, deadline=None)
@given(FACTS, st.sampled_from(LANGUAGES))
def test_every_statement_has_evidence_that_is_sure_enough(facts: Facts, language: str) -> None:
    given_facts = [facts.category, facts.pattern, *(one.evidence for one in facts.colours), *facts.text]
    limits = grammar(language)["limits"]
    for statement in statements(words(facts, language)):
        assert statement.evidence
        for one in statement.evidence:
            assert one in given_facts
            assert one.confidence >= limits[one.fact]
        assert statement.confidence == min(one.confidence for one in statement.evidence)


@settings(max_examples=150, deadline=None)
@given(FACTS, st.sampled_from(LANGUAGES))
def test_statements_are_whole_safe_and_the_same_each_time(facts: Facts, language: str) -> None:
    said = words(facts, language)
    assert said == words(facts, language)
    for statement in statements(said):
        text = statement.text
        assert text.strip() == text
        assert text
        assert html.escape(text) == text
        assert not set("{}\n\t") & set(text)
        assert "  " not in text
        assert text.count("“") == text.count("”")


@settings(max_examples=100, deadline=None)
@given(FACTS)
def test_outside_quotations_each_language_keeps_to_itself(facts: Facts) -> None:
    for language in LANGUAGES:
        for statement in statements(words(facts, language)):
            own = re.sub("“[^”]*”", "", statement.text)
            if language == "en":
                assert own.isascii()
            else:
                assert not re.search("[A-Za-z]", own.replace("T恤", ""))


@settings(max_examples=100, deadline=None)
@given(FACTS, st.sampled_from(LANGUAGES))
def test_text_that_was_read_is_only_ever_quoted(facts: Facts, language: str) -> None:
    for statement in statements(words(facts, language)):
        quoted = re.findall("“([^”]*)”", statement.text)
        assert len(quoted) <= 3
        if quoted:
            assert {one.fact for one in statement.evidence} >= {"text"}
    without = Facts(category=facts.category, pattern=facts.pattern, colours=facts.colours)
    assert words(without, language).title == words(facts, language).title


def sure(fact: str, value: str) -> Evidence:
    return Evidence(fact=fact, value=value, confidence=0.95, source="model 1")


SHIRT = Facts(
    category=sure("category", "t-shirt"),
    pattern=sure("pattern", "graphic"),
    colours=(colour_fact((20, 20, 22), 0.8, 0.9), colour_fact((200, 30, 45), 0.15, 0.8)),
    text=(sure("text", "RUN <b>THE</b> DAY"), sure("text", "7"), sure("text", "H&M")),
)


def test_english() -> None:
    said = words(SHIRT, "en")
    assert said.title is not None
    assert said.alt is not None
    assert said.title.text == "Black T-shirt with a print"
    assert [one.text for one in said.bullets] == [
        "Category: T-shirt",
        "Main colour: black (about 80 % of the product)",
        "Further colours: red",
        "Pattern: print on part of the product",
        "Text on the product reads “RUN b THE /b DAY”, “H M”",
    ]
    assert [one.text for one in said.tags] == ["T-shirt", "black", "red", "graphic print", "with text"]
    assert said.alt.text == "Product photo: black T-shirt with a print. Text on it reads “RUN b THE /b DAY”, “H M”."


def test_chinese() -> None:
    said = words(SHIRT, "zh")
    assert said.title is not None
    assert said.alt is not None
    assert said.title.text == "黑色图案印花T恤"
    assert [one.text for one in said.bullets][:3] == ["品类：T恤", "主色：黑色（约占商品的80%）", "其他颜色：红色"]
    assert said.alt.text == "商品图：黑色图案印花T恤，文字为“RUN b THE /b DAY”、“H M”。"


def test_what_is_not_sure_is_not_said() -> None:
    vague = Facts(
        category=Evidence(fact="category", value="dress", confidence=0.3, source="model 1"),
        pattern=Evidence(fact="pattern", value="dots", confidence=0.4, source="model 1"),
        colours=(colour_fact((20, 20, 22), 0.5, 0.2), colour_fact((200, 30, 45), 0.4, 0.9)),
        text=(Evidence(fact="text", value="SALE", confidence=0.5, source="model 1"),),
    )
    for language in LANGUAGES:
        said = words(vague, language)
        assert (said.title, said.bullets, said.tags, said.alt) == (None, (), (), None)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_grammar_knows_all_classes_and_patterns(language: str) -> None:
    known = grammar(language)["words"]
    assert set(known["category"]) == set(CATEGORIES)
    assert set(known["pattern"]) == set(PATTERNS)


def test_a_language_without_grammar_is_refused() -> None:
    with pytest.raises(ValueError, match="no grammar for 'xx'"):
        words(SHIRT, "xx")
