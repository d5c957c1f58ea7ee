"""Fused against staged, for photos of several sizes: two applications in one Ray Serve, real stages, embedded store."""

import copy
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from deploy.bench import listings
from deploy.bench.figure import Figure, Progress, Round
from deploy.bench.photos import photo
from deploy.bench.whole_serve import serving
from deploy.errors import ServiceFailed
from deploy.services.store_embedded import EmbeddedStore
from deploy.settings import DeploySettings
from serve.app.placement import FUSED, STAGED, STUDIO, parse_placement

#: Bytes of the source photos, and how many of them are sent at once.
SIZES = {200_000: 4, 500_000: 4, 2_000_000: 2}
#: The figure is that of this size; the note has all.
_SHOWN = 500_000
#: Both ways can fill two cores: what costs most, the first stage, has two replicas in either. Others have one.
_REPLICAS = {FUSED: {STUDIO: 2}, STAGED: {parse_placement(STAGED).hosts[0]: 2}}
#: Of the recipe `studio`.
_VARIANTS = 3
_PATIENCE_S = 120.0
_LOOK_S = 0.5


def run(progress: Progress, *, sizes: Mapping[int, int] = SIZES, rounds: int = 2) -> Figure:
    """Images per second, from the request to the last answer; every photo is new to the tenant that sends it."""
    ways = (STAGED, FUSED)
    with two_placements(sizes) as rate:
        planned = len(ways) * len(sizes) * rounds
        for way in ways:
            rate(way, min(sizes))
        found: dict[int, list[Round]] = {size: [] for size in sizes}
        for number in range(rounds):
            for place, size in enumerate(sizes):
                progress((number * len(sizes) + place) * len(ways), planned)
                found[size].append(Round(*(rate(way, size) for way in ways)))
        progress(planned, planned)
    each = {size: Figure.of("placement", turns, unit="images/s") for size, turns in found.items()}
    note = "; ".join(
        f"{size / 1e6:g} MB {one.ratio:.2f} ({one.measured:.2f} / {one.baseline:.2f})" for size, one in each.items()
    )
    return Figure.of("placement", found[_SHOWN], unit="images/s", note=note)


@contextmanager
def two_placements(sizes: Mapping[int, int]) -> Iterator[Callable[[str, int], float]]:
    """Images per second for a placement and a size of photos."""
    deploy, numbers = DeploySettings(), count()
    with tempfile.TemporaryDirectory(prefix="vitrine-bench-") as name:
        folder = Path(name)
        store = EmbeddedStore(folder / "store", deploy)
        files = {
            size: [photo(folder / f"{size}-{one}.jpg", one, size) for one in range(photos)]
            for size, photos in sizes.items()
        }
        try:
            store.start()
            with serving(folder, both, _env(folder, store.endpoint, deploy)) as url:
                _wait_ready(f"{url}/{STAGED}")
                addresses = {FUSED: url, STAGED: f"{url}/{STAGED}"}
                yield lambda way, size: images_per_second(addresses[way], files[size], numbers)
        finally:
            store.stop()


def both(document: dict[str, Any]) -> None:
    """The application twice, under `/` and `/staged`; each replica may use a core, whatever Ray counts."""
    (given,) = document["applications"]
    document["applications"] = [_placed(given, way) for way in (FUSED, STAGED)]


def _placed(given: Mapping[str, Any], way: str) -> dict[str, Any]:
    made = {**copy.deepcopy(dict(given)), "name": way, "route_prefix": "/" if way == FUSED else f"/{way}"}
    made["args"]["placement"] = way
    deployments = {one["name"]: one for one in made["deployments"]}
    for host in parse_placement(way).hosts:
        deployments[host] = {**deployments[STUDIO], "name": host}
    for name, deployment in deployments.items():
        # Serve shall not wait for cores here: there are fewer than replicas.
        deployment |= {"ray_actor_options": {"num_cpus": 0}, "num_replicas": _REPLICAS[way].get(name, 1)}
    made["deployments"] = list(deployments.values())
    return made


def images_per_second(url: str, files: Sequence[Path], numbers: Iterator[int]) -> float:
    """Ask for all photos at once, as a listing each; raise `ServiceFailed` unless every image is made."""
    number = next(numbers)
    items = [listings.item(place, [file.as_uri()], f"tenant-{number}") for place, file in enumerate(files)]
    body = {"items": [item.model_dump(mode="json") for item in items]}
    started = time.perf_counter()
    with httpx.stream("POST", f"{url}/v1/enrich", json=body, timeout=_PATIENCE_S) as answer:
        lines = [json.loads(line) for line in answer.iter_lines() if line.strip()]
    spent = time.perf_counter() - started
    results = [line.get("result") or {} for line in lines]
    made = sum(len(one.get("outputs", ())) for one in results)
    if made != _VARIANTS * len(files):
        raise ServiceFailed(f"not all images were made: {json.dumps(lines)[:500]}")
    return made / spent


def _wait_ready(url: str) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while httpx.get(f"{url}/readyz", timeout=_PATIENCE_S).status_code != httpx.codes.OK:
        if time.monotonic() > deadline:
            raise ServiceFailed(f"{url} is not ready")
        time.sleep(_LOOK_S)


def _env(folder: Path, endpoint: str, deploy: DeploySettings) -> dict[str, str]:
    return {
        "VITRINE_SERVE_FETCH_FILES": str(folder),
        "VITRINE_SERVE_S3_ENDPOINT": endpoint,
        "VITRINE_SERVE_S3_ACCESS_KEY": deploy.access_key,
        "VITRINE_SERVE_S3_SECRET_KEY": deploy.secret_key,
        "VITRINE_SERVE_S3_REGION": deploy.region,
        "VITRINE_SERVE_S3_BUCKET": deploy.bucket,
        "VITRINE_SERVE_STATE_DIR": str(folder / "state"),
    }
