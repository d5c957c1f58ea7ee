"""Words about a product: title, bullet points, tags and alternative text, from facts alone.

A grammar in a data file (`data/words.LANGUAGE.json`) says what can be said. Each rule is a sentence with slots and,
where it needs one, a condition; of a group of rules the first whose slots can all be filled is said. A fact below the
grammar's limit of confidence fills no slot. Every statement carries the evidence of the slots and conditions that made
it. Text that was read is only ever quoted: it is never taken for a brand.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from string import Formatter
from typing import Any

from models.recognition.facts import ColourFact, Evidence, Facts

LANGUAGES = ("en", "zh")
#: Colours of a smaller share are not in the title.
_IN_TITLE = 0.2
_MOST_LINES, _LONGEST = 3, 48
#: Would end a quotation, or mean something in HTML.
_UNSAFE = str.maketrans(dict.fromkeys("<>&\"'`“”{}\\\u2018\u2019", " "))


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One thing that is said, and why."""

    text: str
    evidence: tuple[Evidence, ...]

    @property
    def confidence(self) -> float:
        """That of the weakest evidence."""
        return min(one.confidence for one in self.evidence)


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """All that is said of a product in one language. Plain text without markup; safe to put into HTML as it is."""

    language: str
    #: None where nothing is known well enough.
    title: Statement | None
    bullets: tuple[Statement, ...]
    tags: tuple[Statement, ...]
    alt: Statement | None


@dataclass(frozen=True, slots=True)
class _Slot:
    text: str
    evidence: tuple[Evidence, ...]


def words(facts: Facts, language: str) -> Words:
    """What can be said in a language; `ValueError` for one without a grammar."""
    grammar = _grammar(language)
    slots = _slots(facts, grammar)
    alt = [said for group in grammar["alt"] if (said := _first(group, slots))]
    bullets = [_said(group, slots, grammar) for group in grammar["bullets"]]
    tags = [said for group in grammar["tags"] if (said := _first(group, slots))]
    return Words(
        language=language,
        title=_said(grammar["title"], slots, grammar),
        bullets=tuple(bullet for bullet in bullets if bullet),
        tags=tuple({tag.text: tag for tag in reversed(tags)}.values())[::-1],
        alt=_joined(alt, grammar),
    )


def _slots(facts: Facts, grammar: Mapping[str, Any]) -> dict[str, _Slot]:
    """What the slots of sentences are filled with."""
    limits, known = grammar["limits"], grammar["words"]
    slots = {}
    for name, fact in (("category", facts.category), ("pattern", facts.pattern)):
        # A value without a word is left out: the words of another language would not do.
        if fact and fact.confidence >= limits[name] and fact.value in known[name]:
            slots[name] = _Slot(known[name][fact.value], (fact,))
    lines = [line for line in facts.text if line.confidence >= limits["text"] and _clean(line.value)]
    if lines := lines[:_MOST_LINES]:
        quoted = grammar["comma"].join(grammar["quote"].format(_clean(line.value)) for line in lines)
        slots["text"] = _Slot(quoted, tuple(lines))
    sure = [one for one in facts.colours if one.evidence.confidence >= limits["colour"]]
    # Where the largest has no sure name, another must not pass for the main colour.
    return slots | _colour_slots(sure, grammar) if sure[:1] == list(facts.colours[:1]) else slots


def _colour_slots(colours: Sequence[ColourFact], grammar: Mapping[str, Any]) -> dict[str, _Slot]:
    slots: dict[str, _Slot] = {}
    if not colours:
        return slots
    named = [_Slot(getattr(one.colour.name, grammar["language"]), (one.evidence,)) for one in colours]
    for place, slot in enumerate(named, 1):
        slots[f"colour{place}"] = slot
    share = grammar["percent"].format(max(5, round(colours[0].colour.share * 20) * 5))
    slots["share1"] = _Slot(share, named[0].evidence)
    title = [slot for slot, one in zip(named, colours, strict=True) if one.colour.share >= _IN_TITLE]
    slots["title_colours"] = _listed(title or named[:1], grammar)
    if named[1:]:
        slots["further"] = _listed(named[1:], grammar)
    return slots


def _listed(slots: Sequence[_Slot], grammar: Mapping[str, Any]) -> _Slot:
    texts = [slot.text for slot in slots]
    last = grammar["joiner"].join(texts[-2:])
    evidence = tuple(one for slot in slots for one in slot.evidence)
    return _Slot(grammar["comma"].join([*texts[:-2], last]), evidence)


def _said(
    group: Sequence[Mapping[str, Any]], slots: Mapping[str, _Slot], grammar: Mapping[str, Any]
) -> Statement | None:
    """The first rule that fits, as a statement of its own."""
    said = _first(group, slots)
    return Statement(text=_started(said.text, grammar), evidence=said.evidence) if said else None


def _first(group: Sequence[Mapping[str, Any]], slots: Mapping[str, _Slot]) -> Statement | None:
    for rule in group:
        needed = [name for _, name, _, _ in Formatter().parse(rule["say"]) if name]
        asked = list(rule.get("when", {}))
        if any(name not in slots for name in (*needed, *asked)):
            continue
        if all(_is_one_of(slots[name], values) for name, values in rule.get("when", {}).items()):
            text = rule["say"].format(**{name: slots[name].text for name in needed})
            evidence = tuple(dict.fromkeys(one for name in (*needed, *asked) for one in slots[name].evidence))
            return Statement(text=text, evidence=evidence)
    return None


def _is_one_of(slot: _Slot, values: Sequence[str]) -> bool:
    return list(values) == ["*"] or slot.evidence[0].value in values


def _joined(parts: Sequence[Statement], grammar: Mapping[str, Any]) -> Statement | None:
    """Sentences in a row."""
    if not parts:
        return None
    between = grammar["alt_between"]
    texts = [_started(part.text, grammar) if between.startswith(".") else part.text for part in parts]
    evidence = tuple(dict.fromkeys(one for part in parts for one in part.evidence))
    return Statement(text=between.join(texts) + grammar["alt_end"], evidence=evidence)


def _started(text: str, grammar: Mapping[str, Any]) -> str:
    return text[:1].upper() + text[1:] if grammar["capitalise"] else text


def _clean(text: str) -> str:
    """What may be quoted of a line; empty where it is no text: at least two letters."""
    printable = "".join(sign if sign.isprintable() else " " for sign in text.translate(_UNSAFE))
    short = " ".join(printable.split())[:_LONGEST].strip()
    return short if sum(sign.isalpha() for sign in short) > 1 else ""


@cache
def _grammar(language: str) -> Mapping[str, Any]:
    if language not in LANGUAGES:
        raise ValueError(f"no grammar for {language!r}; known: {', '.join(LANGUAGES)}")
    body = files("models.recognition").joinpath("data", f"words.{language}.json").read_text("utf-8")
    grammar: dict[str, Any] = json.loads(body)
    return grammar
