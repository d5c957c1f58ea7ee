"""The quality thresholds: for each kind of output, which measurements publish, go to review, or are rejected."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from serve.catalog.channel import Channel
from serve.catalog.recipe import Variant
from serve.schemas.outcome import Verdict
from serve.schemas.result import Quality, RuleResult

#: The required side of a measurement that is kept for the record and judged by nothing.
UNJUDGED = "recorded only"


class Range(BaseModel):
    """A closed range; an open end has no limit."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    min: float | None = None
    max: float | None = None

    def holds(self, value: float) -> bool:
        """Whether the value lies inside."""
        return (self.min is None or value >= self.min) and (self.max is None or value <= self.max)

    def within(self, other: Self) -> bool:
        """Whether this range lies inside the other."""
        lower = other.min is None or (self.min is not None and self.min >= other.min)
        upper = other.max is None or (self.max is not None and self.max <= other.max)
        return lower and upper

    def __str__(self) -> str:
        ends = [f"{sign} {end:g}" for sign, end in ((">=", self.min), ("<=", self.max)) if end is not None]
        return " and ".join(ends)


class Limits(BaseModel):
    """Inside `publish` the rule holds; else inside `review` a person decides; else the output is rejected."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    publish: Range
    #: Left out, a breach is never worse than review.
    review: Range = Range()
    #: What a person is told when the rule does not hold.
    reason: str
    #: Whether the rule is left out where nothing measured it: not every cut-out knows what it cuts out.
    if_measured: bool = False

    @model_validator(mode="after")
    def _nested(self) -> Self:
        if not self.publish.within(self.review):
            raise ValueError(f"publish ({self.publish}) must lie within review ({self.review})")
        return self

    def judge(self, value: float) -> Verdict:
        """The verdict on one measured value; a value that is not a number is never published."""
        if self.publish.holds(value):
            return Verdict.PUBLISH
        return Verdict.REVIEW if self.review.holds(value) or value != value else Verdict.REJECT  # noqa: PLR0124


class Kind(BaseModel):
    """The thresholds of one kind of output."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    #: A variant is of this kind when its chain holds all of these; the longest list wins, the first of equals.
    operations: list[str]
    rules: Annotated[dict[str, Limits], Field(min_length=1)]


class QualityRules(BaseModel):
    """All thresholds, as `quality.yaml` holds them."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    version: Annotated[int, Field(ge=1)]
    kinds: dict[str, Kind]

    @model_validator(mode="after")
    def _has_fallback(self) -> Self:
        if not any(not kind.operations for kind in self.kinds.values()):
            raise ValueError("one kind must have `operations: []`, for chains that no other kind fits")
        return self

    def kind(self, variant: Variant) -> Kind:
        """The thresholds for a variant."""
        chain = {operation.op for operation in variant.operations}
        fitting = [kind for kind in self.kinds.values() if chain.issuperset(kind.operations)]
        return max(fitting, key=lambda kind: len(kind.operations))

    def asks_more(self, variant: Variant, judged: Quality) -> bool:
        """Whether a rule needs a figure that this judgement knows nothing of: the rule came after it.

        A figure that was asked for and could not be had stands in the judgement without a value.
        """
        known = {rule.rule for rule in judged.rules if rule.profile is None}
        needed = [name for name, limits in self.kind(variant).rules.items() if not limits.if_measured]
        return not known.issuperset(needed)

    def judge(self, variant: Variant, measured: Mapping[str, float]) -> Quality:
        """Judge the measurements of an output. What was required but not measured goes to a person."""
        rules: list[RuleResult] = []
        reasons: list[str] = []
        verdict = Verdict.PUBLISH
        limits_of = self.kind(variant).rules
        for name, limits in limits_of.items():
            value = measured.get(name)
            if value is None and limits.if_measured:
                continue
            says = limits.judge(value) if value is not None else Verdict.REVIEW
            passed = says is Verdict.PUBLISH
            rules.append(RuleResult(rule=name, passed=passed, measured=value, required=str(limits.publish)))
            if not passed:
                reasons.append(limits.reason)
                verdict = worse(verdict, says)
        unjudged = [
            RuleResult(rule=name, passed=True, measured=value, required=UNJUDGED)
            for name, value in measured.items()
            if name not in limits_of
        ]
        return Quality(verdict=verdict, score=_score(rules), reasons=reasons, rules=rules + unjudged)


def recorded_measurements(quality: Quality) -> dict[str, float]:
    """The figures that an earlier judgement was based on."""
    return {
        rule.rule: float(rule.measured) for rule in quality.rules if rule.profile is None and rule.measured is not None
    }


def with_channels(quality: Quality, checked: Sequence[tuple[Channel, Sequence[RuleResult]]]) -> Quality:
    """Add the channels' rules; each says itself what its breach leads to (`serve.catalog.rules`)."""
    verdict, reasons = quality.verdict, list(quality.reasons)
    for channel, rules in checked:
        for rule in rules:
            severity = rule.severity or ("reject" if channel.is_confirmed(rule.rule) else "review")
            if not rule.passed and severity != "advice":
                verdict = worse(verdict, Verdict.REJECT if severity == "reject" else Verdict.REVIEW)
                reasons.append(breach(channel.channel, rule))
    rules = [*quality.rules, *(rule for _, checked_rules in checked for rule in checked_rules)]
    return Quality(verdict=verdict, score=_score(rules), reasons=reasons, rules=rules)


def breach(channel: str, rule: RuleResult) -> str:
    """The broken rule of a channel in words."""
    measured = "was not measured" if rule.measured is None else f"is {rule.measured}"
    return f"{channel}: {rule.rule} {measured}, required {rule.required}"


def worse(one: Verdict, other: Verdict) -> Verdict:
    """The stricter of two verdicts."""
    order = (Verdict.PUBLISH, Verdict.REVIEW, Verdict.REJECT)
    return max(one, other, key=order.index)


def _score(rules: Sequence[RuleResult]) -> float:
    judged = [rule for rule in rules if rule.required != UNJUDGED and rule.severity != "advice"]
    return round(sum(rule.passed for rule in judged) / len(judged), 4) if judged else 1.0
