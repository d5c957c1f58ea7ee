"""How far a run is: figures from the ledger at one moment. Pure."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from deploy.demo.ledger import Ledger
from serve.schemas.outcome import Verdict
from serve.schemas.result import ListingResult


@dataclass(frozen=True, slots=True)
class StageTime:
    """What a stage did so far."""

    #: Images that came out at the end of listings which passed the stage.
    images: int
    total_ms: float

    @property
    def mean_ms(self) -> float:
        """Milliseconds per image."""
        return self.total_ms / self.images if self.images else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The figures that the live view shows."""

    planned: int
    sent: int
    open: int
    endings: Mapping[str, int]
    images: int
    verdicts: Mapping[str, int]
    stages: Mapping[str, StageTime]
    #: Why images or events were not published: rules of images, codes of events; most frequent first.
    reasons: Mapping[str, int]
    #: Seconds since the first event was sent.
    elapsed_s: float

    @property
    def answered(self) -> int:
        """Events with an answer or a dead letter."""
        return self.sent - self.open

    @property
    def images_per_s(self) -> float:
        """Stored images per second since the first event was sent."""
        return self.images / self.elapsed_s if self.elapsed_s > 0 else 0.0

    @classmethod
    def of(cls, ledger: Ledger, planned: int, elapsed_s: float) -> "Progress":
        """Count what the ledger holds."""
        results = ledger.results
        verdicts = Counter(output.quality.verdict.value for result in results for output in result.outputs)
        verdicts[Verdict.REJECT.value] += sum(1 for result in results for error in result.errors if error.quality)
        return cls(
            planned=planned,
            sent=len(ledger.entries),
            open=ledger.open,
            endings=ledger.endings,
            images=sum(len(result.outputs) for result in results),
            verdicts=verdicts,
            stages=_stages(results),
            reasons=dict(_reasons(ledger).most_common()),
            elapsed_s=elapsed_s,
        )


def _stages(results: list[ListingResult]) -> dict[str, StageTime]:
    stages: dict[str, StageTime] = {}
    for result in results:
        images = len(result.outputs) + sum(1 for error in result.errors if error.variant is not None)
        for name, spent in result.timings_ms.items():
            before = stages.get(name, StageTime(0, 0.0))
            stages[name] = StageTime(before.images + images, before.total_ms + spent)
    return stages


def _reasons(ledger: Ledger) -> Counter[str]:
    reasons: Counter[str] = Counter()
    for entry in ledger.entries:
        for result in entry.results[:1]:
            stopped = [error.quality for error in result.errors if error.quality]
            waiting = [output.quality for output in result.outputs if output.quality.verdict is Verdict.REVIEW]
            for quality in (*stopped, *waiting):
                reasons.update({one.rule for one in quality.rules if not one.passed and one.severity != "advice"})
            if not result.outputs and entry.code and not stopped:
                reasons[entry.code] += 1
        reasons.update(letter.code for letter in entry.dead[:1])
    return reasons
