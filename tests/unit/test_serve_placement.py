"""Where stages compute: read, checked, and the way of shots through it, with hops in this process."""

import asyncio
import math
import pickle
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from prometheus_client import CollectorRegistry
from pydantic import ValidationError

from serve.app.arguments import AppArgs
from serve.app.host import Host
from serve.app.parcel import MASK, PIXELS, REFERENCE, SOURCE, Order, Parcel, Refused, stripped
from serve.app.placed import PlacedDevelopment
from serve.app.placement import (
    STUDIO,
    Placement,
    PlacementInvalid,
    Run,
    check_ongoing,
    least_ongoing,
    parse_placement,
)
from serve.batching.job import Limits
from serve.batching.slots import ComputeSlots
from serve.catalog.operations import STAGE_ORDER
from serve.catalog.recipe import Variant
from serve.development import LocalDevelopment
from serve.edition import Edition, Editions
from serve.errors import DeadlineExceeded, EditionMismatch, ReplicaLost, StageFailed
from serve.interfaces import Caller, Shot, ShotFailure, SourceImage
from serve.metrics import PrometheusMetrics
from serve.schemas.result import ModelRef
from serve.settings import ServeSettings
from serve.workbench import Workbench
from tests.support.small_studio import small_catalog

ROOT = Path(__file__).parents[2]
NAMES = ("generation", "style_transfer", "quality_filter")
MIXED = {"generation": STUDIO, "style_transfer": "Styles", "quality_filter": STUDIO}
SPLIT = {"generation": "Cut", "style_transfer": "Styles", "quality_filter": "Cut"}


# -- the words --


def test_placements_are_read() -> None:
    assert parse_placement("fused") == Placement(dict.fromkeys(STAGE_ORDER, STUDIO))
    staged = parse_placement("staged")
    assert staged.hosts == ("Generation", "StyleTransfer", "QualityFilter")
    assert staged.stages_of("StyleTransfer") == ("style_transfer",)
    mixed = parse_placement(dict(reversed(MIXED.items())))
    assert list(mixed.where) == list(NAMES)
    assert (mixed.hosts, mixed.stages_of(STUDIO)) == (("Styles",), ("generation", "quality_filter"))
    split = parse_placement(SPLIT)
    assert split.runs(NAMES) == [
        Run("Cut", ("generation",)),
        Run("Styles", ("style_transfer",)),
        Run("Cut", ("quality_filter",)),
    ]
    assert split.runs(["generation", "quality_filter"]) == [Run("Cut", ("generation", "quality_filter"))]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("Fused", "'Fused' is not known: write fused, staged or a mapping"),
        ({**MIXED, "upscaling": "Styles"}, "names no stage: upscaling; the stages are generation, style_transfer"),
        ({"generation": STUDIO}, "leaves out style_transfer, quality_filter"),
        ({**MIXED, "generation": "Ingress"}, "generation on Ingress, which is the door"),
        ({**MIXED, "generation": "studio"}, "'studio'; did you mean Studio"),
        ({**MIXED, "generation": "my stage"}, "'my stage'; a deployment's name is a letter"),
        ({**MIXED, "generation": 3}, "must be a word or a mapping"),
        (None, "must be a word or a mapping"),
    ],
)
def test_a_placement_that_cannot_be_says_why(given: object, words: str) -> None:
    with pytest.raises(ValidationError, match="placement") as caught:
        AppArgs.model_validate({"placement": given})
    assert words in str(caught.value)


def test_a_replica_takes_a_batch_more_than_its_slots_compute() -> None:
    assert least_ongoing(8, 1) == 16
    check_ongoing("Styles", 16, 16)
    with pytest.raises(PlacementInvalid, match=r"Styles has max_ongoing_requests: 5, but needs at least 16"):
        check_ongoing("Styles", 5, 16)


