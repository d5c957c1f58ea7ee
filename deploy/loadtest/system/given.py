"""Services under load that somebody else runs: only the photo host is ours."""

import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httpx

from consumers.settings import ConsumerSettings
from deploy.errors import DeployError
from deploy.loadtest.faults.scene import Scene
from deploy.loadtest.options import DriverKind, Mode, RunOptions
from deploy.loadtest.system.local import LocalSystem
from deploy.loadtest.system.photos import MakePhotos
from deploy.loadtest.system.recipes import recipe_names
from deploy.loadtest.system.services import settings_of
from deploy.loadtest.workload.planned import PhotoSource
from deploy.services.interface import Report
from deploy.services.kafka_topics import check_topics
from deploy.services.processes import ProcessRecord
from deploy.settings import DeploySettings
from serve.settings import ServeSettings

_PREFIX = "VITRINE_CONSUMERS_"
_TIMEOUT_S = 10.0


def open_system(
    options: RunOptions, report: Report, folder: Path, make_photos: MakePhotos
) -> "LocalSystem | GivenSystem":
    """The system that the options mean: given where they name a Kafka or a Serve that runs already, else our own.

    To be used as a context manager. `folder` takes logs and data.
    """
    if options.bootstrap or options.serve_url:
        return GivenSystem(options, report, make_photos=make_photos)
    return LocalSystem(options, report, folder=folder, make_photos=make_photos)


class GivenSystem:
    """`System` where everything runs already, for the length of a block."""

    def __init__(self, options: RunOptions, report: Report, *, make_photos: MakePhotos) -> None:
        """Looks whether all is there; nothing is started yet.

        Raises:
            DeployError: with what is missing.
        """
        _require(options)
        self._options = options
        self._report = report
        self.env: Mapping[str, str] = _environment(options)
        self._settings = settings_of(self.env)
        if options.driver is DriverKind.KAFKA:
            _require_topics(self._settings)
        self.recipes: Sequence[str] = self._recipes()
        self._photos = make_photos(*_photo_address(options, DeploySettings().loadtest_photos))
        self.photos: PhotoSource = self._photos

    def __enter__(self) -> Self:
        self._photos.start()
        self._report("photos", f"ready; VITRINE_SERVE_FETCH_ALLOW of Serve must name {self._photos.origin}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._photos.stop()

    def _recipes(self) -> Sequence[str]:
        if self._options.serve_url is None:
            # Nobody can be asked; what this machine would serve is the best guess.
            serving = ServeSettings()
            return recipe_names(serving.catalog_dir, serving)
        return served_recipes(self._settings)

    def settings(self) -> ConsumerSettings | None:
        """What the group's lag is read with; None without Kafka."""
        return self._settings if self._options.driver is DriverKind.KAFKA else None

    def processes(self) -> Mapping[str, Sequence[ProcessRecord]]:
        """The photo host's alone."""
        records = self._photos.processes()
        return {"photos": records} if records else {}

    def scene(self) -> Scene:
        """Always `DeployError`."""
        raise DeployError(
            "faults need services of our own, without --bootstrap and --serve-url; for a cluster see Chaos Mesh, whose "
            "PodChaos and NetworkChaos do the same"
        )

    def release(self) -> None:
        """Nothing: the consumers are not ours."""

    def check(self) -> list[str]:
        """Nothing: somebody else looks after them."""
        return []


def _require(options: RunOptions) -> None:
    if options.chaos is not None:
        raise DeployError("--chaos needs services of our own: leave out --bootstrap and --serve-url")
    if options.mode is Mode.BACKLOG:
        raise DeployError("a backlog needs consumers of our own, to hold them back: leave out --bootstrap")
    if options.driver is DriverKind.INPROCESS:
        raise DeployError("--driver inprocess uses no Kafka and no Serve: leave out --bootstrap and --serve-url")
    if options.driver is DriverKind.KAFKA and not options.bootstrap:
        raise DeployError("--driver kafka needs the Kafka beside that Serve: --bootstrap HOST:PORT")
    if options.driver is DriverKind.HTTP and not options.serve_url:
        raise DeployError("--driver http needs the address of Serve: --serve-url http://HOST:8000")


def _environment(options: RunOptions) -> dict[str, str]:
    given = {name: value for name, value in os.environ.items() if name.startswith(_PREFIX)}
    if options.bootstrap:
        given[f"{_PREFIX}BOOTSTRAP"] = options.bootstrap
    if options.serve_url:
        given[f"{_PREFIX}SERVE_URL"] = options.serve_url
    return given


def _require_topics(settings: ConsumerSettings) -> None:
    wanted = dict.fromkeys((*settings.topics, settings.results_topic, settings.dead_topic), 1)
    version = settings.client().get("api_version")
    missing = [check.topic for check in check_topics(settings.bootstrap, wanted, version) if check.problem]
    if missing:
        raise DeployError(
            f"Kafka at {settings.bootstrap} has no topic {', '.join(missing)}: "
            f"vitrine topics --create --bootstrap {settings.bootstrap}"
        )


def served_recipes(settings: ConsumerSettings) -> Sequence[str]:
    """What the Serve of the settings has; `DeployError` where it does not say."""
    url = f"{settings.serve_url.rstrip('/')}/v1/recipes"
    try:
        answer = httpx.get(
            url, headers=settings.serve_headers(), verify=settings.serve_tls(), timeout=_TIMEOUT_S, trust_env=False
        )
        answer.raise_for_status()
        return sorted(str(recipe["recipe"]) for recipe in answer.json())
    except (httpx.HTTPError, OSError, ValueError, KeyError, TypeError) as error:
        reason = str(error) or type(error).__name__
        raise DeployError(f"Serve at {settings.serve_url} does not tell its recipes: {reason}") from error


def _photo_address(options: RunOptions, told: str | None) -> tuple[str, int]:
    """Where the photos are served: as the settings say, else on the address that faces the system."""
    if told is not None:
        host, _, port = told.rpartition(":")
        return host, int(port)
    if options.serve_url:
        parts = urlsplit(options.serve_url)
        return facing(parts.hostname or "", parts.port or 80), 0
    host, _, port = (options.bootstrap or "").split(",")[0].strip().rpartition(":")
    return facing(host.strip("[]"), int(port) if port.isdigit() else 9092), 0


def facing(host: str, port: int) -> str:
    """The IPv4 address of this machine from which it reaches that one; `DeployError` where there is no way."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        try:
            # Nothing is sent; the kernel chooses the way.
            probe.connect((host, port))
        except OSError as error:
            raise DeployError(f"there is no way to {host}: {error}") from error
        return str(probe.getsockname()[0])
