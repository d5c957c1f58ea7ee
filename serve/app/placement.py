"""Where each stage computes: `args.placement` of deploy/serve.yaml, checked before anything is deployed. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from serve.catalog.operations import STAGE_ORDER

#: The deployment that fetches, decodes, encodes and stores; stages placed here share its processes.
STUDIO = "Studio"
#: The door. No stage computes there.
INGRESS = "Ingress"
FUSED, STAGED = "fused", "staged"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")


class PlacementInvalid(ValueError):
    """The placement cannot be; the message says why."""


@dataclass(frozen=True, slots=True)
class Run:
    """Stages that follow one another on one deployment: one hop, or none where that is the Studio."""

    deployment: str
    stages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Placement:
    """Which deployment computes which stage."""

    #: Every stage of `STAGE_ORDER`, in its order, with the name of its deployment.
    where: Mapping[str, str]

    def stages_of(self, deployment: str) -> tuple[str, ...]:
        """The stages that compute there."""
        return tuple(stage for stage, place in self.where.items() if place == deployment)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The deployments besides the Studio, by their first stage."""
        return tuple(dict.fromkeys(place for place in self.where.values() if place != STUDIO))

    def runs(self, stages: Iterable[str]) -> list[Run]:
        """These stages, in the order given, by where they compute."""
        runs: list[Run] = []
        for stage in stages:
            place = self.where[stage]
            if runs and runs[-1].deployment == place:
                runs[-1] = Run(place, (*runs[-1].stages, stage))
            else:
                runs.append(Run(place, (stage,)))
        return runs


def parse_placement(given: str | Mapping[str, str], order: Sequence[str] = STAGE_ORDER) -> Placement:
    """`fused`, `staged`, or a mapping from every stage to the name of a deployment; raise `PlacementInvalid`."""
    if isinstance(given, str):
        if given == FUSED:
            return Placement(dict.fromkeys(order, STUDIO))
        if given == STAGED:
            return Placement({stage: _title(stage) for stage in order})
        raise PlacementInvalid(
            f"placement {given!r} is not known: write {FUSED}, {STAGED} or a mapping of every stage to a deployment"
        )
    if unknown := [stage for stage in given if stage not in order]:
        raise PlacementInvalid(f"placement names no stage: {_listed(unknown)}; the stages are {_listed(order)}")
    if missing := [stage for stage in order if stage not in given]:
        raise PlacementInvalid(f"placement leaves out {_listed(missing)}; every stage needs a deployment")
    for stage, name in given.items():
        _check_name(stage, name)
    return Placement({stage: given[stage] for stage in order})


def _check_name(stage: str, name: str) -> None:
    if name == INGRESS:
        raise PlacementInvalid(f"placement puts {stage} on {INGRESS}, which is the door and computes nothing")
    if not _NAME.fullmatch(name):
        raise PlacementInvalid(
            f"placement puts {stage} on {name!r}; a deployment's name is a letter and up to 62 letters, digits, _ or -"
        )
    if name.lower() in (STUDIO.lower(), INGRESS.lower()) and name != STUDIO:
        raise PlacementInvalid(f"placement puts {stage} on {name!r}; did you mean {STUDIO}?")


def least_ongoing(batch_shots: int, slots: int) -> int:
    """Calls that a replica must take at once, so that batches fill while others run: a batch more than its slots."""
    return batch_shots * (slots + 1)


def check_ongoing(deployment: str, ongoing: int, least: int) -> None:
    """Raise `PlacementInvalid` if a replica takes too few calls at once."""
    if ongoing < least:
        raise PlacementInvalid(
            f"{deployment} has max_ongoing_requests: {ongoing}, but needs at least {least}; "
            "leave it out of the deployments list and it is set so"
        )


def _title(stage: str) -> str:
    """`style_transfer` -> `StyleTransfer`."""
    return "".join(word.capitalize() for word in stage.split("_"))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
