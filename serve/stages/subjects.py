"""From what the models recognise to what results say."""

from models.recognition import words as grammar
from models.recognition.facts import Evidence, Facts
from serve.schemas import subject as schema


def subject_of(facts: Facts, beside: tuple[str, ...] = (), *, read: bool = False) -> schema.Subject:
    """What results say of a photo, in every language that there are words in."""
    return schema.Subject(
        category=_optional(facts.category),
        pattern=_optional(facts.pattern),
        colours=[
            schema.NamedColour(
                name=one.colour.name.en,
                srgb=one.colour.hex,
                share=round(one.colour.share, 4),
                evidence=_evidence(one.evidence),
            )
            for one in facts.colours
        ],
        text=[_evidence(line) for line in facts.text],
        text_beside=list(beside),
        text_read=read,
        words={language: _words(grammar.words(facts, language)) for language in grammar.LANGUAGES},
    )


def _words(said: grammar.Words) -> schema.Words:
    return schema.Words(
        title=_statement(said.title) if said.title else None,
        bullets=[_statement(one) for one in said.bullets],
        tags=[_statement(one) for one in said.tags],
        alt=_statement(said.alt) if said.alt else None,
    )


def _statement(said: grammar.Statement) -> schema.Statement:
    return schema.Statement(text=said.text, evidence=[f"{one.fact}={one.value}" for one in said.evidence])


def _optional(fact: Evidence | None) -> schema.Evidence | None:
    return _evidence(fact) if fact else None


def _evidence(fact: Evidence) -> schema.Evidence:
    return schema.Evidence(fact=fact.fact, value=fact.value, confidence=round(fact.confidence, 4), source=fact.source)