def test_the_file_that_is_deployed_fits_its_placement_and_drains_longer_than_a_batch() -> None:
    application = yaml.safe_load((ROOT / "deploy/serve.yaml").read_text())["applications"][0]
    args = AppArgs.model_validate(application["args"])
    deployments = {one["name"]: one for one in application["deployments"]}
    assert set(deployments) == {"Ingress", STUDIO, *args.placement.hosts}
    longest = ServeSettings().stuck_after_s
    for name, options in deployments.items():
        assert options["graceful_shutdown_timeout_s"] > longest, name
        assert options["user_config"] == {}, name
    assert "max_ongoing_requests" not in deployments[STUDIO]
    # Whoever is sick is noticed before its events are given up.
    assert longest + 3 * deployments[STUDIO]["health_check_period_s"] < args.event_timeout_s


# -- the way --


class Step:
    """A stage that notes what it saw, and adds its number to the picture."""

    def __init__(self, name: str, version: str = "1") -> None:
        self.name = name
        self.version = version
        self.seen: list[list[Shot]] = []
        self.hold: asyncio.Event | None = None
        self.failing: set[str] = set()

    def models(self, _: Variant) -> tuple[ModelRef, ...]:
        return (ModelRef(name=self.name, version=self.version),)

    def bucket(self, shot: Shot) -> str | None:
        return None if self.name == "style_transfer" and shot.variant.name == "plain" else self.name

    def run(self, batch: Sequence[Shot]) -> list[Shot | ShotFailure]:
        self.seen.append(list(batch))
        return [self._run(shot) for shot in batch]

    def _run(self, shot: Shot) -> Shot | ShotFailure:
        if shot.key in self.failing:
            return ShotFailure(shot=shot, stage=self.name, error=StageFailed("no"))
        if self.name == "generation":
            made = shot.source.pixels + 1
            return replace(shot, pixels=made, reference=made, mask=np.ones(made.shape[:2], np.float32), confidence=0.5)
        assert shot.pixels is not None
        return replace(shot, pixels=shot.pixels * 2)

    def warm_up(self) -> None: ...


def steps(version: str = "1") -> tuple[Step, ...]:
    return tuple(Step(name, version) for name in NAMES)


def shots(*names: str) -> list[Shot]:
    source = SourceImage(image_id="i", sha256="s", pixels=np.full((4, 4, 3), 7, np.uint8), format="jpeg")
    variants = [
        Variant.model_validate({"name": name, "operations": [{"op": "studio"}], "size": [64, 64]}) for name in names
    ]
    return [Shot(source=source, variant=variant, key=f"{number}", seed=0) for number, variant in enumerate(variants)]


@dataclass
class Call:
    """A `Pending`: the call is a task here."""

    task: "asyncio.Task[Parcel | Refused]"

    async def result(self) -> Parcel | Refused:
        return await self.task

    def cancel(self) -> None:
        self.task.cancel()


@dataclass
class InProcess:
    """A `Hop` to a host in this process; what crosses is pickled, as it would be."""

    host: Host
    parcels: list[Parcel] = field(default_factory=list)
    answers: list[Parcel] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    #: Seconds that the way takes.
    slow_s: float = 0.0
    lost: bool = False

    async def send(self, parcel: Any, order: Order) -> Call:
        call = Call(asyncio.create_task(self._call(parcel, order)))
        self.calls.append(call)
        self.asked.set()
        return call

    async def _call(self, parcel: Any, order: Order) -> Parcel | Refused:
        given = await parcel.result() if isinstance(parcel, Call) else parcel
        if self.lost:
            raise ReplicaLost
        await asyncio.sleep(self.slow_s)
        given, order = pickle.loads(pickle.dumps((given, order)))
        self.parcels.append(given)
        self.arrived.set()
        answer: Parcel | Refused = pickle.loads(pickle.dumps(await self.host.develop(given, order)))
        if isinstance(answer, Parcel):
            self.answers.append(answer)
        return answer


@dataclass
class World:
    """A placed development, its hosts, and all their stages."""

    development: PlacedDevelopment
    stages: tuple[Step, ...]
    hops: Mapping[str, InProcess]
    hosts: Mapping[str, Host]
    #: By deployment.
    far: Mapping[str, tuple[Step, ...]]


