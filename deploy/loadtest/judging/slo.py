"""What a run must reach: an SLO file, and the verdict."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deploy.errors import DeployError
from deploy.loadtest.document import LedgerCounts, Objective, Percentiles, SloVerdict
from deploy.loadtest.judging.percentiles import SHARES, samples_needed

Percentile = Literal["p50", "p90", "p99", "p999", "max"]
#: A whole number is a number of events, a fraction a share of those sent.
Allowed = Annotated[int, Field(ge=0)] | Annotated[float, Field(ge=0, lt=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Milliseconds = Annotated[float, Field(gt=0)]
_WITHIN_MS = 10_000.0


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Goodput(_Part):
    """Events that are to be answered well and in time."""

    #: By default the tightest of the latencies.
    within_ms: Milliseconds | None = None
    #: Share of the offered events.
    at_least: Share


class Slo(_Part):
    """Objectives; without a file nothing may be lost, doubled, or end otherwise than it may."""

    latency_ms: dict[Percentile, Milliseconds] = {}
    loss: Allowed = 0
    visible_twice: Allowed = 0
    unexpected: Allowed = 0
    goodput: Goodput | None = None
    #: Share of the events sent that were rejected, failed or became dead letters although their kind may not.
    reject_rate: Share | None = None

    @property
    def within_ms(self) -> float:
        """Within so many milliseconds an event counts as answered in time."""
        if self.goodput is not None and self.goodput.within_ms is not None:
            return self.goodput.within_ms
        return min(self.latency_ms.values(), default=_WITHIN_MS)


def read_slo(path: Path | None) -> Slo:
    """The objectives of a YAML file; raise `DeployError` where it is none."""
    if path is None:
        return Slo()
    try:
        return Slo.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except OSError as error:
        raise DeployError(f"{path} cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise DeployError(f"{path} is no YAML: {error}") from error
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'the file'}: {one['msg']}" for one in error.errors())
        raise DeployError(f"{path} is no SLO: {wrong}") from error


def judge_slo(
    slo: Slo, latency: Percentiles, ledger: LedgerCounts, *, good_share: float | None, rejected: int
) -> SloVerdict:
    """Every objective against what was measured. `good_share`: of the offered events, those answered well in time."""
    objectives = [_latency(name, limit, latency) for name, limit in slo.latency_ms.items()]
    for name, counted, allowed in (
        ("loss", ledger.missing, slo.loss),
        ("visible_twice", ledger.visible_twice, slo.visible_twice),
        ("unexpected", ledger.unexpected, slo.unexpected),
    ):
        objectives.append(_counted(name, counted, allowed, ledger.sent))
    if slo.goodput is not None:
        objectives.append(_goodput(slo, slo.goodput.at_least, good_share))
    if slo.reject_rate is not None:
        share = rejected / ledger.sent if ledger.sent else None
        objectives.append(_at_most("reject_rate", share, slo.reject_rate, f"{rejected} events"))
    return SloVerdict(met=all(one.met for one in objectives), objectives=objectives)


def _latency(name: Percentile, limit: float, latency: Percentiles) -> Objective:
    told: Mapping[str, float | None] = {one: getattr(latency, one) for one in (*SHARES, "max")}
    measured, required = told[name], f"<= {limit:g} ms"
    met: bool | None = None if measured is None else measured <= limit
    if measured is None and latency.unanswered and latency.n >= (samples_needed(SHARES[name]) if name in SHARES else 1):
        # Later than everything.
        met = False
    return Objective(
        name=f"latency_ms.{name}", measured=measured, required=required, met=met, note=latency.withheld.get(name, "")
    )


def _counted(name: str, counted: int, allowed: float, sent: int) -> Objective:
    if isinstance(allowed, int):
        return _at_most(name, counted, allowed, "")
    share = counted / sent if sent else None
    return _at_most(name, share, allowed, f"{counted} of {sent} events")


def _at_most(name: str, measured: float | None, limit: float, note: str) -> Objective:
    met = None if measured is None else measured <= limit
    return Objective(name=name, measured=measured, required=f"<= {limit:g}", met=met, note=note)


def _goodput(slo: Slo, at_least: float, good_share: float | None) -> Objective:
    met = None if good_share is None else good_share >= at_least
    required = f">= {at_least:g} within {slo.within_ms:g} ms"
    note = "answered as their kind may be, of the events offered"
    return Objective(name="goodput", measured=good_share, required=required, met=met, note=note)
