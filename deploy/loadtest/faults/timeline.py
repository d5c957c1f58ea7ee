"""The chaos file: which fault strikes when. Pure, but for reading the file.

    timeline:
      - {at: 60, fault: kill_consumer}
      - {at: 120, fault: slow_store, seconds: 20}

or drawn by dice:

    {seed: 7, first_at: 60, every_s: 45, faults: [kill_consumer, cut_store]}
    {first_at: 60, every_s: 45, count: 10}
"""

import random
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from deploy.errors import DeployError
from deploy.loadtest.faults.kinds import Fault, Held
from deploy.loadtest.faults.program import FAULTS, in_turn, named
from deploy.loadtest.faults.scene import Part

_WHY = {
    Part.CONSUMERS: "consumers of our own: --driver kafka, without --bootstrap",
    Part.BROKERS: "three brokers: --driver kafka --kafka real, without --bootstrap",
    Part.SERVE: "a Ray Serve of our own: --driver kafka or http, without --serve-url",
    Part.STORE: "a store of our own: no --bootstrap and no --serve-url",
}


@dataclass(frozen=True, slots=True)
class Strike:
    """A fault and its time, in seconds since the beginning of the schedule."""

    at_s: float
    fault: Fault


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Entry(_Part):
    at: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    fault: str
    #: How long it lasts; each fault has a length of its own.
    seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None


class _ChaosFile(_Part):
    timeline: list[_Entry] | None = None
    seed: int | None = None
    first_at: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 60.0
    every_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    faults: list[str] | None = None
    count: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.timeline is not None:
            if drawn := self.model_fields_set - {"timeline"}:
                raise ValueError(f"with a timeline nothing is drawn: leave out {', '.join(sorted(drawn))}")
        elif self.every_s is None or (self.faults is None) == (self.count is None):
            raise ValueError("give a timeline, or every_s with either faults or count")
        return self


def load_timeline(path: Path, seed: int, duration_s: float, parts: Collection[Part] = tuple(Part)) -> list[Strike]:
    """The strikes of a chaos file in their order, all within the run.

    `seed` draws where the file has none of its own; `parts` are what this run has to disturb.

    Raises:
        DeployError: where the file cannot be read, or asks for what cannot be.
    """
    try:
        document = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DeployError(f"{path} cannot be read: {error}") from error
    try:
        return plan_strikes(document, seed, duration_s, parts)
    except DeployError as error:
        raise DeployError(f"{path}: {error}") from error


def plan_strikes(document: Any, seed: int, duration_s: float, parts: Collection[Part]) -> list[Strike]:
    """The same for a document that is read already."""
    try:
        file = _ChaosFile.model_validate(document)
    except ValidationError as error:
        raise DeployError("; ".join(_said(one) for one in error.errors())) from error
    strikes = _drawn(file, seed, parts) if file.timeline is None else [_strike(entry) for entry in file.timeline]
    for strike in strikes:
        _require(strike, duration_s, parts)
    # Python's sort keeps the order of the file among those of one time.
    return sorted(strikes, key=lambda strike: strike.at_s)


def _said(error: Any) -> str:
    where = ".".join(map(str, error["loc"]))
    return f"{where}: {error['msg']}" if where else str(error["msg"])


def _strike(entry: _Entry) -> Strike:
    fault = named(entry.fault)
    if entry.seconds is not None and isinstance(fault, Held):
        fault = replace(fault, seconds=entry.seconds)
    return Strike(entry.at, fault)


def _drawn(file: _ChaosFile, seed: int, parts: Collection[Part]) -> list[Strike]:
    if file.every_s is None:
        raise DeployError("every_s is missing")
    if file.faults is not None:
        faults = [named(name) for name in file.faults]
    else:
        kinds = [fault for fault in FAULTS if fault.part in parts and not fault.transactional]
        if not kinds:
            raise DeployError("this run has nothing that could be disturbed")
        chance = random.Random(seed if file.seed is None else file.seed)  # noqa: S311 - a game of chance
        faults = in_turn(kinds, file.count or 0, chance)
    return [Strike(file.first_at + number * file.every_s, fault) for number, fault in enumerate(faults)]


def _require(strike: Strike, duration_s: float, parts: Collection[Part]) -> None:
    fault = strike.fault
    if fault.part not in parts:
        raise DeployError(f"{fault.name} needs {_WHY[fault.part]}")
    if fault.transactional:
        raise DeployError(f"{fault.name} needs transactional delivery, which only `make chaos` has")
    if strike.at_s >= duration_s:
        raise DeployError(f"{fault.name} at {strike.at_s:g} s comes after the run, which takes {duration_s:g} s")
