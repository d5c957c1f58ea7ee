"""The policy file: what is blocked or shown to a person, for all tenants and for single ones."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from serve.policy.terms import words_of
from serve.schemas.listing import TenantId

Action = Literal["reject", "review"]
RuleName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,62}$")]


def _has_words(term: str) -> str:
    if not words_of(term):
        raise ValueError("nothing is left of the term but signs")
    return term


Term = Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(_has_words)]
#: 64 bits, as `serve.images.phash` writes them.
Phash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Rule(_Data):
    rule: RuleName
    action: Action = "reject"
    #: What the result says.
    reason: Annotated[str, StringConstraints(min_length=1, max_length=300)]


class TermRule(_Rule):
    """Words or brands. Case, accents, widths, invisible signs and look-alike letters make no difference."""

    terms: Annotated[list[Term], Field(min_length=1)]
    #: Only the listing's brand, or all of its texts.
    where: Literal["brand", "anywhere"] = "anywhere"


class HashRule(_Rule):
    """Photos, known by their perceptual hashes."""

    hashes: Annotated[list[Phash], Field(min_length=1)]
    #: In how many of the 64 bits a photo may differ and still count as the same. Copies of half the size at quality 60
    #: differ by at most 4, and 5 of 5.8 million pairs of different photos of clothes do; by at most 6, 41 do.
    within: Annotated[int, Field(ge=0, le=16)] = 4


class TenantRules(_Data):
    """What differs for one tenant."""

    #: Rules for all that do not hold for this tenant.
    without: list[RuleName] = []
    terms: list[TermRule] = []
    hashes: list[HashRule] = []
    #: None: as for all.
    blur_faces: bool | None = None


class Policy(_Data):
    """The whole file."""

    version: Annotated[int, Field(ge=1)]
    terms: list[TermRule] = []
    hashes: list[HashRule] = []
    #: Whether faces are made unrecognisable in every photo, whatever channels and recipes say.
    blur_faces: bool = False
    tenants: dict[TenantId, TenantRules] = {}

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        shared = [one.rule for one in (*self.terms, *self.hashes)]
        _refuse_twice(shared)
        for tenant, rules in self.tenants.items():
            _refuse_twice(shared + [one.rule for one in (*rules.terms, *rules.hashes)])
            if unknown := sorted(set(rules.without) - set(shared)):
                raise ValueError(f"tenant {tenant}: there is no rule {', '.join(unknown)} to do without")
        return self


def _refuse_twice(names: list[str]) -> None:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"rule names must differ: {', '.join(twice)}")
