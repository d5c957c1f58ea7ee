"""The demo from end to end: services, photos, events, answers, verification, contact sheet."""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from deploy.demo import photos
from deploy.demo.ledger import Ledger
from deploy.demo.live import View
from deploy.demo.names import Names
from deploy.demo.options import DemoOptions
from deploy.demo.output import OutputFolder
from deploy.demo.photo_server import PhotoServer
from deploy.demo.prefetch import Prefetched
from deploy.demo.progress import Progress
from deploy.demo.reading import Answers
from deploy.demo.recipes import Recipes
from deploy.demo.script import PlannedEvent, Script
from deploy.demo.sending import EventSender, Receipt
from deploy.demo.sheet import Extra, Sheet, extra_of, row_of
from deploy.demo.summary import summary
from deploy.demo.verify import Verification, fetch_all
from deploy.errors import DeployError, ServiceFailed, StateConflict
from deploy.services.connection import settings_for
from deploy.services.interface import Endpoints
from deploy.services.kafka_topics import delete_topics
from deploy.services.processes import alive
from deploy.services.ray_given import LOOPBACK, facing
from deploy.services.stack import Choice, KafkaKind, Stack, StoreKind
from deploy.services.state import StackState, StateFile
from deploy.settings import DeploySettings
from serve.catalog.loader import CatalogInvalid, load_catalog
from serve.errors import UnknownRecipe
from serve.settings import ServeSettings
from serve.storage.s3 import S3Store, s3_client

_EXTRAS = 8
#: How long to look for answers that come twice, after every event has one.
_AFTERMATH_S = 1.5
_TICK_S = 0.25


@dataclass(frozen=True, slots=True)
class Finished:
    """What a run came to."""

    figures: dict[str, Any]
    extras: list[Extra]
    folder: OutputFolder


def _names(options: DemoOptions, settings: DeploySettings) -> Names:
    if not options.bootstrap:
        return Names.usual(settings.partitions)
    return Names.of_run(f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}", settings.partitions)


