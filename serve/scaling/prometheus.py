"""The same figures from a Prometheus server that scrapes the workers: one query for each."""

import math
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from serve.scaling.figures import Figures
from serve.scaling.settings import ScalingSettings


class BadAnswer(ValueError):
    """The answer of the server cannot be used."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Sample(_Strict):
    value: tuple[float, str]


class _Data(_Strict):
    result: list[_Sample] = Field(max_length=1)


class _Answer(_Strict):
    status: str
    data: _Data


def queries(settings: ScalingSettings) -> Mapping[str, str]:
    """The queries, by the figure that they give. Prometheus itself leaves out workers that do not answer it."""
    chosen = f"{{{settings.prometheus_selector}}}"
    span = f"{chosen}[{max(1, round(settings.rate_window_s))}s]"
    return {
        "looks": f"sum(rate(vitrine_consumer_looks_total{span}))",
        "backlog": f"sum(max by (topic, partition) (vitrine_consumer_backlog{chosen}))",
        "in_flight": f"sum(vitrine_consumer_in_flight{chosen})",
        "arrival_rate": f"sum(rate(vitrine_consumer_arrivals_total{span}))",
        "service_rate": f"sum(rate(vitrine_consumer_served_total{span}))",
        "oldest_s": f"max(vitrine_consumer_oldest_waiting_seconds{chosen})",
        "outage": f"max(vitrine_consumer_breaker{chosen})",
    }


def read_value(body: str) -> float | None:
    """The one value of an instant query; None where there is no such series. Raise `BadAnswer`."""
    try:
        answer = _Answer.model_validate_json(body)
        found = [float(sample.value[1]) for sample in answer.data.result]
    except (ValidationError, ValueError) as error:
        raise BadAnswer(f"not the answer of a Prometheus server: {error}"[:300]) from error
    if answer.status != "success" or not all(math.isfinite(value) and value >= 0 for value in found):
        raise BadAnswer(f"the query gave {answer.status}, {found}")
    return found[0] if found else None


def read_figures(bodies: Mapping[str, str], now: float) -> Figures | None:
    """The figures from the answers to `queries`; None where no worker moves, which tells nothing of the load.

    Raise `BadAnswer`.
    """
    found = {name: read_value(body) for name, body in bodies.items()}
    looks, backlog = found.pop("looks"), found["backlog"]
    if not looks or backlog is None:
        return None
    outage = (found.pop("outage") or 0.0) > 0
    values = {name: value or 0.0 for name, value in found.items()}
    return Figures(at=now, outage=outage, complete=True, **values)