def placed(given: object, work: Callable[[World], Awaitable[None]], *, patience_s: float = 5, far: str = "1") -> None:
    placement = AppArgs.model_validate({"placement": given}).placement
    all_slots: list[ComputeSlots] = []

    def bench(stages: tuple[Step, ...]) -> Workbench:
        slots = ComputeSlots(Limits(8, 2**24), PrometheusMetrics(CollectorRegistry()))
        all_slots.append(slots)
        return Workbench(
            settings=ServeSettings(),
            editions=Editions(Edition(small_catalog(), stages)),
            slots=slots,
            development=LocalDevelopment(slots),
            computes=frozenset(NAMES),
        )

    async def main() -> None:
        here, there = steps(), {name: steps(far) for name in placement.hosts}
        hosts = {name: Host(bench(stages), patience_s=patience_s) for name, stages in there.items()}
        hops = {name: InProcess(host) for name, host in hosts.items()}
        development = PlacedDevelopment(bench(here).development, placement, hops)
        try:
            await work(World(development, here, hops, hosts, there))
        finally:
            for slots in all_slots:
                slots.close()

    asyncio.run(main())


FOREVER = Caller("t", math.inf)


@pytest.mark.parametrize("given", ["fused", "staged", MIXED, SPLIT])
def test_every_placement_makes_the_same(given: object) -> None:
    async def work(world: World) -> None:
        sent = shots("plain", "drawn")
        developed = await world.development.develop(world.stages, sent, FOREVER)
        plain, drawn = developed.shots
        assert isinstance(plain, Shot)
        assert isinstance(drawn, Shot)
        assert plain.pixels is not None
        assert drawn.pixels is not None
        assert (int(plain.pixels[0, 0, 0]), int(drawn.pixels[0, 0, 0])) == (16, 32)
        assert (plain.confidence, drawn.confidence) == (0.5, 0.5)
        assert [shot.source for shot in (plain, drawn)] == [shot.source for shot in sent]
        assert set(developed.seconds) == set(NAMES)
        assert all(shot.pixels is None for shot in sent)

    placed(given, work)


def test_a_hop_without_work_is_left_out() -> None:
    async def work(world: World) -> None:
        await world.development.develop(world.stages, shots("plain", "plain"), FOREVER)
        assert {name: len(hop.calls) for name, hop in world.hops.items()} == {
            "Generation": 1,
            "StyleTransfer": 0,
            "QualityFilter": 1,
        }

    placed("staged", work)


def parts(shot: Shot | ShotFailure) -> set[str]:
    assert isinstance(shot, Shot)
    arrays = {PIXELS: shot.pixels, MASK: shot.mask, REFERENCE: shot.reference}
    there = {name for name, array in arrays.items() if array is not None}
    return there | ({SOURCE} if shot.source.pixels.size else set())


def test_what_the_far_side_has_no_use_for_stays_and_the_source_travels_once() -> None:
    async def work(world: World) -> None:
        await world.development.develop(world.stages, shots("drawn", "drawn"), FOREVER)
        first = world.hops["Generation"].parcels[0].shots
        assert [parts(shot) for shot in first] == [{SOURCE}, {SOURCE}]
        assert isinstance(first[0], Shot)
        assert isinstance(first[1], Shot)
        assert first[0].source is first[1].source
        handed_on = world.hops["StyleTransfer"].parcels[0].shots
        assert parts(handed_on[0]) == {PIXELS, MASK, REFERENCE}
        assert parts(world.hops["QualityFilter"].answers[0].shots[0]) == {PIXELS}

    placed("staged", work)


def test_a_stage_between_two_of_the_studio_gets_and_gives_only_what_it_works_on() -> None:
    async def work(world: World) -> None:
        developed = await world.development.develop(world.stages, shots("drawn"), FOREVER)
        hop = world.hops["Styles"]
        assert parts(hop.parcels[0].shots[0]) == {PIXELS, MASK}
        assert parts(hop.answers[0].shots[0]) == {PIXELS}
        assert parts(world.stages[2].seen[0][0]) == {SOURCE, PIXELS, MASK, REFERENCE}
        assert parts(developed.shots[0]) == {SOURCE, PIXELS, MASK, REFERENCE}

    placed(MIXED, work)