class Demo:
    """One run."""

    def __init__(self, options: DemoOptions, view: View, settings: DeploySettings | None = None) -> None:
        self._options = options
        self._view = view
        self._settings = settings or DeploySettings()
        self._ledger = Ledger()
        self._folder = OutputFolder(options.out)
        self._names = _names(options, self._settings)
        self._phases: dict[str, float] = {}
        self._planned = options.limit + _EXTRAS
        self._began = 0.0
        self._last_answer = 0.0

    def run(self) -> Finished:
        """Do it all; raise `DeployError` where it cannot even be tried. Stops what it started, whatever happens."""
        self._check()
        self._folder.clear()
        source = Prefetched(self._photos())
        cluster = self._options.ray_address
        with PhotoServer(facing(cluster) if cluster else LOOPBACK) as host:
            script = Script(
                started=datetime.now(UTC),
                recipes=Recipes(self._options.recipe),
                host=host.add,
                missing_url=host.url("nobody-has-this.jpg"),
            )
            stack = self._stack(host)
            try:
                with self._phase("start"):
                    endpoints = stack.start()
                self._play(script, source, stack, endpoints)
                found = self._verify(endpoints)
                if self._options.keep:
                    self._leave(stack)
            except BaseException:
                self._stop(stack)
                raise
            if not self._options.keep:
                with self._phase("stop"):
                    self._stop(stack)
        return self._finish(found)

    def _check(self) -> None:
        options, serving = self._options, ServeSettings()
        if options.kafka is KafkaKind.NONE and not options.bootstrap:
            raise DeployError("the demo needs a Kafka: give --bootstrap HOST:PORT with --kafka none")
        if options.store is StoreKind.NONE and not options.endpoint:
            raise DeployError("the demo needs a store: give --endpoint URL with --store none")
        try:
            catalog = load_catalog(serving.catalog_dir, default_recipe=serving.default_recipe)
            for name in Recipes(options.recipe).all:
                catalog.recipe(name)
        except (UnknownRecipe, CatalogInvalid) as error:
            raise DeployError(str(error)) from error
        self._folder.require_ours(options.photos)
        if options.photos is not None:
            photos.shelves(options.photos)
        known = StateFile(self._settings.state_dir).read() if options.keep else None
        if known is not None and any(map(alive, known.processes)):
            raise StateConflict(
                f"services of {self._settings.state_dir} are running; stop them with `vitrine down` first"
            )

    def _photos(self) -> Iterator[photos.ListingPhoto]:
        options = self._options
        if options.photos is None:
            return photos.drawn(options.seed, options.limit)
        return photos.from_folder(options.photos, options.seed, options.limit)

    def _stack(self, host: PhotoServer) -> Stack:
        options, settings = self._options, self._settings
        choice = Choice(
            kafka=options.kafka,
            brokers=options.brokers,
            store=options.store,
            bootstrap=options.bootstrap,
            endpoint=options.endpoint,
            ray_address=options.ray_address,
            consumers=1,
            topics=self._names.topics,
            consumers_env=self._names.environment(),
            serve_env={"VITRINE_SERVE_FETCH_ALLOW": host.origin},
        )
        folder = settings.state_dir if options.keep else settings.state_dir / "demo"
        return Stack(choice, folder, report=self._view.service, settings=settings, leash=not options.keep)

    def _stop(self, stack: Stack) -> None:
        stack.stop()
        if self._options.bootstrap:
            # They were made for this run alone.
            try:
                delete_topics(self._options.bootstrap, self._names.topics)
            except DeployError as error:
                self._view.phase(f"the topics of this run stay: {error}")

    def _leave(self, stack: Stack) -> None:
        state = StackState(endpoints=stack.endpoints, processes=list(stack.processes()))
        StateFile(stack.state_dir).write(state)
        if self._options.bootstrap:
            self._view.phase(f"the topics of this run stay: {', '.join(self._names.topics)}")

    # -- events --

    def _play(self, script: Script, source: Prefetched[photos.ListingPhoto], stack: Stack, at: Endpoints) -> None:
        kafka = self._names.settings(settings_for(at))
        with Answers(kafka) as answers, EventSender(kafka, self._names.events) as sender:
            self._began = self._last_answer = time.monotonic()
            sent: list[PlannedEvent] = []
            with self._phase("send"):
                for event in script.listings(source):
                    sent.append(event)
                    self._send(event, sender, answers)
                self._planned = len(sent) + _EXTRAS
                for event in script.extras(sent):
                    self._send(event, sender, answers)
                self._planned = len(self._ledger.entries)
            with self._phase("work"):
                self._await_answers(answers, stack)
            self._watch_for_repeats(answers)

    def _send(self, event: PlannedEvent, sender: EventSender, answers: Answers) -> None:
        receipt: Receipt = sender.send(event.message)
        self._ledger.sent(event, receipt.position())
        self._take(answers)

    def _take(self, answers: Answers) -> None:
        before = self._ledger.open
        for answer in answers.take():
            self._ledger.answered(answer)
        if self._ledger.open < before:
            self._last_answer = time.monotonic()
        self._view.update(self._progress(time.monotonic()))

    def _progress(self, now: float) -> Progress:
        return Progress.of(self._ledger, self._planned, now - self._began)

    def _await_answers(self, answers: Answers, stack: Stack) -> None:
        self._view.phase("working")
        self._last_answer = time.monotonic()
        while self._ledger.open:
            self._take(answers)
            silent = time.monotonic() - self._last_answer
            if silent > self._options.patience_s:
                self._view.phase(f"no answer for {silent:.0f} s, giving up")
                return
            # Whether they run, not whether they are well: on a busy machine an answer may take its time.
            dead = [record.name for record in stack.processes() if not alive(record)]
            if dead:
                raise ServiceFailed(f"{', '.join(dead)} died; its log is in {stack.state_dir}")
            time.sleep(_TICK_S)

    def _watch_for_repeats(self, answers: Answers) -> None:
        until = time.monotonic() + _AFTERMATH_S
        while time.monotonic() < until:
            time.sleep(_TICK_S)
            for answer in answers.take():
                self._ledger.answered(answer)

    # -- afterwards --

    def _verify(self, at: Endpoints) -> Verification:
        self._view.phase("fetching every object and comparing it with its result")
        client = s3_client(at.s3_endpoint, region=at.region, access_key=at.access_key, secret_key=at.secret_key)
        with self._phase("verify"):
            return fetch_all(self._ledger.results, S3Store(client, at.bucket).get, self._folder.images)

    def _finish(self, found: Verification) -> Finished:
        entries = self._ledger.entries
        self._view.phase("writing the contact sheet")
        progress = self._progress(self._last_answer)
        extras = [extra for entry in entries if (extra := extra_of(entry)) is not None]
        rows = [row for entry in entries if (row := row_of(entry, found.paths)) is not None]
        figures = {
            "events": str(progress.sent),
            "images": str(progress.images),
            "images per second": f"{progress.images_per_s:.1f}",
            "objects checked": str(found.verified),
        }
        with self._phase("write"):
            self._folder.write_events(entries)
            self._folder.write_answers(entries, found)
            self._folder.write_sheets(Sheet(rows=rows, extras=extras, figures=figures))
        summed = summary(self._options, self._ledger, progress, found, self._phases)
        self._folder.write_summary(summed)
        return Finished(summed, extras, self._folder)

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self._phases[name] = time.monotonic() - began