def test_a_shot_that_fails_far_away_fails_alone() -> None:
    async def work(world: World) -> None:
        world.far["Generation"][0].failing.add("0")
        sent = shots("drawn", "drawn")
        failed, good = (await world.development.develop(world.stages, sent, FOREVER)).shots
        assert isinstance(failed, ShotFailure)
        assert (failed.stage, failed.error.code, failed.shot) == ("generation", "stage_failed", sent[0])
        assert isinstance(good, Shot)
        assert [len(batch) for batch in world.far["StyleTransfer"][1].seen] == [1]

    placed("staged", work)


def test_other_models_far_away_are_refused_also_at_the_end_of_a_chain() -> None:
    async def work(world: World) -> None:
        with pytest.raises(EditionMismatch):
            await world.development.develop(world.stages, shots("drawn"), FOREVER)
        assert not any(stage.seen for stages in world.far.values() for stage in stages)

    placed("staged", work, patience_s=0, far="2")


def test_an_event_gets_the_edition_that_it_began_with_before_and_after_a_swap(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(world: World) -> None:
        host = world.hosts["Styles"]
        newer = steps("2")

        async def swap(bench: Workbench, _: object) -> None:
            await asyncio.sleep(0)
            bench.editions.swap(Edition(small_catalog(), newer))

        monkeypatch.setattr(Workbench, "reconfigure", swap)
        early = asyncio.create_task(world.development.develop(newer, shots("drawn"), FOREVER))
        await world.hops["Styles"].arrived.wait()
        await host.reconfigure({})
        assert isinstance((await early).shots[0], Shot)
        assert isinstance((await world.development.develop(world.stages, shots("drawn"), FOREVER)).shots[0], Shot)
        assert [len(stage.seen) for stage in (newer[1], world.far["Styles"][1])] == [1, 1]

    placed(MIXED, work)


def test_time_that_is_over_and_callers_that_go_cancel_what_is_far_away() -> None:
    async def work(world: World) -> None:
        loop = asyncio.get_running_loop()
        world.hops["StyleTransfer"].slow_s = 30
        with pytest.raises(DeadlineExceeded):
            await world.development.develop(world.stages, shots("drawn"), Caller("t", loop.time() + 0.2))
        world.hops["QualityFilter"].asked.clear()
        gone = asyncio.create_task(world.development.develop(world.stages, shots("drawn"), FOREVER))
        await world.hops["QualityFilter"].asked.wait()
        gone.cancel()
        await asyncio.wait([gone])
        assert gone.cancelled()
        calls = [call.task for name in ("StyleTransfer", "QualityFilter") for call in world.hops[name].calls]
        await asyncio.wait(calls)
        assert all(task.cancelled() for task in calls)

    placed("staged", work)


def test_what_is_left_of_the_time_travels_with_the_parcel() -> None:
    async def work(world: World) -> None:
        until = Caller("t", asyncio.get_running_loop().time() + 100)
        await world.development.develop(world.stages, shots("drawn"), until)
        left = [world.hops[name].parcels[0].remaining_s for name in ("Generation", "StyleTransfer", "QualityFilter")]
        assert 100 >= left[0] > left[1] > left[2] > 0

    placed("staged", work)


def test_a_host_that_dies_is_a_lost_replica() -> None:
    async def work(world: World) -> None:
        world.hops["StyleTransfer"].lost = True
        with pytest.raises(ReplicaLost):
            await world.development.develop(world.stages, shots("drawn"), FOREVER)

    placed("staged", work)


def test_a_failure_keeps_no_picture_and_equal_arrays_count_once() -> None:
    made = np.zeros((10, 10, 3), np.uint8)
    one, other = (replace(shot, pixels=made, reference=made) for shot in shots("drawn", "drawn"))
    failed = ShotFailure(shot=other, stage="generation", error=StageFailed())
    parcel = Parcel(shots=(one, failed), tenant="t", remaining_s=1)
    assert parcel.nbytes == made.nbytes + one.source.pixels.nbytes
    kept = stripped(parcel.shots, frozenset((PIXELS,)))[1]
    assert isinstance(kept, ShotFailure)
    assert parts(kept.shot) == set()
